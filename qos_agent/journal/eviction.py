"""What leaves the journal, in which order, and the account of it.

First what is delivered and has been kept its time (what a collector refused counts
as undelivered). For want of room, delivered
points before their time, oldest first; then undelivered ones by rank: of the host,
of the radio, further targets of a layer, the rest, and last what says what happened.
An undelivered point leaves its leaf behind, so that its neighbours still verify.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from qos_agent.journal.types import Removal
from qos_agent.model import Point

_DUPLICATE = 2
_USUAL = 3
_RANKS = {
    "host": 0,
    "signal": 1,
    "verdict": 4,
    "event": 5,
    "incident": 5,
    "seal": 5,
}
RANKS = tuple(sorted({_DUPLICATE, _USUAL, *_RANKS.values()}))

# Asked by collector, as the table is ordered: by the number alone the whole backlog
# would be read for each point. What is in quarantine is little, and read once.
_OWED = """
    EXISTS (SELECT 1 FROM collector CROSS JOIN delivery
    ON delivery.collector = collector.id AND delivery.seq = point.seq)
"""
_REFUSED = "seq IN (SELECT seq FROM quarantine)"
# The newest point stays: the next number follows from it.
_DELIVERED = f"""
    SELECT seq, time_ns, line FROM point
    WHERE time_ns < ? AND line IS NOT NULL
    AND seq < (SELECT MAX(seq) FROM point)
    AND NOT {_OWED} AND NOT {_REFUSED}
    ORDER BY seq LIMIT ?
"""  # noqa: S608
_UNDELIVERED = f"""
    SELECT seq, time_ns, line FROM point
    WHERE time_ns < ? AND rank = ? AND line IS NOT NULL
    AND seq < (SELECT MAX(seq) FROM point)
    AND ({_OWED} OR {_REFUSED})
    ORDER BY seq LIMIT ?
"""  # noqa: S608
# By age few are found, by their time; for want of room the first there are, in order.
_BY_TIME = "point INDEXED BY point_time"
_DELIVERED_AGED = _DELIVERED.replace("FROM point\n", f"FROM {_BY_TIME}\n")
_UNDELIVERED_AGED = _UNDELIVERED.replace("FROM point\n", f"FROM {_BY_TIME}\n")
_FAR_NS = 2**62
_SLICE_POINTS = 500
# A slice reaches no further: its surroundings are written anew with it.
_SPAN_POINTS = 5000
# What the leaves of evicted points may take of the bound; the oldest go first.
_BLANK_BYTES = 64
_BLANK_SHARE = 8

Row = tuple[int, int, bytes]


class Ranking:
    """How dear a point is; the first target of a layer on a link is dearer."""

    def __init__(self) -> None:
        self._first_targets: dict[tuple[str, str], str] = {}

    def rank(self, point: Point) -> int:
        """0 goes first when room is short."""
        layer, target = point.tags.get("layer"), point.tags.get("target")
        if point.measurement == "latency" and layer and target:
            key = (point.tags.get("link", ""), layer)
            if self._first_targets.setdefault(key, target) != target:
                return _DUPLICATE
        return _RANKS.get(point.measurement, _USUAL)


@dataclass(frozen=True, slots=True)
class Ages:
    """The moments before which delivered and undelivered points have had their time."""

    now_ns: int
    delivered_before_ns: int
    undelivered_before_ns: int


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file in use; freed pages are used again before it grows."""
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def remove_aged(db: sqlite3.Connection, ages: Ages) -> list[Removal]:
    """Take out what has had its time, a slice at most; the account of it."""
    before = ages.delivered_before_ns
    rows = db.execute(_DELIVERED_AGED, (before, _SLICE_POINTS)).fetchall()
    _delete(db, rows)
    removals = list(_account(rows, ages.now_ns, "kept its time"))
    for rank in RANKS:
        limits = (ages.undelivered_before_ns, rank, _SLICE_POINTS)
        rows = db.execute(_UNDELIVERED_AGED, limits).fetchall()
        _blank(db, rows)
        removals += _account(rows, ages.now_ns, "undelivered, too old")
    db.execute(
        "DELETE FROM point WHERE line IS NULL AND time_ns < ?"
        " AND seq < (SELECT MAX(seq) FROM point)",
        (ages.undelivered_before_ns,),
    )
    _enter(db, removals)
    return removals


def remove_for_room(
    db: sqlite3.Connection, limit_bytes: int, now_ns: int
) -> list[Removal]:
    """Take out a slice of the least valuable points; the account, empty if none.

    To be called until `used_bytes` is under the limit: one slice a transaction
    keeps the log short, which matters most where the disk is full.
    """
    _delete_blanks(db, limit_bytes // _BLANK_SHARE // _BLANK_BYTES)
    rows = db.execute(_DELIVERED, (_FAR_NS, _SLICE_POINTS)).fetchall()
    if rows:
        _delete(db, rows)
        removals = list(_account(rows, now_ns, "delivered, no room"))
    else:
        removals = _remove_undelivered(db, now_ns)
    _enter(db, removals)
    return removals


def _remove_undelivered(db: sqlite3.Connection, now_ns: int) -> list[Removal]:
    for rank in RANKS:
        rows = db.execute(_UNDELIVERED, (_FAR_NS, rank, _SLICE_POINTS)).fetchall()
        near = [row for row in rows if row[0] < rows[0][0] + _SPAN_POINTS]
        if near:
            _blank(db, near)
            _repack(db, near[0][0], near[-1][0])
            return list(_account(near, now_ns, "undelivered, no room"))
    return []


def _delete_blanks(db: sqlite3.Connection, most: int) -> None:
    """Leaves without a line, but for the newest ones."""
    db.execute(
        "DELETE FROM point WHERE line IS NULL AND seq <= (SELECT seq FROM point"
        " WHERE line IS NULL ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (most,),
    )


def _delete(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    seqs = [(row[0],) for row in rows]
    db.executemany("DELETE FROM point WHERE seq = ?", seqs)


def _blank(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    seqs = [(row[0],) for row in rows]
    db.executemany("UPDATE point SET line = NULL WHERE seq = ?", seqs)
    db.executemany(
        "DELETE FROM delivery WHERE collector IN (SELECT id FROM collector)"
        " AND seq = ?",
        seqs,
    )
    for table in ("quarantine", "temp.claim"):
        db.executemany(f"DELETE FROM {table} WHERE seq = ?", seqs)  # noqa: S608


def _repack(db: sqlite3.Connection, first: int, last: int) -> None:
    """Write the rows of a span anew: a page that lost one of its rows is not free."""
    span = (first, last)
    rows = db.execute("SELECT * FROM point WHERE seq BETWEEN ? AND ?", span).fetchall()
    db.execute("DELETE FROM point WHERE seq BETWEEN ? AND ?", span)
    db.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?)", rows)


def _measurement(row: Row) -> str:
    return row[2].partition(b",")[0].decode()


def _account(rows: Sequence[Row], now_ns: int, reason: str) -> Iterable[Removal]:
    for name, group in groupby(sorted(rows, key=_measurement), _measurement):
        of_kind = list(group)
        times = [row[1] for row in of_kind]
        seqs = [row[0] for row in of_kind]
        yield Removal(
            now_ns, reason, name, len(of_kind),
            min(times), max(times), min(seqs), max(seqs),
        )  # fmt: skip


def _enter(db: sqlite3.Connection, removals: Iterable[Removal]) -> None:
    db.executemany(
        "INSERT INTO removal (at_ns, reason, measurement, points,"
        " first_ns, last_ns, first_seq, last_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (r.at_ns, r.reason, r.measurement, r.points,
             r.first_ns, r.last_ns, r.first_seq, r.last_seq)
            for r in removals
        ],
    )  # fmt: skip


def removals(db: sqlite3.Connection) -> list[Removal]:
    """The whole account."""
    rows = db.execute(
        "SELECT at_ns, reason, measurement, points, first_ns, last_ns,"
        " first_seq, last_seq FROM removal ORDER BY id"
    )
    return [Removal(*row) for row in rows]
