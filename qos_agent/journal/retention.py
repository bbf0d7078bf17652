"""Keeps the journal within its bytes, its age and the room left on the disk."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from qos_agent.journal import eviction, opening, reservations
from qos_agent.journal.eviction import Ages
from qos_agent.journal.session import Session
from qos_agent.journal.timestamps import Now
from qos_agent.journal.types import JournalEvent, Removal

_TIDY_EVERY_NS = 3600 * 10**9
# What the journal takes even of a disk that is short of room already.
_LEAST_BYTES = 4_000_000
# On a short disk so many bytes of the file are freed ahead, to be used again.
_HEADROOM_BYTES = 262_144
_GOAL_PERCENT = 95
# No month of an allowance reaches back further.
_ALLOWANCE_PERIODS = timedelta(days=70)


class Tidier:
    """Removes what has had its time, and the least valuable when room is short."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tidied_boot_ns: int | None = None

    def make_room(self, now: Now) -> None:
        """Before a put: within the limits again. Raises StorageError."""
        self._remove_aged(now)
        limit_bytes = self._limit_bytes()
        if self._used_bytes() <= limit_bytes:
            return
        # Some room ahead: looking for the least valuable reads the whole journal.
        goal_bytes = limit_bytes * _GOAL_PERCENT // 100
        now_ns = now.boot_ns + now.clock.offset_ns
        while self._used_bytes() > goal_bytes:
            if not self._remove_for_room(goal_bytes, now_ns):
                return

    def _remove_aged(self, now: Now) -> None:
        """Once an hour, and only on a clock that is to be believed."""
        before = self._tidied_boot_ns
        recently = before is not None and 0 <= now.boot_ns - before < _TIDY_EVERY_NS
        if recently or not now.clock.trusted or not now.boot_ns:
            return
        self._tidied_boot_ns = now.boot_ns
        limits = self._session.plan.limits
        now_ns = now.boot_ns + now.clock.offset_ns
        ages = Ages(
            now_ns, now_ns - int(limits.keep_s * 1e9), now_ns - int(limits.age_s * 1e9)
        )
        self._tell(self._session.write("tidy", lambda db: _tidy(db, ages)))

    def _used_bytes(self) -> int:
        return self._session.read("read", eviction.used_bytes)

    def _remove_for_room(self, goal_bytes: int, now_ns: int) -> bool:
        removed = self._session.write(
            "make room in",
            lambda db: eviction.remove_for_room(db, goal_bytes, now_ns),
        )
        self._tell(removed)
        return bool(removed)

    def _limit_bytes(self) -> int:
        limits, path = self._session.plan.limits, self._session.file.path
        if path is None:
            return min(limits.size_bytes, opening.MEMORY_BYTES)
        if shutil.disk_usage(path.parent).free >= limits.disk_reserve_bytes:
            return limits.size_bytes
        own = max(_file_bytes(path) - _HEADROOM_BYTES, _LEAST_BYTES)
        return min(limits.size_bytes, own)

    def _tell(self, removals: Iterable[Removal]) -> None:
        for removal in removals:
            if removal.reason.startswith("undelivered"):
                self._session.tell(_event(removal))


def _tidy(db: sqlite3.Connection, ages: Ages) -> list[Removal]:
    moment = datetime.fromtimestamp(ages.now_ns / 1e9, UTC) - _ALLOWANCE_PERIODS
    reservations.forget(db, moment.date().isoformat())
    return eviction.remove_aged(db, ages)


def _event(removal: Removal) -> JournalEvent:
    span_s = (removal.last_ns - removal.first_ns) / 1e9
    detail = f"{removal.measurement}: {removal.reason}; a span of {span_s:.0f} s"
    return JournalEvent(
        "eviction", detail, removal.points, removal.first_seq, removal.last_seq
    )


def _file_bytes(path: Path) -> int:
    return path.stat().st_size
