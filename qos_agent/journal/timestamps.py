"""When a pending point was measured, as soon as that can be said.

In order of trust: the clock of this boot once it is trusted; the offset that was
trusted earlier in the same boot; after the hold time the last wall time on record
plus what has elapsed since the boot, flagged, which is never later than the truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.journal.encoding import Stamp
from qos_agent.model import ClockState

# A new offset is written when it moved by more than this: slewing and the kernel's
# corrections are far below, and each write wears the card.
_OFFSET_STEP_NS = 10**9


@dataclass(frozen=True, slots=True)
class Now:
    """The clock at this moment, and how long a point waits for a better one."""

    clock: ClockState
    boot_id: str
    boot_ns: int
    hold_ns: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending point: number, boot, moment in that boot, content."""

    seq: int
    boot_id: str
    boot_ns: int
    content: str


def state(db: sqlite3.Connection, key: str) -> str | None:
    """A named value of the journal."""
    row = db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_state(db: sqlite3.Connection, key: str, value: str) -> None:
    """Set a named value."""
    db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))


def remember(db: sqlite3.Connection, clock: ClockState, boot_id: str) -> None:
    """Keep a trusted offset for readings of this boot that may come to need it."""
    if not clock.trusted:
        return
    known = offset(db, "trusted_offset", boot_id)
    if known is None or abs(known - clock.offset_ns) > _OFFSET_STEP_NS:
        set_state(db, "trusted_offset", f"{boot_id} {clock.offset_ns}")


def offset(db: sqlite3.Connection, key: str, boot_id: str) -> int | None:
    """The kept offset under `key`, where it is of that boot."""
    boot, _, offset_ns = (state(db, key) or "").rpartition(" ")
    return int(offset_ns) if boot == boot_id else None


def waiting(db: sqlite3.Connection) -> list[Waiting]:
    """All pending points in order."""
    rows = db.execute("SELECT seq, boot_id, boot_ns, content FROM pending ORDER BY seq")
    return [Waiting(*row) for row in rows]


def due(db: sqlite3.Connection, now: Now) -> Iterator[tuple[Waiting, Stamp]]:
    """The pending points that can be stamped now, each with its stamp.

    To be stored one by one as they come: a later one may be dated by an earlier.
    """
    for point in waiting(db):
        stamp = _stamp(db, point, now)
        if stamp is not None:
            yield point, stamp


def _stamp(db: sqlite3.Connection, point: Waiting, now: Now) -> Stamp | None:
    clock, same_boot = now.clock, point.boot_id == now.boot_id
    if same_boot and clock.trusted:
        wall_ns = point.boot_ns + clock.offset_ns
        return Stamp(wall_ns, clock.synced, clock.error_ms)
    if same_boot and now.boot_ns - point.boot_ns < now.hold_ns:
        return None
    offset_ns = offset(db, "trusted_offset", point.boot_id)
    if offset_ns is None:
        offset_ns = _held_offset(db, point, now)
    return Stamp(point.boot_ns + offset_ns, synced=False, error_ms=None, held=True)


def _held_offset(db: sqlite3.Connection, point: Waiting, now: Now) -> int:
    """The last wall time before this boot, taken as the moment of the boot."""
    held = offset(db, "held_offset", point.boot_id)
    if held is None:
        row = db.execute(
            "SELECT MAX(time_ns) FROM point WHERE seq < ?", (point.seq,)
        ).fetchone()
        held = now.clock.offset_ns if row[0] is None else int(row[0])
        set_state(db, "held_offset", f"{point.boot_id} {held}")
    return held


def last_time_ns(db: sqlite3.Connection) -> int | None:
    """The newest time stamp on record; None in an empty journal."""
    row = db.execute("SELECT MAX(time_ns) FROM point").fetchone()
    return None if row[0] is None else int(row[0])


def next_seq(db: sqlite3.Connection) -> int:
    """The number of the next point; the newest of all is never removed."""
    row = db.execute(
        "SELECT MAX(0, IFNULL((SELECT MAX(seq) FROM point), 0),"
        " IFNULL((SELECT MAX(seq) FROM pending), 0)) + 1"
    ).fetchone()
    return int(row[0])
