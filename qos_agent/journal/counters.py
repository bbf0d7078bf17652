"""Row counts of the journal's tables, kept up to date without reading whole tables.

Triggers of this connection update the counts within its own transactions. SQLite's
data_version shows that another process changed the file, as `journal requeue` does.
Then everything is counted again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from qos_agent.journal import delivery
from qos_agent.journal.types import JournalCounts

_PREPARE = """
    CREATE TEMP TABLE counter (
        name TEXT NOT NULL,
        collector INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (name, collector)
    ) STRICT, WITHOUT ROWID;

    CREATE TEMP TRIGGER point_added AFTER INSERT ON main.point BEGIN
        UPDATE counter SET amount = amount + 1 WHERE name = 'point';
    END;
    CREATE TEMP TRIGGER point_removed AFTER DELETE ON main.point BEGIN
        UPDATE counter SET amount = amount - 1 WHERE name = 'point';
    END;
    CREATE TEMP TRIGGER pending_added AFTER INSERT ON main.pending BEGIN
        UPDATE counter SET amount = amount + 1 WHERE name = 'pending';
    END;
    CREATE TEMP TRIGGER pending_removed AFTER DELETE ON main.pending BEGIN
        UPDATE counter SET amount = amount - 1 WHERE name = 'pending';
    END;
    CREATE TEMP TRIGGER quarantine_added AFTER INSERT ON main.quarantine BEGIN
        UPDATE counter SET amount = amount + 1 WHERE name = 'quarantine';
    END;
    CREATE TEMP TRIGGER quarantine_removed AFTER DELETE ON main.quarantine BEGIN
        UPDATE counter SET amount = amount - 1 WHERE name = 'quarantine';
    END;
    CREATE TEMP TRIGGER delivery_added AFTER INSERT ON main.delivery BEGIN
        UPDATE counter SET amount = amount + 1
        WHERE name = 'delivery' AND collector = NEW.collector;
    END;
    CREATE TEMP TRIGGER delivery_removed AFTER DELETE ON main.delivery BEGIN
        UPDATE counter SET amount = amount - 1
        WHERE name = 'delivery' AND collector = OLD.collector;
    END;
    -- Rows of this table are never deleted.
    CREATE TEMP TRIGGER removal_added AFTER INSERT ON main.removal
    WHEN NEW.reason LIKE 'undelivered%' BEGIN
        UPDATE counter SET amount = amount + NEW.points WHERE name = 'removal';
    END;
"""
_COUNT = """
    INSERT INTO temp.counter
    SELECT 'point', 0, COUNT(*) FROM main.point
    UNION ALL SELECT 'pending', 0, COUNT(*) FROM main.pending
    UNION ALL SELECT 'quarantine', 0, COUNT(*) FROM main.quarantine
    UNION ALL SELECT 'removal', 0, IFNULL(SUM(points), 0) FROM main.removal
        WHERE reason LIKE 'undelivered%'
    UNION ALL SELECT 'delivery', id,
        (SELECT COUNT(*) FROM main.delivery WHERE delivery.collector = collector.id)
        FROM main.collector
"""

_Amounts = Mapping[tuple[str, int], int]


def prepare(db: sqlite3.Connection) -> None:
    """Create the empty counters and the triggers that update them."""
    db.executescript(_PREPARE)


def counts(db: sqlite3.Connection, primary: int) -> JournalCounts:
    """Return all counts; `primary` is the collector of `oldest_unsent_ns`."""
    amounts = _current(db)
    settled = delivery.settled(db)
    collectors = db.execute("SELECT id, name FROM collector ORDER BY id").fetchall()
    return JournalCounts(
        points=amounts["point", 0],
        undelivered={
            name: amounts["delivery", number] - settled.get(number, 0)
            for number, name in collectors
        },
        oldest_unsent_ns=delivery.oldest_queued_ns(db, primary),
        pending=amounts["pending", 0],
        quarantined=amounts["quarantine", 0],
        evicted=amounts["removal", 0],
        file_bytes=_pragma(db, "page_count") * _pragma(db, "page_size"),
    )


def _current(db: sqlite3.Connection) -> _Amounts:
    """Return the counters, counted again if another process changed the file."""
    version = _pragma(db, "data_version")
    amounts = _stored(db)
    if amounts.get(("version", 0)) != version:
        db.execute("DELETE FROM temp.counter")
        db.execute(_COUNT)
        db.execute("INSERT INTO temp.counter VALUES ('version', 0, ?)", (version,))
        amounts = _stored(db)
    return amounts


def _stored(db: sqlite3.Connection) -> _Amounts:
    rows = db.execute("SELECT name, collector, amount FROM temp.counter")
    return {(name, collector): amount for name, collector, amount in rows}


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
