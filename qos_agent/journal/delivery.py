"""What is owed to which collector, who has claimed it, and what was refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import product

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal.types import Batch, Lane, Refusal

# A claim reads the line with the claim's order, oldest first in both lanes: the
# fresh lane is short, and order is what the collector's storage likes best.
_CLAIM = """
    SELECT seq, line, leaf FROM delivery JOIN point USING (seq)
    WHERE collector = ? AND seq >= ? AND seq < ?
    AND NOT EXISTS (
        SELECT 1 FROM temp.claim
        WHERE claim.collector = delivery.collector AND claim.seq = delivery.seq
    )
    ORDER BY seq LIMIT ?
"""
_SETTLED = "SELECT collector, seq FROM temp.claim WHERE settled = 1"
_ALL = 2**62

ClaimedRow = tuple[int, bytes | None, bytes]


def collector_id(db: sqlite3.Connection, name: str) -> int:
    """The number of a collector, given at its first use."""
    db.execute(
        "INSERT INTO collector (name) VALUES (?) ON CONFLICT DO NOTHING", (name,)
    )
    found = db.execute("SELECT id FROM collector WHERE name = ?", (name,)).fetchone()
    return int(found[0])


def owe(db: sqlite3.Connection, collectors: Iterable[int], seq: int) -> None:
    """Enter that each collector is owed a point."""
    rows = [(collector, seq) for collector in collectors]
    db.executemany("INSERT OR IGNORE INTO delivery VALUES (?, ?)", rows)


def claim(
    db: sqlite3.Connection, collector: int, limit: int, lane: Lane, fresh_from: int
) -> list[ClaimedRow]:
    """Seq, line and leaf of owed points that nobody has claimed; now they are."""
    low, high = (fresh_from, _ALL) if lane is Lane.FRESH else (-_ALL, fresh_from)
    rows = db.execute(_CLAIM, (collector, low, high, limit)).fetchall()
    claimed = [(collector, row[0]) for row in rows]
    db.executemany("INSERT INTO temp.claim (collector, seq) VALUES (?, ?)", claimed)
    return rows


def altered(rows: Iterable[ClaimedRow]) -> list[int]:
    """The points whose stored bytes are not those that were hashed."""
    return [seq for seq, line, leaf in rows if line is None or leaf_hash(line) != leaf]


def settle(db: sqlite3.Connection, collectors: Iterable[int], batch: Batch) -> None:
    """Note as delivered to each; the next commit to disk carries it."""
    db.executemany(
        "INSERT INTO temp.claim VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET settled = 1",
        [(collector, seq) for collector in collectors for seq in batch.seqs],
    )


def release(db: sqlite3.Connection, collectors: Iterable[int], batch: Batch) -> None:
    """Give back what was claimed and not delivered."""
    db.executemany(
        "DELETE FROM temp.claim WHERE collector = ? AND seq = ? AND settled = 0",
        [(collector, seq) for collector in collectors for seq in batch.seqs],
    )


def write_settled(db: sqlite3.Connection) -> None:
    """Take what was delivered out of what is owed, on disk."""
    db.execute(f"DELETE FROM delivery WHERE (collector, seq) IN ({_SETTLED})")  # noqa: S608
    db.execute("DELETE FROM temp.claim WHERE settled = 1")


def quarantine(
    db: sqlite3.Connection, collectors: Iterable[int], seqs: Iterable[int], words: str
) -> None:
    """Owe no longer, keep the points and the words of who refused."""
    for key in product(collectors, seqs):
        # No REPLACE: it would delete without the trigger that counts.
        db.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET words = excluded.words",
            (*key, words),
        )
        db.execute("DELETE FROM delivery WHERE collector = ? AND seq = ?", key)
        db.execute("DELETE FROM temp.claim WHERE collector = ? AND seq = ?", key)


def requeue_refused(db: sqlite3.Connection) -> int:
    """Owe again all that is in quarantine; how many points that is."""
    db.execute(
        "INSERT OR IGNORE INTO delivery SELECT collector, seq FROM quarantine"
        " JOIN point USING (seq) WHERE line IS NOT NULL"
    )
    return db.execute("DELETE FROM quarantine").rowcount


def requeue_span(db: sqlite3.Connection, collector: int, first: int, last: int) -> int:
    """Owe again the points from `first` to `last` that are still here."""
    return db.execute(
        "INSERT OR IGNORE INTO delivery SELECT ?, seq FROM point"
        " WHERE seq BETWEEN ? AND ? AND line IS NOT NULL",
        (collector, first, last),
    ).rowcount


def settled(db: sqlite3.Connection) -> dict[int, int]:
    """Points settled and not yet taken out of what is owed, by collector's number.

    Not what was never owed: a stand-in may have had the point long before.
    """
    rows = db.execute(
        "SELECT collector, COUNT(*) FROM temp.claim CROSS JOIN delivery"
        " USING (collector, seq) WHERE settled = 1 GROUP BY collector"
    )
    return dict(rows.fetchall())


def oldest_owed_ns(db: sqlite3.Connection, collector: int) -> int | None:
    """Time of the first point owed to a collector; None where nothing is."""
    found = db.execute(
        "SELECT time_ns FROM delivery JOIN point USING (seq) WHERE collector = ?"
        " AND NOT EXISTS (SELECT 1 FROM temp.claim WHERE settled = 1 AND"
        " claim.collector = delivery.collector AND claim.seq = delivery.seq)"
        " ORDER BY seq LIMIT 1",
        (collector,),
    ).fetchone()
    return None if found is None else int(found[0])


def refusals(db: sqlite3.Connection) -> list[Refusal]:
    """All points in quarantine, with the collector's words."""
    rows = db.execute(
        "SELECT name, seq, words, line FROM quarantine JOIN point USING (seq)"
        " JOIN collector ON collector.id = quarantine.collector ORDER BY seq"
    )
    return [Refusal(*row) for row in rows if row[3] is not None]


def forget_other_collectors(db: sqlite3.Connection, known: Iterable[int]) -> None:
    """Owe nothing to collectors that are no longer configured."""
    marks = ", ".join(str(int(number)) for number in known)
    db.execute(f"DELETE FROM delivery WHERE collector NOT IN ({marks})")  # noqa: S608
    db.execute(f"DELETE FROM collector WHERE id NOT IN ({marks})")  # noqa: S608
