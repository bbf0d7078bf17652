"""The election calendar as data: periods, one station's timeline, phases. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from qos_agent.model.types import Identity, Phase

ZONES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}


# Recapitulation is done above the polling stations: for them it is after the count.
PERIODS = {
    "pre": Phase.PRE,
    "voting": Phase.VOTING,
    "counting": Phase.COUNTING,
    "recapitulation": Phase.POST,
    "post": Phase.POST,
}


SCOPES = ("zones", "provinces", "stations")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of an election in local time, and for whom it holds.

    `scope` is "" for all, else zones, provinces or stations, listed in `names`.
    """

    election: str
    kind: str
    start: datetime
    end: datetime
    scope: str = ""
    names: tuple[str, ...] = ()
    province: str | None = None

    def holds_for(self, identity: Identity) -> bool:
        """Whether the period is one of that station's."""
        match self.scope:
            case "zones":
                return any(ZONES[name] == identity.time_zone for name in self.names)
            case "provinces":
                return identity.province in self.names
            case "stations":
                return identity.station in self.names
            case _:
                return True

    def rank(self) -> int:
        """How narrow the scope is; the narrowest wins."""
        return 1 + SCOPES.index(self.scope) if self.scope else 0

    def __str__(self) -> str:
        """As a person would say it."""
        return f"{self.kind} {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Change:
    """A moment from which another phase holds; `period` None is between elections."""

    at_wall_ns: int
    phase: Phase
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """One station's periods in order of time, the last one without end."""

    entries: tuple[Change, ...]

    def phase_at(self, wall_ns: int) -> Phase:
        """The phase at that moment; the first nanosecond of a period is in it."""
        index = bisect_right(self.entries, wall_ns, key=_moment)
        return self.entries[index - 1].phase if index else Phase.IDLE

    def next_change(self, wall_ns: int) -> tuple[int, Phase] | None:
        """When the phase changes next, and to what; None when it never does."""
        now = self.phase_at(wall_ns)
        for entry in self.entries[bisect_right(self.entries, wall_ns, key=_moment) :]:
            if entry.phase is not now:
                return entry.at_wall_ns, entry.phase
        return None

    def changes(
        self, before: Phase, elapsed_ns: int, wall_ns: int
    ) -> tuple[Change, ...]:
        """Every change of phase in the last `elapsed_ns` of boot time, oldest first.

        `before` is the phase known then. The time before now is reckoned back from
        today's wall clock: a step of the clock is one change, not a tour of all the
        phases between, and a suspend over a phase is still told of.
        """
        since_ns = wall_ns - elapsed_ns
        then = Change(since_ns, self.phase_at(since_ns))
        later = [e for e in self.entries if since_ns < e.at_wall_ns <= wall_ns]
        found = [Change(since_ns, before), then, *later]
        return tuple(new for old, new in pairwise(found) if new.phase is not old.phase)


def _moment(change: Change) -> int:
    return change.at_wall_ns


@dataclass(frozen=True, slots=True)
class Calendar:
    """All periods of a file. `hash` is the file's SHA-256, 12 digits; None: no file."""

    periods: tuple[Period, ...] = ()
    hash: str | None = None

    def timeline(self, identity: Identity) -> Timeline:
        """What this calendar says to one station."""
        mine = [period for period in self.periods if period.holds_for(identity)]
        zone = ZoneInfo(identity.time_zone)
        entries: list[Change] = []
        for moment in sorted({edge for p in mine for edge in (p.start, p.end)}):
            here = [p for p in mine if p.start <= moment < p.end]
            period = max(here, key=Period.rank, default=None)
            if not entries or entries[-1].period is not period:
                phase = PERIODS[period.kind] if period else Phase.IDLE
                entries.append(Change(_wall_ns(moment, zone), phase, period))
        return Timeline(tuple(entries))

    def phase_at(self, wall_ns: int, identity: Identity) -> Phase:
        """The phase of a station at a moment; idle where no period holds."""
        return self.timeline(identity).phase_at(wall_ns)

    def next_change(self, wall_ns: int, identity: Identity) -> tuple[int, Phase] | None:
        """When a station's phase changes next, and to what; None when it never does."""
        return self.timeline(identity).next_change(wall_ns)


def _wall_ns(local: datetime, zone: ZoneInfo) -> int:
    since = local.replace(tzinfo=zone) - _EPOCH
    return since // timedelta(microseconds=1) * 1000


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A span of wall time in one phase."""

    phase: Phase
    from_ns: int
    until_ns: int


def phase_spans(timeline: Timeline, from_ns: int, until_ns: int) -> Iterator[PhaseSpan]:
    """The phases of a station from one moment to before another, in order."""
    while from_ns < until_ns:
        change = timeline.next_change(from_ns)
        end_ns = until_ns if change is None else min(until_ns, change[0])
        yield PhaseSpan(timeline.phase_at(from_ns), from_ns, end_ns)
        from_ns = end_ns


def local_date(wall_ns: int, zone: ZoneInfo) -> date:
    """The day of a moment in a time zone."""
    return datetime.fromtimestamp(wall_ns // 10**9, UTC).astimezone(zone).date()


def midnight_ns(day: date, zone: ZoneInfo) -> int:
    """When a day begins in a time zone."""
    return int(datetime.combine(day, time(), zone).timestamp()) * 10**9


@dataclass(frozen=True, slots=True)
class StationCalendar:
    """Where and when: a station's phases in its time zone."""

    timeline: Timeline
    zone: ZoneInfo

    def voting_days(self) -> list[date]:
        """The days on which its votes are cast."""
        changes = self.timeline.entries
        begins = [c.at_wall_ns for c in changes if c.phase is Phase.VOTING]
        return [local_date(at_ns, self.zone) for at_ns in begins]

    def days(self, from_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
        """The span cut at midnights."""
        while from_ns < until_ns:
            tomorrow = local_date(from_ns, self.zone) + timedelta(days=1)
            end_ns = min(until_ns, midnight_ns(tomorrow, self.zone))
            yield from_ns, end_ns
            from_ns = end_ns
