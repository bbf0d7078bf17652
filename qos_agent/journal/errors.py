"""Meaning of SQLite's errors for the journal, and their text for a person."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qos_agent.model.errors import StorageError

# Primary result codes, without extensions (sqlite.org/rescode.html).
ERROR, BUSY, READONLY, INTERRUPT, IOERR, CORRUPT = 1, 5, 8, 9, 10, 11
FULL, CANTOPEN, NOTADB = 13, 14, 26
_DAMAGED = "the file is damaged, and the message of SQLite cannot be read"
_FIXES = {
    BUSY: "stop the other process that uses the journal",
    READONLY: "look for file system errors in dmesg and replace the memory card",
    IOERR: "look for disk errors in dmesg and replace the memory card",
    FULL: "free disk space",
    CANTOPEN: "check that the folder exists and belongs to the agent's user",
}
_OTHER_USER = "run the command with sudo, or as the user whom the journal belongs to"


class Connection(sqlite3.Connection):
    """A connection to a file that may be damaged; all its errors are sqlite3.Error.

    Some messages of SQLite contain text of the file. If it is not UTF-8, the module
    sqlite3 raises UnicodeDecodeError instead of the error with the message. Values that
    are not UTF-8 have U+FFFD for each wrong byte, so that they stop no query.
    """

    def __init__(self, *place: Any, **options: Any) -> None:
        super().__init__(*place, **options)
        self.text_factory = lambda raw: raw.decode(errors="replace")

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement."""
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError(_DAMAGED) from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run one statement for each tuple of parameters."""
        try:
            return super().executemany(sql, parameters)
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError(_DAMAGED) from error

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        """Run several statements."""
        try:
            return super().executescript(sql)
        except UnicodeDecodeError as error:
            raise sqlite3.DatabaseError(_DAMAGED) from error


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code; CORRUPT if the error has no code."""
    return getattr(error, "sqlite_errorcode", CORRUPT) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Return True if the error comes from the content of the file."""
    return code_of(error) in (ERROR, CORRUPT, NOTADB)


def needs_reopening(error: sqlite3.Error) -> bool:
    """Return True if the file is damaged or cannot be written at all."""
    return code_of(error) in (CORRUPT, NOTADB, READONLY, IOERR, CANTOPEN)


def storage_error(operation: str, path: str, error: sqlite3.Error) -> StorageError:
    """Return the error with a fix; `operation` completes the sentence "cannot ..."."""
    fix = _FIXES.get(code_of(error), "see the log")
    if code_of(error) == READONLY and _belongs_to_others(Path(path)):
        fix = _OTHER_USER
    return StorageError(f"cannot {operation}", path, f"{error}. Fix: {fix}")


def cannot_write(folder: Path) -> str:
    """Return the reason why no journal can be in a folder, and its fix."""
    fix = _OTHER_USER if _belongs_to_others(folder) else "check the disk with dmesg"
    return f"cannot write {folder}. Fix: {fix}"


def _belongs_to_others(path: Path) -> bool:
    """Return True if this user may not write, and the file system is not read-only."""
    try:
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    except OSError:
        return False
    return not read_only and not os.access(path, os.W_OK)
