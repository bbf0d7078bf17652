"""Timestamps of points that wait for a clock, assigned as soon as their time is known.

The sources, in order of trust:
1. the clock of this boot, once it is trusted;
2. the clock offset that was trusted earlier in the same boot;
3. after the hold time, the last stored wall time plus the time since the boot. Such a
   timestamp is flagged. It is never later than the true time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from qos_agent.journal.encoding import Timestamp
from qos_agent.journal.rows import last_time_ns
from qos_agent.model import ClockState
from qos_agent.model.time_span import LAST_NS

# A new offset is written if it differs by more than this. Slewing and the kernel's
# corrections are far smaller, and each write wears the memory card.
_OFFSET_STEP_NS = 10**9
# A damaged row may have values of other types.
_PENDING = """
    SELECT seq, CAST(boot_id AS TEXT), IFNULL(CAST(boot_ns AS INTEGER), 0),
        IFNULL(CAST(content AS TEXT), '')
    FROM pending ORDER BY seq
"""
# The year 2262, with room for the points of one series at the same time.
_LAST_NS = 2**63 - 10**12


@dataclass(frozen=True, slots=True)
class Now:
    """The present state of the clock, and the hold time of waiting points."""

    clock: ClockState
    boot_id: str
    boot_ns: int
    hold_ns: int


@dataclass(frozen=True, slots=True)
class PendingPoint:
    """A point that waits for its timestamp; `content` is its JSON text."""

    seq: int
    boot_id: str
    boot_ns: int
    content: str


def state(db: sqlite3.Connection, key: str) -> str | None:
    """Return a named value of the journal, or None."""
    row = db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def set_state(db: sqlite3.Connection, key: str, value: str) -> None:
    """Set a named value."""
    db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))


def store_trusted_offset(
    db: sqlite3.Connection, clock: ClockState, boot_id: str
) -> None:
    """Store a trusted clock's offset, for later readings of the same boot."""
    if not clock.trusted:
        return
    stored = offset(db, "trusted_offset", boot_id)
    if stored is None or abs(stored - clock.offset_ns) > _OFFSET_STEP_NS:
        set_state(db, "trusted_offset", f"{boot_id} {clock.offset_ns}")


def offset(db: sqlite3.Connection, key: str, boot_id: str) -> int | None:
    """Return the offset stored under `key` if it belongs to that boot.

    A value that is no time, as in a damaged file, is none.
    """
    boot, _, text = (state(db, key) or "").rpartition(" ")
    if boot != boot_id:
        return None
    try:
        offset_ns = int(text)
    except ValueError:
        return None
    return offset_ns if abs(offset_ns) < _LAST_NS else None


def day(db: sqlite3.Connection, boot_id: str, boot_ns: int, zone: tzinfo) -> str:
    """Return the day of a moment, YYYY-MM-DD.

    Without a trusted offset of that boot it is the day of the newest point.
    """
    offset_ns = offset(db, "trusted_offset", boot_id)
    newest_ns = last_time_ns(db) or 0
    time_ns = newest_ns if offset_ns is None else boot_ns + offset_ns
    moment = datetime.fromtimestamp(time_ns / 1e9, UTC)
    return moment.astimezone(zone).date().isoformat()


def stampable(
    db: sqlite3.Connection, now: Now
) -> Iterator[tuple[PendingPoint, Timestamp]]:
    """Yield each waiting point that can be stamped now, with its timestamp.

    Store each one before taking the next: its time may determine the next one's.
    """
    for point in [PendingPoint(*row) for row in db.execute(_PENDING)]:
        timestamp = _timestamp(db, point, now)
        if timestamp is not None:
            yield point, timestamp


def _timestamp(
    db: sqlite3.Connection, point: PendingPoint, now: Now
) -> Timestamp | None:
    clock, same_boot = now.clock, point.boot_id == now.boot_id
    if same_boot and clock.trusted:
        wall_ns = _within_limits(point.boot_ns + clock.offset_ns)
        return Timestamp(wall_ns, clock.synced, clock.error_ms)
    if same_boot and now.boot_ns - point.boot_ns < now.hold_ns:
        return None
    offset_ns = offset(db, "trusted_offset", point.boot_id)
    if offset_ns is None:
        offset_ns = _held_offset(db, point, now)
    wall_ns = _within_limits(point.boot_ns + offset_ns)
    return Timestamp(wall_ns, synced=False, error_ms=None, held=True)


def _within_limits(wall_ns: int) -> int:
    """Return a time that SQLite can store; that of a damaged row may have 65 bits."""
    return max(-_LAST_NS, min(wall_ns, _LAST_NS))


def _held_offset(db: sqlite3.Connection, point: PendingPoint, now: Now) -> int:
    """Return the last wall time before this boot, used as the time of the boot."""
    held = offset(db, "held_offset", point.boot_id)
    if held is None:
        row = db.execute(
            "SELECT CAST(MAX(time_ns) AS INTEGER) FROM point"
            " WHERE seq < ? AND time_ns < ?",
            (point.seq, LAST_NS),
        ).fetchone()
        held = now.clock.offset_ns if row[0] is None else int(row[0])
        set_state(db, "held_offset", f"{point.boot_id} {held}")
    return held
