"""How much the journal holds, kept as it changes: whole tables are counted once.

Triggers of this connection keep the figures, within its own transactions. What
another process changed, as `journal requeue` does, shows in SQLite's data_version:
then everything is counted anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from qos_agent.journal import delivery
from qos_agent.journal.types import JournalCounts

_UNDELIVERED = "reason LIKE 'undelivered%'"
# Table, condition, what a row counts, and whose it is; 0 where nobody's.
_COUNTED = (
    ("point", "1", "1", "0"),
    ("pending", "1", "1", "0"),
    ("quarantine", "1", "1", "0"),
    ("delivery", "1", "1", "{row}collector"),
    ("removal", "{row}" + _UNDELIVERED, "{row}points", "0"),
)

_Amounts = Mapping[tuple[str, int], int]


def prepare(db: sqlite3.Connection) -> None:
    """Make the counters, empty, and the triggers that keep them."""
    db.execute(
        "CREATE TEMP TABLE counter (name TEXT NOT NULL, collector INTEGER NOT NULL,"
        " amount INTEGER NOT NULL, PRIMARY KEY (name, collector)) STRICT, WITHOUT ROWID"
    )
    for table, *parts in _COUNTED:
        for event, row, sign in (("INSERT", "NEW.", "+"), ("DELETE", "OLD.", "-")):
            where, amount, collector = (part.format(row=row) for part in parts)
            change = (
                f"UPDATE counter SET amount = amount {sign} {amount}"  # noqa: S608
                f" WHERE name = '{table}' AND collector = {collector}"
            )
            db.execute(
                f"CREATE TEMP TRIGGER counter_{table}_{event} AFTER {event}"
                f" ON main.{table} WHEN {where} BEGIN {change}; END"
            )


def counts(db: sqlite3.Connection, primary: int) -> JournalCounts:
    """How much there is of everything; the oldest unsent is the primary's."""
    amounts = _current(db)
    settled = delivery.settled(db)
    collectors = db.execute("SELECT id, name FROM collector ORDER BY id").fetchall()
    return JournalCounts(
        points=amounts["point", 0],
        undelivered={
            name: amounts["delivery", number] - settled.get(number, 0)
            for number, name in collectors
        },
        oldest_unsent_ns=delivery.oldest_owed_ns(db, primary),
        pending=amounts["pending", 0],
        quarantined=amounts["quarantine", 0],
        evicted=amounts["removal", 0],
        file_bytes=_pragma(db, "page_count") * _pragma(db, "page_size"),
    )


def _current(db: sqlite3.Connection) -> _Amounts:
    """The counters, counted anew where another process wrote or none are kept yet."""
    version = _pragma(db, "data_version")
    amounts = _kept(db)
    if amounts.get(("version", 0)) != version:
        _count(db, version)
        amounts = _kept(db)
    return amounts


def _kept(db: sqlite3.Connection) -> _Amounts:
    rows = db.execute("SELECT name, collector, amount FROM temp.counter")
    return {(name, collector): amount for name, collector, amount in rows}


def _count(db: sqlite3.Connection, version: int) -> None:
    db.execute("DELETE FROM temp.counter")
    db.execute("INSERT INTO temp.counter SELECT 'delivery', id, 0 FROM collector")
    for table, *parts in _COUNTED:
        where, amount, collector = (part.format(row="") for part in parts)
        db.execute(
            f"INSERT OR REPLACE INTO temp.counter SELECT '{table}', {collector},"  # noqa: S608
            f" SUM({amount}) FROM main.{table} WHERE {where} GROUP BY 2"
        )
        # An empty table counts 0.
        db.execute("INSERT OR IGNORE INTO temp.counter VALUES (?, 0, 0)", (table,))
    db.execute("INSERT INTO temp.counter VALUES ('version', 0, ?)", (version,))


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
