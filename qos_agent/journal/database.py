"""A SQLite connection: transactions, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from qos_agent.model.errors import StorageError

# Result codes of SQLite, without their extensions (sqlite.org/rescode.html).
ERROR, READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB = 1, 8, 10, 11, 14, 26
_HINTS = {
    READONLY: "the file system is read-only; see dmesg, replace the card",
    IOERR: "the disk fails; see dmesg, replace the card",
    5: "another process holds it; stop what else uses the journal",
    13: "no room on the disk; free some",
    CANTOPEN: "cannot be opened; check the folder and its owner",
}


class DamagedError(Exception):
    """The file is no sound journal, or cannot be written at all: open it anew."""


def code_of(error: sqlite3.Error) -> int:
    """SQLite's result code; that of a damaged file where it names none."""
    return getattr(error, "sqlite_errorcode", CORRUPT) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """True where the content of the file is at fault."""
    return code_of(error) in (ERROR, CORRUPT, NOTADB)


def _needs_opening_anew(error: sqlite3.Error) -> bool:
    return code_of(error) in (CORRUPT, NOTADB, READONLY, IOERR, CANTOPEN)


def storage_error(operation: str, where: str, error: sqlite3.Error) -> StorageError:
    """What a person is told."""
    hint = _HINTS.get(code_of(error), "see the log")
    return StorageError(operation, where, f"{error}; {hint}")


class Database:
    """A connection, its transactions and its errors. The caller keeps the lock."""

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._connection = connection
        self._where = where

    @contextmanager
    def transaction(self, operation: str) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises StorageError, or DamagedError to open anew."""
        with self._errors(operation):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self, operation: str) -> Iterator[sqlite3.Connection]:
        """For statements that change nothing on disk."""
        with self._errors(operation):
            yield self._connection

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            said = storage_error(operation, self._where, error)
            if _needs_opening_anew(error):
                raise DamagedError(str(said)) from error
            raise said from error

    def close(self) -> None:
        """Close; what the log holds goes into the file."""
        self._connection.close()
