"""Stations that report all along with a wrong clock, which would look silent.

A heartbeat has the offset of the device's clock from the collector's clock. If its time
without the offset is recent, the station is not silent. Heartbeats of devices that know
no offset show it in another way: between two roll calls they advance like the time, but
stay behind by the same amount. Data that are only late catch up, so they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from qos_agent.influx.query import Server
from qos_agent.noc.census import queries
from qos_agent.noc.census.presence import Presence, RollCall
from qos_agent.noc.census.spans import Spans

# More silent stations of a regency are an outage or not installed yet, and each name
# costs time. A wrong clock is then found after most stations report.
_MOST_PER_REGENCY, _MOST_PER_PROVINCE = 100, 500
# Clocks that are more than a day ahead are not looked for.
_AHEAD_NS = 86400 * 10**9
# How far apart two roll calls must be to show that a delay does not change.
_APART_NS = 4 * 60 * 10**9
_SAME_NS = 60 * 10**9


def with_wrong_clocks(
    server: Server,
    province: str,
    spans: Spans,
    named: Mapping[str, Presence],
    before: Mapping[str, RollCall],
) -> dict[str, Presence]:
    """Return presences that know which absent stations have a wrong clock.

    `before` has the last roll calls. Raises QueryError.
    """
    candidates = {
        code: _candidates(presence.call, before.get(code))
        for code, presence in named.items()
    }
    stations = [station for codes in candidates.values() for station in codes]
    stations = stations[:_MOST_PER_PROVINCE]
    span = spans.lookback[0], spans.at_ns + _AHEAD_NS
    offsets = queries.clock_offsets(server, province, span, stations)
    found: dict[str, Presence] = {}
    for code, presence in named.items():
        wrong = {
            station: offset_s
            for station in candidates[code]
            if (offset_s := _offset_s(station, spans, offsets)) is not None
        }
        call, earlier = presence.call, before.get(code)
        if earlier is not None:
            unknown = candidates[code] - offsets.keys()
            wrong |= _lagging(unknown, call, earlier)
        found[code] = replace(presence, call=replace(call, wrong_clock=wrong))
    return found


def _candidates(call: RollCall, earlier: RollCall | None) -> set[str]:
    """Return the absent stations, or only the known ones if there are too many."""
    if len(call.absent) <= _MOST_PER_REGENCY:
        return set(call.absent)
    return call.absent.keys() & (earlier.wrong_clock.keys() if earlier else set())


def _offset_s(
    station: str, spans: Spans, offsets: Mapping[str, tuple[int, float]]
) -> float | None:
    """Return the offset of a station that is heard by the right time, or None."""
    if station not in offsets:
        return None
    stamped_ns, offset_s = offsets[station]
    heard_ns = stamped_ns - int(offset_s * 1e9)
    return offset_s if spans.silent[0] <= heard_ns <= spans.at_ns else None


def _lagging(
    stations: Iterable[str], call: RollCall, earlier: RollCall
) -> dict[str, float]:
    """Return the offsets of stations whose heartbeats stay behind by the same time."""
    passed_ns = call.at_ns - earlier.at_ns
    found = {}
    for station in stations:
        last_ns, last_before_ns = call.absent[station], earlier.absent.get(station)
        if last_ns is None or last_before_ns is None:
            continue
        advanced_ns = last_ns - last_before_ns
        is_same = abs(advanced_ns - passed_ns) <= _SAME_NS and advanced_ns > 0
        if is_same and (passed_ns >= _APART_NS or station in earlier.wrong_clock):
            found[station] = (last_ns - call.at_ns) / 1e9
    return found
