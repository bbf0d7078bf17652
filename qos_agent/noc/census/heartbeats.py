"""The heartbeats of each regency, as counts if possible, else with stations' names.

The server counts stations, and the last roll call has their names. Two counts show that
the same stations are still there. The first counts the stations heard from `silent`
before the roll call until now. A new station would make it higher than the number
present at the roll call. The second counts the stations that are not silent now. If a
station had become silent, it would be lower. If both are equal to the number present,
these are the same stations. Otherwise the names of that regency are read again. An
unexpected station can therefore never hide that another one has become silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.census import queries
from qos_agent.noc.census.presence import Presence, RollCall
from qos_agent.noc.census.spans import Spans


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """A province's regencies with the same stations as before, and all others.

    `last_ns` has, by regency, each station's last heartbeat.
    """

    counted: Mapping[str, Presence]
    last_ns: Mapping[str, Mapping[str, int]]


def read_heartbeats(
    servers: Mapping[str, Server],
    spans_of: Mapping[str, Spans],
    expected: Iterable[str],
    calls: Mapping[str, RollCall],
    failed: dict[str, str],
) -> dict[str, Heartbeats]:
    """Return the heartbeats by province, and record the error of each that fails."""
    heartbeats = {}
    for province, spans in spans_of.items():
        codes = {code for code in expected if code[:2] == province}
        usable = {
            regency: call
            for regency, call in calls.items()
            if regency[:2] == province
            and spans.roll_call[0] < call.at_ns < spans.at_ns
            and not call.unexpected
        }
        try:
            heartbeats[province] = _read(
                servers[province], province, spans, codes, usable
            )
        except QueryError as error:
            failed[province] = str(error)
    return heartbeats


def _read(
    server: Server,
    province: str,
    spans: Spans,
    expected: set[str],
    calls: Mapping[str, RollCall],
) -> Heartbeats:
    """Read the counts of a province, then the names of the regencies that need them.

    Fresh stations are not silent, and those that are not silent were heard since the
    roll call. If the first and the last number are equal, so is the second, and needs
    no query.
    """
    fresh = queries.heard(server, province, spans.late)
    newest = queries.newest(server, province, spans.silent)
    moments_ns = {regency: call.at_ns for regency, call in calls.items()}
    since = queries.heard_since(server, province, spans.silent, moments_ns)
    same = {r: call for r, call in calls.items() if since.get(r, 0) == call.present}
    doubtful = [r for r, call in same.items() if fresh.get(r, 0) != call.present]
    alive = dict(fresh)
    if doubtful:
        alive |= queries.heard(server, province, spans.silent, doubtful)
    counted = {
        regency: Presence(call, fresh.get(regency, 0), newest_ns=newest.get(regency))
        for regency, call in same.items()
        if alive.get(regency, 0) == call.present
    }
    # A point with another province's regency code cannot be counted in either.
    found = {code for code in newest if code[:2] == province}
    by_name = sorted((expected | found) - counted.keys())
    if not by_name:
        return Heartbeats(counted, {})
    last_ns = queries.roll_call(server, province, spans.lookback, by_name)
    return Heartbeats(counted, last_ns)
