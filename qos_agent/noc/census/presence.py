"""Who is there in a regency: proven by counts where that is enough, else by names.

The server counts stations; which ones they are is known from the last roll call. The
counts prove that nothing has changed since then: nobody new was heard from
`silent` before the roll call until now (else more would have been heard in all that
time than were there), so whoever is heard now was there, and if they are as many,
they are the same. Anything else, and the names of that regency are read again. A
stranger can therefore never stand in for a station that has gone silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.influx.query import Server
from qos_agent.noc.census import queries
from qos_agent.noc.census.queries import Span
from qos_agent.noc.register.store import Register
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State


@dataclass(frozen=True, slots=True)
class RollCall:
    """What the names of one regency said at a moment.

    `absent` are stations expected here that were not heard here, with the time of
    their last heartbeat where there is one; `strangers` were heard here and are
    expected elsewhere or nowhere. `left_ns` is when the last stranger fell silent.
    """

    at_ns: int
    present: int
    absent: Mapping[str, int | None]
    strangers: Mapping[str, int]
    left_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who was heard in a regency at a moment. `last` only where names were read."""

    call: RollCall
    fresh: int
    last: Mapping[str, int] | None = None
    newest_ns: int | None = None


@dataclass(slots=True)
class Rolls:
    """The last roll call of each regency; nothing after a restart.

    `past` is of a moment that was missed: it proves nothing about the present.
    """

    calls: dict[str, RollCall] = field(default_factory=dict)
    version: int = -1
    past: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """What attendance is taken with."""

    server: Server
    register: Register
    state: State
    limits: CensusSection

    def spans(self, at_ns: int) -> dict[str, Span]:
        """The spans of time that end at a moment."""
        ages = {
            "late": self.limits.late,
            "silent": self.limits.silent,
            "lookback": self.limits.lookback,
            "verdict": self.limits.verdict_age,
        }
        return {name: (at_ns - int(s * 1e9), at_ns) for name, s in ages.items()}


def attend(
    desk: Desk, rolls: Rolls, province: str, expected: Mapping[str, int], at_ns: int
) -> dict[str, Attendance]:
    """The attendance of a province's regencies. Raises QueryError."""
    spans = desk.spans(at_ns)
    calls = _calls(desk, rolls, province, at_ns)
    fresh = queries.heard(desk.server, province, spans["late"])
    newest = queries.newest(desk.server, province, spans["silent"])
    proven = _proven(desk, calls, fresh, province, at_ns)
    # A point with another province's regency code cannot be counted in either.
    places = {code for code in {*expected, *newest} if code[:2] == province}
    found = {
        regency: Attendance(
            calls[regency], fresh.get(regency, 0), None, newest.get(regency)
        )
        for regency in proven
    }
    rest = sorted(places - proven)
    for regency, attendance in _by_name(desk, province, rest, at_ns):
        found[regency] = attendance
        rolls.calls[regency] = attendance.call
    return found


def _calls(desk: Desk, rolls: Rolls, province: str, at_ns: int) -> dict[str, RollCall]:
    """The roll calls of a province that can prove anything."""
    return {
        regency: call
        for regency, call in rolls.calls.items()
        if regency[:2] == province
        and 0 < at_ns - call.at_ns < desk.limits.roll_call * 1e9
        and not call.strangers
    }


def _proven(
    desk: Desk,
    calls: Mapping[str, RollCall],
    fresh: Mapping[str, int],
    province: str,
    at_ns: int,
) -> set[str]:
    """The regencies where the same stations are there as at their roll call.

    Those heard lately are among those who are not silent, and these among those heard
    since the roll call: where the first and the last are as many, so are the second.
    """
    since = _heard_since(desk, calls, province, at_ns)
    same = {r: call for r, call in calls.items() if since.get(r, 0) == call.present}
    some = [r for r, call in same.items() if fresh.get(r, 0) != call.present]
    alive = dict(fresh)
    if some:
        span = desk.spans(at_ns)["silent"]
        alive |= queries.heard(desk.server, province, span, some)
    return {r for r, call in same.items() if alive.get(r, 0) == call.present}


def _heard_since(
    desk: Desk, calls: Mapping[str, RollCall], province: str, at_ns: int
) -> dict[str, int]:
    """Stations heard from `silent` before each regency's roll call until now."""
    by_moment: dict[int, list[str]] = {}
    for regency, call in calls.items():
        by_moment.setdefault(call.at_ns, []).append(regency)
    found: dict[str, int] = {}
    for moment, regencies in by_moment.items():
        span = (desk.spans(moment)["silent"][0], at_ns)
        found |= queries.heard(desk.server, province, span, regencies)
    return found


def _by_name(
    desk: Desk, province: str, regencies: Sequence[str], at_ns: int
) -> Iterator[tuple[str, Attendance]]:
    """The attendance of some regencies by the names of all their stations."""
    if not regencies:
        return
    span = desk.spans(at_ns)["lookback"]
    heard = queries.roll_call(desk.server, province, span, regencies)
    left: dict[str, int] = {}
    for regency, last in heard.items():
        found = _called(desk, regency, last, at_ns)
        left |= {s: last[s] for s in found.call.absent if s in last}
        yield regency, found
    desk.state.remember(left)


def _called(
    desk: Desk, regency: str, last: Mapping[str, int], at_ns: int
) -> Attendance:
    spans = desk.spans(at_ns)
    stations = desk.register.stations(regency, at_ns // 10**9)
    alive = {s: ns for s, ns in last.items() if ns >= spans["silent"][0]}
    fresh = sum(ns >= spans["late"][0] for ns in last.values())
    silent = [station for station in stations if station not in alive]
    known = desk.state.heard(silent)
    absent = {s: max((last.get(s, 0), known.get(s, 0))) or None for s in silent}
    strangers = {s: ns for s, ns in alive.items() if s not in stations}
    left = [ns for s, ns in last.items() if s not in stations and s not in alive]
    left_ns = max(left, default=None)
    call = RollCall(at_ns, len(alive), absent, strangers, left_ns)
    return Attendance(call, fresh, last, max(last.values(), default=None))
