"""The journal's tables, and the functions that open its file.

One SQLite file contains the points, the delivery queue of each collector, the points
that wait for a clock, the reservations of the data allowance, and a few named values.
Migrations are ordered and never edited; `user_version` counts those that have run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

from qos_agent.journal import counters, tree
from qos_agent.journal.errors import Connection

FILE_NAME = "journal.sqlite3"

# `python -m bench.evidence` shows the fewest bytes written with the smallest pages,
# because a commit changes few of them. An older file keeps its pages of 1,024 bytes.
PAGE_BYTES = 512
CHECKPOINT_PAGES = 8000
BUSY_LIMIT_S = 5.0

# A damaged row may have a value of another type than its column. Queries therefore read
# a line with CAST(line AS BLOB), and its hash shows the damage.
MIGRATIONS = (
    """
    CREATE TABLE state (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- seq >= 1 are this journal's own points. seq <= 0 were recovered from an
    -- earlier journal; their line has their own number and journal.
    -- If line is NULL, the point was evicted undelivered; its leaf stays as evidence.
    CREATE TABLE point (
        seq INTEGER PRIMARY KEY,
        time_ns INTEGER NOT NULL,
        rank INTEGER NOT NULL,
        leaf BLOB NOT NULL,
        line BLOB
    ) STRICT;
    CREATE INDEX point_time ON point (time_ns);
    CREATE INDEX point_blank ON point (seq) WHERE line IS NULL;

    CREATE TABLE pending (
        seq INTEGER PRIMARY KEY,
        boot_id TEXT NOT NULL,
        boot_ns INTEGER NOT NULL,
        content TEXT NOT NULL
    ) STRICT;

    CREATE TABLE collector (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;

    -- A row for each (point, collector) not yet acknowledged.
    CREATE TABLE delivery (
        collector INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (collector, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE quarantine (
        collector INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        words TEXT NOT NULL,
        PRIMARY KEY (collector, seq)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE removal (
        id INTEGER PRIMARY KEY,
        at_ns INTEGER NOT NULL,
        reason TEXT NOT NULL,
        measurement TEXT NOT NULL,
        points INTEGER NOT NULL,
        first_ns INTEGER NOT NULL,
        last_ns INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE reservation (
        id INTEGER PRIMARY KEY,
        link TEXT NOT NULL,
        probe TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        due_boot_ns INTEGER NOT NULL,
        day TEXT NOT NULL,
        spent_bytes INTEGER
    ) STRICT;
    CREATE INDEX reservation_day ON reservation (link, day);
    """,
)

# The table ends with the process. After a crash no point is claimed, and points that
# were sent but not settled are sent again. That changes nothing at the collector.
_CLAIM = """
    CREATE TEMP TABLE claim (
        collector INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        settled INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (collector, seq)
    ) STRICT, WITHOUT ROWID
"""


class OtherVersionError(sqlite3.DatabaseError):
    """The file was written by a later version of this package."""


def connect(where: Path | str) -> sqlite3.Connection:
    """Open for writing; the caller begins transactions.

    Raises sqlite3.DatabaseError if the file is not a sound journal.
    """
    connection = sqlite3.connect(
        where,
        timeout=BUSY_LIMIT_S,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES:d}")
    connection.execute("PRAGMA journal_mode = WAL")
    # Power cuts are common at polling stations. FULL syncs the log at every commit.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -1024")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES:d}")
    connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * PAGE_BYTES:d}")
    _migrate(connection)
    tree.create(connection)
    connection.execute(_CLAIM)
    counters.prepare(connection)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Commit the statements of the block together, or none of them on an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has already rolled back.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal that the agent may be writing. Raises sqlite3.Error."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(
        address,
        uri=True,
        timeout=BUSY_LIMIT_S,
        isolation_level=None,
        factory=Connection,
    )
    connection.execute("PRAGMA query_only = ON")
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < 0:
        raise sqlite3.DatabaseError(f"journal version {version} never existed")
    if version > len(MIGRATIONS):
        raise OtherVersionError(
            f"journal version {version} is newer than version {len(MIGRATIONS)},"
            " the newest that this agent supports"
        )
    for number in range(version, len(MIGRATIONS)):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[number]};"
            f"PRAGMA user_version = {number + 1:d}; COMMIT"
        )


def check(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if the file's structure is damaged."""
    with closing(connect(":memory:")) as sound:
        if missing := _names(sound) - _names(connection):
            table, column = min(missing)
            raise sqlite3.DatabaseError(f"the schema has no {table} {column}".rstrip())
    result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise sqlite3.DatabaseError(str(result))
    # quick_check does not compare the keys of a table WITHOUT ROWID, and a search in
    # keys that are out of order misses points.
    keys = connection.execute("SELECT collector, seq FROM delivery")
    if any(key >= following for key, following in pairwise(keys)):
        raise sqlite3.DatabaseError("the rows of table delivery are out of order")


def _names(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return the names of all tables with their columns, and of all indexes.

    A flipped bit may rename a column, and SQLite still accepts the schema.
    """
    columns = connection.execute(
        "SELECT s.name, c.name FROM sqlite_schema s, pragma_table_info(s.name) c"
        " WHERE s.type = 'table' UNION SELECT name, '' FROM sqlite_schema"
    )
    return set(columns)
