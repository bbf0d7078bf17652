"""SQLite files of the operations centre: the register and the state of the census."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qos_agent.model.errors import StorageError


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open a database in autocommit mode and run the statements of its schema.

    Raises StorageError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        database = sqlite3.connect(path, isolation_level=None)
        database.executescript(schema)
    except sqlite3.Error as error:
        raise StorageError("open", str(path), str(error)) from error
    return database


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
