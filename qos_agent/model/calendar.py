"""The election calendar as data: periods, the timeline of a station, phases. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from qos_agent.model.types import Identity, Phase

ZONES = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}


# Recapitulation takes place above the polling stations; for them the count is over.
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
    """A part of an election in local time, and the stations that it applies to.

    `scope` is "" for all stations, else zones, provinces or stations; `names` lists
    them.
    """

    election: str
    kind: str
    start: datetime
    end: datetime
    scope: str = ""
    names: tuple[str, ...] = ()
    province: str | None = None

    def holds_for(self, identity: Identity) -> bool:
        """Return True if the period applies to a station."""
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
        """Return the rank of the scope; the period with the narrowest scope applies."""
        return 1 + SCOPES.index(self.scope) if self.scope else 0

    def __str__(self) -> str:
        """Return the kind, the start and the end."""
        return f"{self.kind} {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Change:
    """The moment at which a phase begins; `period` None is between elections."""

    at_wall_ns: int
    phase: Phase
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The changes of phase of one station, in order of time."""

    entries: tuple[Change, ...]

    def phase_at(self, wall_ns: int) -> Phase:
        """Return the phase at a moment; the start of a period belongs to it."""
        index = bisect_right(self.entries, wall_ns, key=_moment)
        return self.entries[index - 1].phase if index else Phase.IDLE

    def next_change(self, wall_ns: int) -> tuple[int, Phase] | None:
        """Return the time of the next change and its phase; None if there is none."""
        now = self.phase_at(wall_ns)
        for entry in self.entries[bisect_right(self.entries, wall_ns, key=_moment) :]:
            if entry.phase is not now:
                return entry.at_wall_ns, entry.phase
        return None

    def changes(
        self, before: Phase, elapsed_ns: int, wall_ns: int
    ) -> tuple[Change, ...]:
        """Return the changes of phase in the last `elapsed_ns` of boot time, in order.

        `before` is the phase at the start of that time. The start is calculated back
        from the current wall clock. A step of the clock is therefore one change, not
        one for each phase between, and phases during a suspend are reported.
        """
        since_ns = wall_ns - elapsed_ns
        then = Change(since_ns, self.phase_at(since_ns))
        later = [e for e in self.entries if since_ns < e.at_wall_ns <= wall_ns]
        all_changes = [Change(since_ns, before), then, *later]
        return tuple(
            new for old, new in pairwise(all_changes) if new.phase is not old.phase
        )


def _moment(change: Change) -> int:
    return change.at_wall_ns


@dataclass(frozen=True, slots=True)
class Calendar:
    """All periods of a file. `hash` is the file's SHA-256, 12 digits; None: no file."""

    periods: tuple[Period, ...] = ()
    hash: str | None = None

    def timeline(self, identity: Identity) -> Timeline:
        """Return the changes of phase of one station."""
        periods = [period for period in self.periods if period.holds_for(identity)]
        zone = ZoneInfo(identity.time_zone)
        entries: list[Change] = []
        for moment in sorted({edge for p in periods for edge in (p.start, p.end)}):
            current = [p for p in periods if p.start <= moment < p.end]
            period = max(current, key=Period.rank, default=None)
            if not entries or entries[-1].period is not period:
                phase = PERIODS[period.kind] if period else Phase.IDLE
                entries.append(Change(_wall_ns(moment, zone), phase, period))
        return Timeline(tuple(entries))

    def phase_at(self, wall_ns: int, identity: Identity) -> Phase:
        """Return the phase of a station at a moment; idle outside of all periods."""
        return self.timeline(identity).phase_at(wall_ns)


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
    """Yield the phases of a station in [from_ns, until_ns), in order."""
    while from_ns < until_ns:
        change = timeline.next_change(from_ns)
        end_ns = until_ns if change is None else min(until_ns, change[0])
        yield PhaseSpan(timeline.phase_at(from_ns), from_ns, end_ns)
        from_ns = end_ns


def local_date(wall_ns: int, zone: ZoneInfo) -> date:
    """Return the date of a moment in a time zone."""
    return datetime.fromtimestamp(wall_ns // 10**9, UTC).astimezone(zone).date()


def midnight_ns(day: date, zone: ZoneInfo) -> int:
    """Return the start of a day in a time zone."""
    return int(datetime.combine(day, time(), zone).timestamp()) * 10**9


@dataclass(frozen=True, slots=True)
class StationCalendar:
    """The timeline of a station, with its time zone."""

    timeline: Timeline
    zone: ZoneInfo

    def voting_days(self) -> list[date]:
        """Return the days on which the voting phase begins."""
        changes = self.timeline.entries
        begins = [c.at_wall_ns for c in changes if c.phase is Phase.VOTING]
        return [local_date(at_ns, self.zone) for at_ns in begins]

    def days(self, from_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of [from_ns, until_ns) between midnights."""
        while from_ns < until_ns:
            tomorrow = local_date(from_ns, self.zone) + timedelta(days=1)
            end_ns = min(until_ns, midnight_ns(tomorrow, self.zone))
            yield from_ns, end_ns
            from_ns = end_ns
