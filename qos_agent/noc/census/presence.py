"""The stations that report in each regency, from counts if possible, else by name.

The server counts stations, and the last roll call has their names. Two counts show that
the same stations are still there. If a station that was not there at the roll call had
been heard since `silent` before it, the count over that whole time would be higher
than the number present at the roll call. If it is not higher and as many stations are
heard now as at the roll call, they are the same stations. In every other case the names
of that regency are read again. An unexpected station can therefore never hide that
another one has become silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.noc.census import queries
from qos_agent.noc.census.context import ProvinceContext


@dataclass(frozen=True, slots=True)
class RollCall:
    """The stations of one regency by name at a moment.

    `absent` are stations expected here that were not heard here, with the time of
    their last heartbeat if there is one. `unexpected` were heard here and are expected
    elsewhere or nowhere. `left_ns` is the last heartbeat of an unexpected station that
    is silent now.
    """

    at_ns: int
    present: int
    absent: Mapping[str, int | None]
    unexpected: Mapping[str, int]
    left_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """The stations heard in a regency at a moment.

    `last` has the time of each station's last heartbeat, and is None if counts were
    enough.
    """

    call: RollCall
    fresh: int
    last: Mapping[str, int] | None = None
    newest_ns: int | None = None


@dataclass(slots=True)
class RollCallCache:
    """The last roll call of each regency; empty after a start."""

    calls: dict[str, RollCall] = field(default_factory=dict)
    _register_version: int = -1

    def clear_if_changed(self, register_version: int) -> None:
        """Clear the cache if the register has another version than before."""
        if register_version != self._register_version:
            self.calls.clear()
            self._register_version = register_version

    def usable(self, context: ProvinceContext) -> dict[str, RollCall]:
        """Return the roll calls of a province that are recent and as expected."""
        return {
            regency: call
            for regency, call in self.calls.items()
            if regency[:2] == context.province
            and 0 < context.spans.at_ns - call.at_ns < context.settings.roll_call * 1e9
            and not call.unexpected
        }


def read_presence(
    context: ProvinceContext, cache: RollCallCache, expected: Mapping[str, int]
) -> dict[str, Presence]:
    """Return the presence in each regency of a province. Raises QueryError."""
    server, province, spans = context.server, context.province, context.spans
    calls = cache.usable(context)
    fresh = queries.heard(server, province, spans.late)
    newest = queries.newest(server, province, spans.silent)
    unchanged = _unchanged(context, calls, fresh)
    # A point with another province's regency code cannot be counted in either.
    regencies = {code for code in {*expected, *newest} if code[:2] == province}
    by_name = _by_name(context, sorted(regencies - unchanged))
    cache.calls |= {regency: presence.call for regency, presence in by_name.items()}
    by_count = {
        regency: Presence(
            calls[regency], fresh.get(regency, 0), None, newest.get(regency)
        )
        for regency in unchanged
    }
    return by_count | by_name


def _unchanged(
    context: ProvinceContext, calls: Mapping[str, RollCall], fresh: Mapping[str, int]
) -> set[str]:
    """Return the regencies with the same stations as at their roll call.

    The fresh stations are among those that are not silent, and these are among those
    heard since the roll call. If the first and the last number are equal, so is the
    second, and needs no query.
    """
    since = _heard_since(context, calls)
    same = {r: call for r, call in calls.items() if since.get(r, 0) == call.present}
    doubtful = [r for r, call in same.items() if fresh.get(r, 0) != call.present]
    alive = dict(fresh)
    if doubtful:
        span = context.spans.silent
        alive |= queries.heard(context.server, context.province, span, doubtful)
    return {r for r, call in same.items() if alive.get(r, 0) == call.present}


def _heard_since(
    context: ProvinceContext, calls: Mapping[str, RollCall]
) -> dict[str, int]:
    """Count stations heard from `silent` before each regency's roll call until now."""
    by_moment: dict[int, list[str]] = {}
    for regency, call in calls.items():
        by_moment.setdefault(call.at_ns, []).append(regency)
    silent_from_ns, at_ns = context.spans.silent
    counts: dict[str, int] = {}
    for moment_ns, regencies in by_moment.items():
        span = (silent_from_ns - (at_ns - moment_ns), at_ns)
        counts |= queries.heard(context.server, context.province, span, regencies)
    return counts


def _by_name(context: ProvinceContext, regencies: Sequence[str]) -> dict[str, Presence]:
    """Read the names of all stations of some regencies, and remember who has left."""
    if not regencies:
        return {}
    last_ns = queries.roll_call(
        context.server, context.province, context.spans.lookback, regencies
    )
    presence = {
        regency: _from_names(context, regency, stations)
        for regency, stations in last_ns.items()
    }
    context.state.remember(
        {
            station: last_ns[regency][station]
            for regency, names in presence.items()
            for station in names.call.absent
            if station in last_ns[regency]
        }
    )
    return presence


def _from_names(
    context: ProvinceContext, regency: str, last_ns: Mapping[str, int]
) -> Presence:
    """Compare the stations heard in a regency with the register."""
    spans = context.spans
    stations = context.register.stations(regency, spans.at_s)
    alive = {s: ns for s, ns in last_ns.items() if ns >= spans.silent[0]}
    silent = [station for station in stations if station not in alive]
    remembered = context.state.heard(silent)
    absent = {s: max(last_ns.get(s, 0), remembered.get(s, 0)) or None for s in silent}
    unexpected = {s: ns for s, ns in alive.items() if s not in stations}
    left = [ns for s, ns in last_ns.items() if s not in stations and s not in alive]
    call = RollCall(
        spans.at_ns, len(alive), absent, unexpected, max(left, default=None)
    )
    fresh = sum(ns >= spans.late[0] for ns in last_ns.values())
    return Presence(call, fresh, last_ns, max(last_ns.values(), default=None))
