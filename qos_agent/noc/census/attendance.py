"""Who is there in a regency: proven by counts where that is enough, else by names.

The server counts stations; which ones they are is known from the last roll call. The
counts prove that nothing has changed since then: nobody new was heard from
`silent` before the roll call until now (else more would have been heard in all that
time than were there), so whoever is heard now was there, and if they are as many,
they are the same. Anything else, and the names of that regency are read again. A
stranger can therefore never stand in for a station that has gone silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qos_agent.noc.census import questions
from qos_agent.noc.census.questions import Span
from qos_agent.noc.influxql import Server
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
    fresh = questions.heard(desk.server, province, spans["late"])
    alive = questions.heard(desk.server, province, spans["silent"])
    newest = questions.newest(desk.server, province, spans["silent"])
    since = _heard_since(desk, rolls, province, at_ns)
    places = {code for code in expected if code[:2] == province} | alive.keys()
    found = {}
    for regency in sorted(places):
        call = rolls.calls.get(regency)
        counts = (alive.get(regency, 0), since.get(regency, 0))
        proven = call is not None and _is_proven(desk.limits, call, counts, at_ns)
        if call is not None and proven:
            newest_ns = newest.get(regency)
            number = fresh.get(regency, 0)
            found[regency] = Attendance(call, number, None, newest_ns)
        else:
            found[regency] = _by_name(desk, regency, at_ns)
            rolls.calls[regency] = found[regency].call
    return found


def _is_proven(
    limits: CensusSection, call: RollCall, counts: tuple[int, int], at_ns: int
) -> bool:
    """Whether the same stations are there as at the roll call."""
    alive, since = counts
    recent = 0 <= at_ns - call.at_ns < limits.roll_call * 1e9
    return recent and not call.strangers and alive == since == call.present


def _heard_since(desk: Desk, rolls: Rolls, province: str, at_ns: int) -> dict[str, int]:
    """Stations heard from `silent` before each regency's roll call until now."""
    by_moment: dict[int, list[str]] = {}
    for regency, call in rolls.calls.items():
        if regency[:2] == province and call.at_ns < at_ns and not call.strangers:
            by_moment.setdefault(call.at_ns, []).append(regency)
    found: dict[str, int] = {}
    for moment, regencies in by_moment.items():
        span = (desk.spans(moment)["silent"][0], at_ns)
        found |= questions.heard(desk.server, province, span, regencies)
    return found


def _by_name(desk: Desk, regency: str, at_ns: int) -> Attendance:
    spans = desk.spans(at_ns)
    last = questions.roll_call(desk.server, regency, spans["lookback"])
    stations = desk.register.stations(regency, at_ns // 10**9)
    alive = {s: ns for s, ns in last.items() if ns >= spans["silent"][0]}
    fresh = sum(ns >= spans["late"][0] for ns in last.values())
    silent = [station for station in stations if station not in alive]
    known = desk.state.heard(silent)
    absent = {s: max((last.get(s, 0), known.get(s, 0))) or None for s in silent}
    desk.state.remember({s: last[s] for s in silent if s in last})
    strangers = {s: ns for s, ns in alive.items() if s not in stations}
    left = [ns for s, ns in last.items() if s not in stations and s not in alive]
    left_ns = max(left, default=None)
    call = RollCall(at_ns, len(alive), absent, strangers, left_ns)
    return Attendance(call, fresh, last, max(last.values(), default=None))
