"""The data account: a task reserves its worst case before it moves a byte.

A task gets its whole worst case or nothing. Reserved bytes count as spent, on disk,
until the task is settled. After a crash they stay spent in full. Days and months are
those of the station's time zone, as the journal counts them. While the clock is not
trusted, the journal counts on the last known day, so no new day or month begins.
Bytes granted in that time are counted again on the day that the clock later shows.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Protocol
from zoneinfo import ZoneInfo

from qos_agent.config.settings import Settings
from qos_agent.journal import Usage
from qos_agent.model import Clock, Link, Phase, json_text
from qos_agent.model.calendar import Timeline, local_date, midnight_ns, phase_spans
from qos_agent.schedule.allowance import Allowance, Remaining, remaining

# A latency train moves a few kilobytes every few seconds. One commit for each would
# wear out the card. Small tasks therefore share an advance, which is reserved as a
# whole and lost as a whole in a crash.
_SMALL_BYTES = 64_000
_ADVANCE_BYTES = 1_000_000
_ADVANCE = "advance"
_UNDATED = "allowance_undated"
_log = logging.getLogger(__name__)


class UsageLedger(Protocol):
    """The methods of the journal that the account uses."""

    def reserve(
        self, link: str, probe: str, size_bytes: int, boot_id: str, due_boot_ns: int
    ) -> int:
        """Commit a reservation and return its id."""
        ...

    def settle_reservation(self, reservation_id: int, spent_bytes: int) -> None:
        """Replace the reserved bytes by the spent bytes."""
        ...

    def spend(
        self, link: str, probe: str, size_bytes: int, boot_id: str, boot_ns: int
    ) -> None:
        """Count bytes that had no reservation."""
        ...

    def usage(self, link: str, since_day: str) -> Sequence[Usage]:
        """Return the bytes spent on a link since a day (YYYY-MM-DD)."""
        ...

    def day(self, boot_id: str, boot_ns: int) -> str:
        """Return the day on which bytes spent at that time are counted."""
        ...

    def state(self, key: str) -> str | None:
        """Return a stored value."""
        ...

    def set_state(self, key: str, value: str) -> None:
        """Store a value on disk."""
        ...


def allowances(settings: Settings) -> dict[str, Allowance]:
    """Return the configured allowance of each link."""
    return {link.name: _allowance(settings, link.name) for link in settings.links}


def _allowance(settings: Settings, link: str) -> Allowance:
    section = settings.allowance_of(link)
    return Allowance(
        month_bytes=section.monthly,
        day_bytes=section.daily,
        reset_day=section.reset_day,
        roaming=section.roaming,
        reserve_bytes=section.voting_reserve,
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission for one task to move bytes on a link, until it is settled."""

    id: int
    link: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason for which a task must not move bytes: roaming, allowance, reserve."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Today:
    """The time and its accounting day. `wall_ns` is None without a trusted clock."""

    boot_ns: int
    day: date
    wall_ns: int | None


@dataclass(slots=True)
class _Reservation:
    """Bytes reserved in the ledger, and the part that tasks have used.

    `period` is the day, and True within voting hours.
    """

    id: int
    size_bytes: int
    period: tuple[date, bool]
    used_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _OpenGrant:
    """The reservation behind a grant; `undated` if the clock was not trusted."""

    reservation: _Reservation
    undated: bool


@dataclass(slots=True)
class _UndatedUsage:
    """Bytes granted on a link without a trusted clock, and the day they count on."""

    day: str
    size_bytes: int = 0


@dataclass(slots=True)
class _AccountState:
    """The state that the account keeps in memory, in addition to the ledger."""

    ids: count[int] = field(default_factory=lambda: count(1))
    grants: dict[int, _OpenGrant] = field(default_factory=dict)
    advances: dict[str, _Reservation] = field(default_factory=dict)
    undated: dict[str, _UndatedUsage] = field(default_factory=dict)


class AllowanceAccount:
    """Enforces the allowances. Thread-safe.

    `timeline` has the voting hours. `roaming` returns True if a link is in a foreign
    network. It returns None if no modem reports it, which counts as the home network.
    """

    def __init__(
        self,
        ledger: UsageLedger,
        allowances: Mapping[str, Allowance],
        clock: Clock,
        zone: str,
        timeline: Timeline,
        roaming: Callable[[str], bool | None],
    ) -> None:
        self._ledger = ledger
        self._allowances = allowances
        self._clock = clock
        self._zone = ZoneInfo(zone)
        self._timeline = timeline
        self._roaming = roaming
        self._lock = threading.Lock()
        self._state = _AccountState(undated=_undated(ledger.state(_UNDATED) or "{}"))

    def reserve(self, link: Link, probe: str, worst_case_bytes: int) -> Grant | Refusal:
        """Reserve the worst case of a task, on disk.

        Raises StorageError if the reservation cannot be stored. Nothing is granted
        then.
        """
        with self._lock:
            if self._roams(link.name):
                return Refusal("roaming")
            today = self._today()
            reservation = self._reservation(link.name, probe, worst_case_bytes, today)
            if isinstance(reservation, Refusal):
                return reservation
            grant = Grant(next(self._state.ids), link.name, worst_case_bytes)
            undated = today.wall_ns is None
            self._state.grants[grant.id] = _OpenGrant(reservation, undated)
            return grant

    def settle(self, grant: Grant, spent_bytes: int) -> None:
        """Replace the worst case of a grant by the bytes that its task moved.

        Raises KeyError if the grant was settled before. Raises StorageError if the
        ledger cannot be written. The worst case stays counted then.
        """
        with self._lock:
            open_grant = self._state.grants.pop(grant.id)
            difference = spent_bytes - grant.size_bytes
            reservation = open_grant.reservation
            reservation.used_bytes += difference
            if open_grant.undated and grant.link in self._state.undated:
                self._state.undated[grant.link].size_bytes += difference
            if reservation is not self._state.advances.get(grant.link):
                self._settle_reservation(reservation)

    def spend(self, link: str, probe: str, size_bytes: int) -> None:
        """Count bytes that were moved without a reservation, such as deliveries."""
        with self._lock:
            today = self._today()
            boot_id = self._clock.boot_id
            self._ledger.spend(link, probe, size_bytes, boot_id, today.boot_ns)
            if today.wall_ns is None:
                self._add_undated(link, today, size_bytes)

    def may_move(self, link: str, size_bytes: int) -> bool:
        """Return True if a transfer that can wait may move `size_bytes` now."""
        with self._lock:
            if self._roams(link):
                return False
            today = self._today()
            available = self._remaining(link, today)
            return available.refusal_reason(size_bytes, self._voting(today)) is None

    def remaining(self, link: str) -> Remaining:
        """Return the unused allowance of a link. Unsettled bytes count as used."""
        with self._lock:
            return self._remaining(link, self._today())

    def close(self) -> None:
        """Return the unused part of the advances before an orderly stop."""
        with self._lock:
            for link in list(self._state.advances):
                self._end_advance(link)

    def _allowance(self, link: str) -> Allowance:
        return self._allowances.get(link) or Allowance()

    def _roams(self, link: str) -> bool:
        """Return True if the link roams and must not be used while it does."""
        return bool(self._roaming(link)) and not self._allowance(link).roaming

    def _today(self) -> _Today:
        """Return the ledger's day, and the wall time once the ledger agrees with it."""
        boot_ns, clock_state = self._clock.boot_ns(), self._clock.state()
        day = date.fromisoformat(self._ledger.day(self._clock.boot_id, boot_ns))
        wall_ns = boot_ns + clock_state.offset_ns
        if not clock_state.trusted or day != local_date(wall_ns, self._zone):
            return _Today(boot_ns, day, None)
        today = _Today(boot_ns, day, wall_ns)
        if self._state.undated:
            self._date_undated(today)
        return today

    def _date_undated(self, today: _Today) -> None:
        """Count on this day the bytes that were granted before the day was known."""
        for link, usage in self._state.undated.items():
            if usage.day != today.day.isoformat():
                size_bytes = max(0, usage.size_bytes)
                reservation_id = self._enter(link, "undated", size_bytes, today)
                self._ledger.settle_reservation(reservation_id, size_bytes)
        self._state.undated.clear()
        self._store_undated()

    def _add_undated(self, link: str, today: _Today, size_bytes: int) -> None:
        first = _UndatedUsage(today.day.isoformat())
        self._state.undated.setdefault(link, first).size_bytes += size_bytes

    def _store_undated(self) -> None:
        entries = {
            link: [usage.day, usage.size_bytes]
            for link, usage in self._state.undated.items()
        }
        self._ledger.set_state(_UNDATED, json.dumps(entries))

    def _remaining(self, link: str, today: _Today) -> Remaining:
        allowance = self._allowance(link)
        month_start, day = allowance.period(today.day)[0], today.day.isoformat()
        usage = self._ledger.usage(link, month_start.isoformat())
        month_bytes = sum(entry.spent_bytes for entry in usage)
        day_bytes = sum(entry.spent_bytes for entry in usage if entry.day >= day)
        return remaining(allowance, month_bytes, day_bytes, self._votes_left(today))

    def _voting(self, today: _Today) -> bool:
        if today.wall_ns is None:
            return False
        return self._timeline.phase_at(today.wall_ns) is Phase.VOTING

    def _votes_left(self, today: _Today) -> bool:
        """Return True if voting hours of this day are still to come.

        Without a trusted clock any voting hour of the day counts.
        """
        start_ns = midnight_ns(today.day, self._zone)
        end_ns = midnight_ns(today.day + timedelta(days=1), self._zone)
        from_ns = start_ns if today.wall_ns is None else today.wall_ns
        spans = phase_spans(self._timeline, from_ns, end_ns)
        return any(span.phase is Phase.VOTING for span in spans)

    def _reservation(
        self, link: str, probe: str, size_bytes: int, today: _Today
    ) -> _Reservation | Refusal:
        period = (today.day, self._voting(today))
        if size_bytes <= _SMALL_BYTES:
            advance = self._advance(link, size_bytes, today, period)
            if advance is not None:
                advance.used_bytes += size_bytes
                return advance
        reason = self._remaining(link, today).refusal_reason(size_bytes, period[1])
        if reason is not None:
            return Refusal(reason)
        reservation_id = self._enter(link, probe, size_bytes, today)
        return _Reservation(reservation_id, size_bytes, period, size_bytes)

    def _advance(
        self, link: str, size_bytes: int, today: _Today, period: tuple[date, bool]
    ) -> _Reservation | None:
        """Return an advance with `size_bytes` left, or None if none can be reserved.

        An advance is valid for one day, and either within voting hours or outside.
        """
        advance = self._state.advances.get(link)
        if advance is not None:
            unused_bytes = advance.size_bytes - advance.used_bytes
            if advance.period == period and size_bytes <= unused_bytes:
                return advance
            self._end_advance(link)
        available = self._remaining(link, today)
        if available.refusal_reason(_ADVANCE_BYTES, period[1]) is not None:
            return None
        reservation_id = self._enter(link, _ADVANCE, _ADVANCE_BYTES, today)
        advance = _Reservation(reservation_id, _ADVANCE_BYTES, period)
        self._state.advances[link] = advance
        return advance

    def _end_advance(self, link: str) -> None:
        """Settle the used part. Running tasks add their bytes when they are settled."""
        self._settle_reservation(self._state.advances[link])
        del self._state.advances[link]

    def _settle_reservation(self, reservation: _Reservation) -> None:
        self._ledger.settle_reservation(reservation.id, reservation.used_bytes)

    def _enter(self, link: str, probe: str, size_bytes: int, today: _Today) -> int:
        """Reserve bytes in the ledger and return the reservation's id."""
        if today.wall_ns is None:
            self._add_undated(link, today, size_bytes)
            self._store_undated()
        boot_id = self._clock.boot_id
        return self._ledger.reserve(link, probe, size_bytes, boot_id, today.boot_ns)


def _undated(text: str) -> dict[str, _UndatedUsage]:
    """Read stored usage by link; that of a damaged journal is unknown."""
    try:
        return {
            link: _UndatedUsage(date.fromisoformat(day).isoformat(), _size(size_bytes))
            for link, (day, size_bytes) in json_text.loads(text).items()
        }
    except (ValueError, TypeError, AttributeError):
        _log.warning("allowance: the stored usage without a date is damaged")
        return {}


def _size(size_bytes: object) -> int:
    if not isinstance(size_bytes, int) or abs(size_bytes) >= 2**53:
        raise ValueError("no size")
    return size_bytes
