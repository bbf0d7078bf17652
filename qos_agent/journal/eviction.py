"""Removes points from the journal in a fixed order, and records every removal.

Expired points go first. To make space, delivered points go next, oldest first. Then
undelivered points go by rank: probes of a low rank, further targets of a layer,
other readings, verdicts, and last events, incidents and seals. A quarantined point
counts as undelivered. An undelivered point leaves its leaf hash behind, so that the
Merkle tree of its neighbours can still be verified.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from itertools import groupby
from operator import attrgetter

from qos_agent.journal import tree
from qos_agent.journal.types import Removal
from qos_agent.model import Point

_DUPLICATE = 2
_USUAL = 3
# Measurements that are not probes. The caller of `Journal.open` passes the ranks of
# the probes.
_RANKS = {"verdict": 4, "event": 5, "incident": 5, "seal": 5}
RANKS = range(6)

# The subquery goes through the collectors because the table is ordered by collector
# first. Without them SQLite reads the whole queue for each point.
_IS_QUEUED = """EXISTS (
        SELECT 1 FROM collector CROSS JOIN delivery
        ON delivery.collector = collector.id AND delivery.seq = point.seq
    )"""
# The quarantine is small, and SQLite reads it once.
_IS_QUARANTINED = "seq IN (SELECT seq FROM quarantine)"
# The newest point stays, because the next number is derived from it.
_IS_REMOVABLE = "line IS NOT NULL AND seq < (SELECT MAX(seq) FROM point)"

# Few points are expired, and the index on time finds them.
_EXPIRED_DELIVERED = f"""
    SELECT seq, time_ns, CAST(line AS BLOB) FROM point INDEXED BY point_time
    WHERE time_ns < ? AND {_IS_REMOVABLE}
    AND NOT {_IS_QUEUED} AND NOT {_IS_QUARANTINED}
    ORDER BY seq LIMIT ?
"""
_EXPIRED_UNDELIVERED = f"""
    SELECT seq, time_ns, CAST(line AS BLOB) FROM point INDEXED BY point_time
    WHERE time_ns < ? AND rank = ? AND {_IS_REMOVABLE}
    AND ({_IS_QUEUED} OR {_IS_QUARANTINED})
    ORDER BY seq LIMIT ?
"""
# To make space, the first matching points in order of number are enough.
_OLDEST_DELIVERED = f"""
    SELECT seq, time_ns, CAST(line AS BLOB) FROM point
    WHERE {_IS_REMOVABLE} AND NOT {_IS_QUEUED} AND NOT {_IS_QUARANTINED}
    ORDER BY seq LIMIT ?
"""
_OLDEST_UNDELIVERED = f"""
    SELECT seq, time_ns, CAST(line AS BLOB) FROM point
    WHERE rank = ? AND {_IS_REMOVABLE} AND ({_IS_QUEUED} OR {_IS_QUARANTINED})
    ORDER BY seq LIMIT ?
"""
_SLICE_POINTS = 500
# A slice of undelivered points spans at most this many numbers, because all rows of
# the span are rewritten.
_SPAN_POINTS = 5000
# Leaf hashes of evicted points may use 1/_BLANK_SHARE of the size limit.
_BLANK_BYTES = 64
_BLANK_SHARE = 8
# The tiles of the tree keep the hashes of all points; they may use 1/_TILE_SHARE.
_TILE_BYTES = tree.TILE_LEAVES * 32
_TILE_SHARE = 8


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A point that may be removed."""

    seq: int
    time_ns: int
    line: bytes

    @property
    def measurement(self) -> str:
        return self.line.partition(b",")[0].decode(errors="replace")


class Ranking:
    """Eviction ranks. The first target of a layer on a link ranks above the others."""

    def __init__(self, probe_ranks: Mapping[str, int]) -> None:
        if not set(probe_ranks.values()) <= set(RANKS):
            raise ValueError(f"eviction ranks must be in {RANKS}: {probe_ranks}")
        self._ranks = {**_RANKS, **probe_ranks}
        self._first_targets: dict[tuple[str, str], str] = {}

    def rank(self, point: Point) -> int:
        """Return the rank of a point; points of rank 0 are removed first."""
        layer, target = point.tags.get("layer"), point.tags.get("target")
        if point.measurement == "latency" and layer and target:
            key = (point.tags.get("link", ""), layer)
            if self._first_targets.setdefault(key, target) != target:
                return _DUPLICATE
        return self._ranks.get(point.measurement, _USUAL)


@dataclass(frozen=True, slots=True)
class Expiry:
    """The times before which delivered and undelivered points have expired."""

    now_ns: int
    delivered_before_ns: int
    undelivered_before_ns: int


def used_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes in use.

    Free pages do not count, because SQLite reuses them before the file grows.
    """
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def remove_expired(db: sqlite3.Connection, expiry: Expiry) -> list[Removal]:
    """Remove expired points, at most one slice of each rank; return the removals."""
    before_ns = expiry.delivered_before_ns
    points = _candidates(db, _EXPIRED_DELIVERED, before_ns, _SLICE_POINTS)
    _delete(db, points)
    removals = _by_measurement(points, expiry.now_ns, "kept its time")
    before_ns = expiry.undelivered_before_ns
    for rank in RANKS:
        points = _candidates(db, _EXPIRED_UNDELIVERED, before_ns, rank, _SLICE_POINTS)
        _blank(db, points)
        removals += _by_measurement(points, expiry.now_ns, "undelivered, too old")
    db.execute(
        "DELETE FROM point WHERE line IS NULL AND time_ns < ?"
        " AND seq <= ? AND seq < (SELECT MAX(seq) FROM point)",
        (before_ns, tree.tiled_seq(db)),
    )
    _record(db, removals)
    return removals


def remove_for_space(
    db: sqlite3.Connection, limit_bytes: int, now_ns: int
) -> list[Removal]:
    """Remove a slice of the points that rank lowest; return the removals, if any.

    Call it until `used_bytes` is under the limit. One slice a transaction keeps the
    write-ahead log short, which matters most on a full disk.
    """
    _delete_blanks(db, limit_bytes // _BLANK_SHARE // _BLANK_BYTES)
    tree.remove_leaves(db, limit_bytes // _TILE_SHARE // _TILE_BYTES)
    points = _candidates(db, _OLDEST_DELIVERED, _SLICE_POINTS)
    if points:
        _delete(db, points)
        removals = _by_measurement(points, now_ns, "delivered, no room")
    else:
        removals = _remove_undelivered(db, now_ns)
    _record(db, removals)
    return removals


def _candidates(db: sqlite3.Connection, sql: str, *values: int) -> list[_Candidate]:
    return [_Candidate(*row) for row in db.execute(sql, values)]


def _remove_undelivered(db: sqlite3.Connection, now_ns: int) -> list[Removal]:
    for rank in RANKS:
        points = _candidates(db, _OLDEST_UNDELIVERED, rank, _SLICE_POINTS)
        near = [p for p in points if p.seq < points[0].seq + _SPAN_POINTS]
        if near:
            _blank(db, near)
            _repack(db, near[0].seq, near[-1].seq)
            return _by_measurement(near, now_ns, "undelivered, no room")
    return []


def _delete_blanks(db: sqlite3.Connection, limit: int) -> None:
    """Delete all leaves without a line except the newest `limit` ones."""
    db.execute(
        "DELETE FROM point WHERE line IS NULL AND seq <= ? AND seq <= ("
        " SELECT seq FROM point WHERE line IS NULL ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (tree.tiled_seq(db), limit),
    )


def _delete(db: sqlite3.Connection, points: Iterable[_Candidate]) -> None:
    """Delete delivered points; the newest leave their leaf until it is in a tile."""
    tiled = tree.tiled_seq(db)
    seqs = [(point.seq,) for point in points]
    kept = [key for key in seqs if key[0] > tiled]
    db.executemany("UPDATE point SET line = NULL WHERE seq = ?", kept)
    gone = [key for key in seqs if key[0] <= tiled]
    db.executemany("DELETE FROM point WHERE seq = ?", gone)


def _blank(db: sqlite3.Connection, points: Iterable[_Candidate]) -> None:
    """Remove the lines and keep the leaves."""
    seqs = [(point.seq,) for point in points]
    db.executemany("UPDATE point SET line = NULL WHERE seq = ?", seqs)
    db.executemany(
        "DELETE FROM delivery WHERE collector IN (SELECT id FROM collector)"
        " AND seq = ?",
        seqs,
    )
    for table in ("quarantine", "temp.claim"):
        db.executemany(f"DELETE FROM {table} WHERE seq = ?", seqs)


def _repack(db: sqlite3.Connection, first: int, last: int) -> None:
    """Rewrite the rows of a span: a page that lost only some rows is not free."""
    span = (first, last)
    rows = db.execute("SELECT * FROM point WHERE seq BETWEEN ? AND ?", span).fetchall()
    db.execute("DELETE FROM point WHERE seq BETWEEN ? AND ?", span)
    db.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?)", rows)


def _by_measurement(
    points: Iterable[_Candidate], now_ns: int, reason: str
) -> list[Removal]:
    """Return a removal for each measurement."""
    by_name = attrgetter("measurement")
    removals = []
    for measurement, group in groupby(sorted(points, key=by_name), by_name):
        same = list(group)
        times_ns = [point.time_ns for point in same]
        seqs = [point.seq for point in same]
        removals.append(
            Removal(
                at_ns=now_ns,
                reason=reason,
                measurement=measurement,
                points=len(same),
                first_ns=min(times_ns),
                last_ns=max(times_ns),
                first_seq=min(seqs),
                last_seq=max(seqs),
            )
        )
    return removals


def _record(db: sqlite3.Connection, removals: Iterable[Removal]) -> None:
    db.executemany(
        "INSERT INTO removal (at_ns, reason, measurement, points,"
        " first_ns, last_ns, first_seq, last_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        map(astuple, removals),
    )


def removals(db: sqlite3.Connection) -> list[Removal]:
    """Return all removals ever recorded."""
    rows = db.execute(
        "SELECT at_ns, reason, measurement, points, first_ns, last_ns,"
        " first_seq, last_seq FROM removal ORDER BY id"
    )
    return [Removal(*row) for row in rows]
