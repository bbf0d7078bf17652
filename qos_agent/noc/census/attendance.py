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
from math import gcd

from qos_agent.noc.census import questions
from qos_agent.noc.census.questions import Span
from qos_agent.noc.influxql import Server
from qos_agent.noc.register.store import Register
from qos_agent.noc.rollup import MINUTE_NS
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State

# (start of a step of time, stations last heard in it)
Steps = list[tuple[int, int]]


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
    calls = {r: call for r, call in rolls.calls.items() if r[:2] == province}
    last = _last_heard(desk, calls, province, at_ns)
    newest = questions.newest(desk.server, province, desk.spans(at_ns)["silent"])
    found, unproven = {}, []
    for regency in sorted({r for r in expected if r[:2] == province} | last.keys()):
        call, steps = calls.get(regency), last.get(regency, [])
        if call is not None and _is_proven(desk, call, steps, at_ns):
            fresh = _since(steps, desk.spans(at_ns)["late"][0])
            found[regency] = Attendance(call, fresh, None, newest.get(regency))
        else:
            unproven.append(regency)
    for regency, attendance in _by_name(desk, province, unproven, at_ns):
        found[regency] = attendance
        rolls.calls[regency] = attendance.call
    return found


def _last_heard(
    desk: Desk, calls: Mapping[str, RollCall], province: str, at_ns: int
) -> dict[str, Steps]:
    """Stations by the step of their last heartbeat, from before the first roll call on.

    Every moment that is asked about begins a step.
    """
    recent = [at_ns, *(c.at_ns for c in calls.values() if _is_recent(desk, c, at_ns))]
    span = (desk.spans(min(recent))["silent"][0], at_ns)
    late_ns, silent_ns = (
        at_ns - desk.spans(at_ns)[name][0] for name in ("late", "silent")
    )
    step_ns = gcd(late_ns, silent_ns, MINUTE_NS)
    return questions.last_heard(desk.server, province, span, step_ns)


def _since(steps: Steps, from_ns: int) -> int:
    return sum(n for start_ns, n in steps if start_ns >= from_ns)


def _is_recent(desk: Desk, call: RollCall, at_ns: int) -> bool:
    return 0 <= at_ns - call.at_ns < desk.limits.roll_call * 1e9


def _is_proven(desk: Desk, call: RollCall, steps: Steps, at_ns: int) -> bool:
    """Whether the same stations are there as at the roll call."""
    alive = _since(steps, desk.spans(at_ns)["silent"][0])
    ever = _since(steps, desk.spans(call.at_ns)["silent"][0])
    recent = _is_recent(desk, call, at_ns)
    return recent and not call.strangers and alive == ever == call.present


def _by_name(
    desk: Desk, province: str, regencies: Sequence[str], at_ns: int
) -> Iterator[tuple[str, Attendance]]:
    """The attendance of some regencies by the names of all their stations."""
    if not regencies:
        return
    span = desk.spans(at_ns)["lookback"]
    heard = questions.roll_call(desk.server, province, span, regencies)
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
