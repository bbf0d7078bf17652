"""The data allowance: asked before a task moves a byte, settled by what it moved.

A task is granted its worst case or nothing; nothing is shrunk. What is granted counts
as spent, on disk, until it is settled: after a crash it stays spent in full. Days and
months are those of the station's time zone, as the journal counts them. While the
clock is not known the journal counts on the last day it knows: no day and no month
begins anew, and what was granted meanwhile is counted again on the day that the
clock turns out to show.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Protocol
from zoneinfo import ZoneInfo

from qos_agent.config.settings import Settings
from qos_agent.model import Clock, Link, Phase
from qos_agent.model.calendar import Timeline, local_date, midnight_ns, phase_spans
from qos_agent.schedule.allowance import Allowance, Left, left

# A latency train moves some kilobytes every few seconds. A commit for each would wear
# the card, so small tasks draw on an advance that is reserved, and lost, as a whole.
_SMALL_BYTES = 64_000
_ADVANCE_BYTES = 1_000_000
_ADVANCE = "advance"
_UNDATED = "allowance_undated"


class Usage(Protocol):
    """What was spent, or is reserved, on one day."""

    @property
    def day(self) -> str:
        """YYYY-MM-DD."""
        ...

    @property
    def spent_bytes(self) -> int:
        """On the wire, both ways."""
        ...


class Ledger(Protocol):
    """What the budget needs of the journal."""

    def reserve(
        self, link: str, probe: str, size_bytes: int, boot_id: str, due_boot_ns: int
    ) -> int:
        """Commit a reservation; its id."""
        ...

    def settle_reservation(self, reservation_id: int, spent_bytes: int) -> None:
        """Enter what was spent in place of what was reserved."""
        ...

    def spend(
        self, link: str, probe: str, size_bytes: int, boot_id: str, boot_ns: int
    ) -> None:
        """Count bytes that had no reservation."""
        ...

    def usage(self, link: str, since_day: str) -> Sequence[Usage]:
        """What was spent on a link from a day on."""
        ...

    def day(self, boot_id: str, boot_ns: int) -> str:
        """The day that bytes spent at that moment are counted on."""
        ...

    def state(self, key: str) -> str | None:
        """A value kept under a name."""
        ...

    def set_state(self, key: str, value: str) -> None:
        """Keep a value under a name, on disk at the return."""
        ...


def allowances(settings: Settings) -> dict[str, Allowance]:
    """Each link's allowance, as configured."""
    return {link.name: _allowance(settings, link.name) for link in settings.links}


def _allowance(settings: Settings, link: str) -> Allowance:
    section = settings.allowance_of(link)
    return Allowance(
        section.monthly,
        section.daily,
        section.reset_day,
        section.roaming,
        section.voting_reserve,
    )


@dataclass(frozen=True, slots=True)
class _Today:
    """Now, and the day it counts on; `wall_ns` None while the clock is not known."""

    boot_ns: int
    day: date
    wall_ns: int | None


@dataclass(slots=True)
class _Reservation:
    """Bytes entered in the ledger, and how much of them was drawn by tasks."""

    id: int
    size_bytes: int
    key: tuple[date, bool]
    drawn_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Grant:
    link: str
    size_bytes: int
    reservation: _Reservation
    undated: bool


@dataclass(slots=True)
class _Undated:
    """What a link was granted while the clock was not known, and where it counts."""

    day: str
    size_bytes: int = 0


@dataclass(slots=True)
class _Books:
    """What the budget remembers beside the ledger."""

    numbers: count[int] = field(default_factory=lambda: count(1))
    grants: dict[int, _Grant] = field(default_factory=dict)
    advances: dict[str, _Reservation] = field(default_factory=dict)
    undated: dict[str, _Undated] = field(default_factory=dict)


class AllowanceAccount:
    """Guards the allowances. For all threads.

    `timeline` says when votes are cast; `roaming` whether a link is in a foreign
    network, None where no modem says so, which is taken for home.
    """

    def __init__(
        self,
        ledger: Ledger,
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
        kept = json.loads(ledger.state(_UNDATED) or "{}")
        self._books = _Books(
            undated={link: _Undated(*entry) for link, entry in kept.items()}
        )

    def ask(
        self,
        link: Link,
        probe: str,
        worst_case_bytes: int,
        due_boot_ns: int,  # noqa: ARG002  spent now, however long ago it was due
    ) -> int | str:
        """A grant's number, or the reason why not: roaming, allowance, reserve.

        What is granted is on disk. Raises StorageError: then nothing is granted.
        """
        with self._lock:
            if self._roaming(link.name) and not self._of(link.name).roaming:
                return "roaming"
            today = self._today()
            taken = self._take(link.name, probe, worst_case_bytes, today)
            if isinstance(taken, str):
                return taken
            number = next(self._books.numbers)
            undated = today.wall_ns is None
            self._books.grants[number] = _Grant(
                link.name, worst_case_bytes, taken, undated
            )
            return number

    def settle(self, grant: int, spent_bytes: int) -> None:
        """What the task of a grant really moved. KeyError for a grant settled before.

        Raises StorageError: the worst case stays counted then.
        """
        with self._lock:
            given = self._books.grants.pop(grant)
            more = spent_bytes - given.size_bytes
            reservation = given.reservation
            reservation.drawn_bytes += more
            if given.undated and given.link in self._books.undated:
                self._books.undated[given.link].size_bytes += more
            if reservation is not self._books.advances.get(given.link):
                self._enter(reservation)

    def spend(self, link: str, probe: str, size_bytes: int) -> None:
        """Count bytes that nobody asked for: what the uplink delivered."""
        with self._lock:
            today = self._today()
            boot_id = self._clock.boot_id
            self._ledger.spend(link, probe, size_bytes, boot_id, today.boot_ns)
            if today.wall_ns is None:
                self._undate(link, today, size_bytes)

    def may_move(self, link: str, size_bytes: int) -> bool:
        """Whether what can wait may move so many bytes on a link now."""
        with self._lock:
            if self._roaming(link) and not self._of(link).roaming:
                return False
            today = self._today()
            left = self._left(link, today)
            return left.refusal(size_bytes, self._voting(today)) is None

    def left(self, link: str) -> Left:
        """What is left on a link now; worst cases not yet settled are not."""
        with self._lock:
            return self._left(link, self._today())

    def close(self) -> None:
        """Give back what is left of the advances, before an orderly stop."""
        with self._lock:
            for link in list(self._books.advances):
                self._end_advance(link)

    def _of(self, link: str) -> Allowance:
        return self._allowances.get(link) or Allowance()

    def _today(self) -> _Today:
        """The ledger's day; the clock counts once the ledger agrees with it."""
        boot_ns, state = self._clock.boot_ns(), self._clock.state()
        day = date.fromisoformat(self._ledger.day(self._clock.boot_id, boot_ns))
        wall_ns = boot_ns + state.offset_ns
        if not state.trusted or day != local_date(wall_ns, self._zone):
            return _Today(boot_ns, day, None)
        today = _Today(boot_ns, day, wall_ns)
        if self._books.undated:
            self._date_undated(today)
        return today

    def _date_undated(self, today: _Today) -> None:
        """Count on this day what was granted before the day was known."""
        for link, undated in self._books.undated.items():
            if undated.day != today.day.isoformat():
                size_bytes = max(0, undated.size_bytes)
                taken = self._reserve(link, "undated", size_bytes, today)
                self._ledger.settle_reservation(taken, size_bytes)
        self._books.undated.clear()
        self._keep_undated()

    def _undate(self, link: str, today: _Today, size_bytes: int) -> None:
        undated = self._books.undated.setdefault(link, _Undated(today.day.isoformat()))
        undated.size_bytes += size_bytes

    def _keep_undated(self) -> None:
        kept = {link: [u.day, u.size_bytes] for link, u in self._books.undated.items()}
        self._ledger.set_state(_UNDATED, json.dumps(kept))

    def _left(self, link: str, today: _Today) -> Left:
        allowance = self._of(link)
        start, this_day = allowance.period(today.day)[0], today.day.isoformat()
        usage = self._ledger.usage(link, start.isoformat())
        month = sum(use.spent_bytes for use in usage)
        day = sum(use.spent_bytes for use in usage if use.day >= this_day)
        return left(allowance, today.day, (month, day), self._votes_to_come(today))

    def _voting(self, today: _Today) -> bool:
        if today.wall_ns is None:
            return False
        return self._timeline.phase_at(today.wall_ns) is Phase.VOTING

    def _votes_to_come(self, today: _Today) -> bool:
        """Whether votes are cast on this day from now on; all day on a lost clock."""
        start_ns = midnight_ns(today.day, self._zone)
        end_ns = midnight_ns(today.day + timedelta(days=1), self._zone)
        from_ns = start_ns if today.wall_ns is None else today.wall_ns
        rest = phase_spans(self._timeline, from_ns, end_ns)
        return any(stretch.phase is Phase.VOTING for stretch in rest)

    def _take(
        self, link: str, probe: str, size_bytes: int, today: _Today
    ) -> _Reservation | str:
        key = (today.day, self._voting(today))
        if size_bytes <= _SMALL_BYTES:
            advance = self._advance(link, size_bytes, today, key)
            if advance is not None:
                advance.drawn_bytes += size_bytes
                return advance
        refusal = self._left(link, today).refusal(size_bytes, key[1])
        if refusal is not None:
            return refusal
        taken = self._reserve(link, probe, size_bytes, today)
        return _Reservation(taken, size_bytes, key, size_bytes)

    def _advance(
        self, link: str, size_bytes: int, today: _Today, key: tuple[date, bool]
    ) -> _Reservation | None:
        """An advance with room for so many bytes; None where there is none to be had.

        Each is of one day, and within voting hours or without.
        """
        found = self._books.advances.get(link)
        if found is not None:
            room = found.size_bytes - found.drawn_bytes
            if found.key == key and size_bytes <= room:
                return found
            self._end_advance(link)
        if self._left(link, today).refusal(_ADVANCE_BYTES, key[1]) is not None:
            return None
        taken = self._reserve(link, _ADVANCE, _ADVANCE_BYTES, today)
        self._books.advances[link] = _Reservation(taken, _ADVANCE_BYTES, key)
        return self._books.advances[link]

    def _end_advance(self, link: str) -> None:
        """Enter what was drawn; tasks under way enter the rest when they settle."""
        self._enter(self._books.advances[link])
        del self._books.advances[link]

    def _enter(self, reservation: _Reservation) -> None:
        self._ledger.settle_reservation(reservation.id, reservation.drawn_bytes)

    def _reserve(self, link: str, probe: str, size_bytes: int, today: _Today) -> int:
        if today.wall_ns is None:
            self._undate(link, today, size_bytes)
            self._keep_undated()
        boot_id = self._clock.boot_id
        return self._ledger.reserve(link, probe, size_bytes, boot_id, today.boot_ns)
