"""Keeps the journal within its limits of size and age, and leaves free disk space."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from qos_agent.journal import eviction, opening, reservations
from qos_agent.journal.eviction import Expiry
from qos_agent.journal.session import Session
from qos_agent.journal.timestamps import Now
from qos_agent.journal.types import JournalEvent, Removal

_EXPIRE_EVERY_NS = 3600 * 10**9
# The journal may use this much even if the disk is short of space.
_MIN_BYTES = 4_000_000
# On a disk that is short of space this much of the file is freed in advance.
_HEADROOM_BYTES = 262_144
_GOAL_PERCENT = 95
# An allowance never counts bytes that are older than this.
_ALLOWANCE_PERIODS = timedelta(days=70)


class RetentionEnforcer:
    """Removes expired points and, if space is short, those that rank lowest."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._expired_boot_ns: int | None = None

    def enforce(self, now: Now) -> None:
        """Bring the journal within its limits before a put. Raises StorageError."""
        self._remove_expired(now)
        limit_bytes = self._limit_bytes()
        if self._used_bytes() <= limit_bytes:
            return
        # Free more than necessary, because each search for the lowest rank reads the
        # whole journal.
        goal_bytes = limit_bytes * _GOAL_PERCENT // 100
        now_ns = now.boot_ns + now.clock.offset_ns
        while self._used_bytes() > goal_bytes:
            if not self._remove_for_space(goal_bytes, now_ns):
                return

    def _remove_expired(self, now: Now) -> None:
        """Remove expired points once an hour, if the clock is trusted."""
        before = self._expired_boot_ns
        recently = before is not None and 0 <= now.boot_ns - before < _EXPIRE_EVERY_NS
        if recently or not now.clock.trusted or not now.boot_ns:
            return
        self._expired_boot_ns = now.boot_ns
        limits = self._session.options.limits
        now_ns = now.boot_ns + now.clock.offset_ns
        expiry = Expiry(
            now_ns, now_ns - int(limits.keep_s * 1e9), now_ns - int(limits.age_s * 1e9)
        )
        self._report(
            self._session.write(
                "remove expired points in", lambda db: _remove_expired(db, expiry)
            )
        )

    def _used_bytes(self) -> int:
        return self._session.read("read", eviction.used_bytes)

    def _remove_for_space(self, goal_bytes: int, now_ns: int) -> bool:
        removals = self._session.write(
            "free space in",
            lambda db: eviction.remove_for_space(db, goal_bytes, now_ns),
        )
        self._report(removals)
        return bool(removals)

    def _limit_bytes(self) -> int:
        limits, path = self._session.options.limits, self._session.file.path
        if path is None:
            return min(limits.size_bytes, opening.MEMORY_BYTES)
        if shutil.disk_usage(path.parent).free >= limits.disk_reserve_bytes:
            return limits.size_bytes
        present_bytes = path.stat().st_size
        return min(limits.size_bytes, max(present_bytes - _HEADROOM_BYTES, _MIN_BYTES))

    def _report(self, removals: Iterable[Removal]) -> None:
        for removal in removals:
            if removal.reason.startswith("undelivered"):
                self._session.add_event(_event(removal))


def _remove_expired(db: sqlite3.Connection, expiry: Expiry) -> list[Removal]:
    moment = datetime.fromtimestamp(expiry.now_ns / 1e9, UTC) - _ALLOWANCE_PERIODS
    reservations.remove_before(db, moment.date().isoformat())
    return eviction.remove_expired(db, expiry)


def _event(removal: Removal) -> JournalEvent:
    span_s = (removal.last_ns - removal.first_ns) / 1e9
    detail = f"{removal.measurement}: {removal.reason}; a span of {span_s:.0f} s"
    return JournalEvent(
        "eviction", detail, removal.points, removal.first_seq, removal.last_seq
    )
