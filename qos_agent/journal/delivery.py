"""The delivery queue of each collector, the claims on it, and the quarantine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal.types import Batch, Lane, QuarantinedPoint

# Both lanes are claimed oldest first. The fresh lane is short, and the collector's
# storage handles points in order of time best.
_CLAIM = """
    SELECT seq, CAST(line AS BLOB), leaf FROM delivery JOIN point USING (seq)
    WHERE collector = ? AND seq >= ? AND seq < ?
    AND NOT EXISTS (
        SELECT 1 FROM temp.claim
        WHERE claim.collector = delivery.collector AND claim.seq = delivery.seq
    )
    ORDER BY seq LIMIT ?
"""
_SETTLED = "SELECT collector, seq FROM temp.claim WHERE settled = 1"
_ALL = 2**62


@dataclass(frozen=True, slots=True)
class ClaimedPoint:
    """A point that was read to be sent."""

    seq: int
    line: bytes | None
    leaf: bytes

    def is_intact(self) -> bool:
        """Return True if the stored bytes match the stored hash."""
        return self.line is not None and leaf_hash(self.line) == self.leaf


def collector_id(db: sqlite3.Connection, name: str) -> int:
    """Return the number of a collector, which is assigned at its first use."""
    db.execute(
        "INSERT INTO collector (name) VALUES (?) ON CONFLICT DO NOTHING", (name,)
    )
    row = db.execute("SELECT id FROM collector WHERE name = ?", (name,)).fetchone()
    return int(row[0])


def queue(db: sqlite3.Connection, collectors: Iterable[int], seq: int) -> None:
    """Add a point to the queue of each collector."""
    rows = [(collector, seq) for collector in collectors]
    db.executemany("INSERT OR IGNORE INTO delivery VALUES (?, ?)", rows)


def claim(
    db: sqlite3.Connection, collector: int, limit: int, lane: Lane, fresh_from: int
) -> list[ClaimedPoint]:
    """Claim up to `limit` queued points of a lane that have no claim yet."""
    low, high = (fresh_from, _ALL) if lane is Lane.FRESH else (-_ALL, fresh_from)
    rows = db.execute(_CLAIM, (collector, low, high, limit))
    points = [ClaimedPoint(*row) for row in rows]
    claims = [(collector, point.seq) for point in points]
    db.executemany("INSERT INTO temp.claim (collector, seq) VALUES (?, ?)", claims)
    return points


def settle(db: sqlite3.Connection, collectors: Iterable[int], batch: Batch) -> None:
    """Mark a batch as delivered; `dequeue_settled` writes that to disk."""
    db.executemany(
        "INSERT INTO temp.claim VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET settled = 1",
        [(collector, seq) for collector in collectors for seq in batch.seqs],
    )


def release(db: sqlite3.Connection, collectors: Iterable[int], batch: Batch) -> None:
    """Remove the claims on points that were not delivered."""
    db.executemany(
        "DELETE FROM temp.claim WHERE collector = ? AND seq = ? AND settled = 0",
        [(collector, seq) for collector in collectors for seq in batch.seqs],
    )


def dequeue_settled(db: sqlite3.Connection) -> None:
    """Remove delivered points from the queue."""
    db.execute(f"DELETE FROM delivery WHERE (collector, seq) IN ({_SETTLED})")
    db.execute("DELETE FROM temp.claim WHERE settled = 1")


def quarantine(
    db: sqlite3.Connection, collectors: Iterable[int], seqs: Iterable[int], message: str
) -> None:
    """Remove points from the queue, but keep them with the collector's message."""
    for key in product(collectors, seqs):
        # Not REPLACE: it deletes the old row without running the counter's trigger.
        db.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET words = excluded.words",
            (*key, message),
        )
        db.execute("DELETE FROM delivery WHERE collector = ? AND seq = ?", key)
        db.execute("DELETE FROM temp.claim WHERE collector = ? AND seq = ?", key)


def requeue_quarantined(db: sqlite3.Connection) -> int:
    """Queue all quarantined points again; return their number."""
    db.execute(
        "INSERT OR IGNORE INTO delivery SELECT collector, seq FROM quarantine"
        " JOIN point USING (seq) WHERE line IS NOT NULL"
    )
    return db.execute("DELETE FROM quarantine").rowcount


def requeue_span(db: sqlite3.Connection, first: int, last: int) -> int:
    """Queue the stored points from `first` to `last` again for the first collector."""
    return db.execute(
        "INSERT OR IGNORE INTO delivery"
        " SELECT (SELECT MIN(id) FROM collector), seq FROM point"
        " WHERE seq BETWEEN ? AND ? AND line IS NOT NULL",
        (first, last),
    ).rowcount


def settled(db: sqlite3.Connection) -> dict[int, int]:
    """Return by collector how many settled points are still in the queue on disk.

    Points that are no longer in a queue do not count: the fallback may have received
    them earlier.
    """
    rows = db.execute(
        "SELECT collector, COUNT(*) FROM temp.claim CROSS JOIN delivery"
        " USING (collector, seq) WHERE settled = 1 GROUP BY collector"
    )
    return dict(rows.fetchall())


def oldest_queued_ns(db: sqlite3.Connection, collector: int) -> int | None:
    """Return the time of the first point in a collector's queue, or None."""
    row = db.execute(
        "SELECT time_ns FROM delivery JOIN point USING (seq) WHERE collector = ?"
        " AND NOT EXISTS (SELECT 1 FROM temp.claim WHERE settled = 1 AND"
        " claim.collector = delivery.collector AND claim.seq = delivery.seq)"
        " ORDER BY seq LIMIT 1",
        (collector,),
    ).fetchone()
    return None if row is None else int(row[0])


def quarantined(db: sqlite3.Connection) -> list[QuarantinedPoint]:
    """Return all quarantined points that still have their line."""
    rows = db.execute(
        "SELECT name, seq, words, CAST(line AS BLOB)"
        " FROM quarantine JOIN point USING (seq)"
        " JOIN collector ON collector.id = quarantine.collector"
        " WHERE line IS NOT NULL ORDER BY seq"
    )
    return [QuarantinedPoint(*row) for row in rows]


def remove_other_collectors(db: sqlite3.Connection, configured: Iterable[int]) -> None:
    """Remove the queues of collectors that are no longer configured."""
    numbers = ", ".join(str(int(number)) for number in configured)
    db.execute(f"DELETE FROM delivery WHERE collector NOT IN ({numbers})")
    db.execute(f"DELETE FROM collector WHERE id NOT IN ({numbers})")
