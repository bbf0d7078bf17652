"""SQLite files of the operations centre: the register and the state of the census."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qos_agent.model.errors import StorageError


def open_database(
    path: Path, schema: str, *, any_thread: bool = False
) -> sqlite3.Connection:
    """Open a database in autocommit mode and run the statements of its schema.

    With `any_thread` another thread may use it, one at a time. Raises StorageError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(
            path, isolation_level=None, check_same_thread=not any_thread
        )
        return _with_tables(database, schema)
    except (OSError, sqlite3.Error) as error:
        problem = getattr(error, "strerror", None) or error
        fix = f"{problem}. Fix: {_fix(error)}"
        raise StorageError("cannot open", str(path), fix) from error


def _with_tables(database: sqlite3.Connection, schema: str) -> sqlite3.Connection:
    try:
        database.executescript(schema)
    except BaseException:
        database.close()
        raise
    return database


def _fix(error: OSError | sqlite3.Error) -> str:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return "replace the file with a backup"
        case sqlite3.SQLITE_BUSY:
            return "wait until the other command has ended"
        case _:
            return "set folder in noc.toml to a writable folder"


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit everything that is written inside at once, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
