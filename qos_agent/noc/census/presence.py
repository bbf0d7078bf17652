"""The stations that are present, silent or unexpected in each regency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.noc.census.queries import LinkVerdict
from qos_agent.noc.census.spans import Spans
from qos_agent.noc.register.store import Register
from qos_agent.noc.state import State


@dataclass(frozen=True, slots=True)
class RollCall:
    """The stations of one regency by name at a moment.

    `absent` are stations expected here that were not heard here, with the time of
    their last heartbeat if there is one. `unexpected` were heard here and are expected
    elsewhere or nowhere. `left_ns` is the last heartbeat of an unexpected station that
    is silent now. `wrong_clock` are absent stations that report with a wrong clock, and
    its offset in seconds.
    """

    at_ns: int
    present: int
    absent: Mapping[str, int | None]
    unexpected: Mapping[str, int]
    left_ns: int | None = None
    wrong_clock: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Presence:
    """The stations heard in a regency at a moment.

    `last` has the time of each station's last heartbeat, and `links` the last verdict
    of each link. They are None if counts were enough.
    """

    call: RollCall
    fresh: int
    last: Mapping[str, int] | None = None
    newest_ns: int | None = None
    links: Sequence[LinkVerdict] | None = None


def call_roll(
    last_ns: Mapping[str, Mapping[str, int]],
    spans: Spans,
    register: Register,
    state: State,
) -> dict[str, Presence]:
    """Compare the stations heard in each regency with the register.

    Last heartbeats of silent stations are remembered longer than they can be queried.
    """
    presence: dict[str, Presence] = {}
    last_of_silent: dict[str, int] = {}
    for regency, last in last_ns.items():
        registered = register.stations(regency, spans.at_s).keys()
        alive = {s: ns for s, ns in last.items() if ns >= spans.silent[0]}
        silent = [station for station in registered if station not in alive]
        remembered = state.heard(silent)
        left = [ns for s, ns in last.items() if s not in registered and s not in alive]
        call = RollCall(
            spans.at_ns,
            len(alive),
            {s: max(last.get(s, 0), remembered.get(s, 0)) or None for s in silent},
            {s: ns for s, ns in alive.items() if s not in registered},
            max(left, default=None),
        )
        fresh = sum(ns >= spans.late[0] for ns in last.values())
        newest_ns = max(last.values(), default=None)
        presence[regency] = Presence(call, fresh, last, newest_ns)
        last_of_silent |= {s: last[s] for s in silent if s in last}
    if last_of_silent:
        state.remember(last_of_silent)
    return presence
