"""Regencies in which counts are not enough: their stations and links, read by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.census import queries
from qos_agent.noc.census.presence import Presence
from qos_agent.noc.census.queries import LinkVerdict
from qos_agent.noc.census.spans import Spans


@dataclass(frozen=True, slots=True)
class HeardElsewhere:
    """Stations heard in a regency that is not their own: last heartbeat, and links."""

    last: Mapping[str, int]
    links: Mapping[str, Sequence[LinkVerdict]]


def read_names(
    servers: Mapping[str, Server],
    spans_of: Mapping[str, Spans],
    presence: Mapping[str, Mapping[str, Presence]],
    failed: dict[str, str],
) -> tuple[dict[str, dict[str, Presence]], HeardElsewhere]:
    """Return the presence by province and regency, with names if they are needed.

    A province that fails is left out, and its error is recorded. The second result has
    the unexpected stations of the nation, which may be registered in any province.
    """
    unexpected = {
        station: last_ns
        for regencies in presence.values()
        for regency in regencies.values()
        for station, last_ns in regency.call.unexpected.items()
    }
    complete: dict[str, dict[str, Presence]] = {}
    links: dict[str, list[LinkVerdict]] = {}
    for province, regencies in presence.items():
        spans = spans_of[province]
        from_ns = spans.verdict[0]
        doubtful = {
            code: regency
            for code, regency in regencies.items()
            if _needs_names(regency, unexpected, from_ns)
        }
        try:
            named = _read(servers[province], province, spans, doubtful)
        except QueryError as error:
            failed[province] = str(error)
            continue
        complete[province] = {**regencies, **named}
        for link in (
            link for regency in named.values() for link in regency.links or ()
        ):
            if link.station in unexpected:
                links.setdefault(link.station, []).append(link)
    return complete, HeardElsewhere(unexpected, links)


def _needs_names(
    presence: Presence, unexpected: Mapping[str, int], verdicts_from_ns: int
) -> bool:
    """Return True if a regency's verdicts cannot be counted on the server.

    That is so with unexpected stations, and if verdicts in the span are of stations
    that are silent now.
    """
    call = presence.call
    return (
        bool(call.unexpected)
        or (call.left_ns is not None and call.left_ns >= verdicts_from_ns)
        or any(station in unexpected for station in call.absent)
        or any(ns is not None and ns >= verdicts_from_ns for ns in call.absent.values())
    )


def _read(
    server: Server, province: str, spans: Spans, presence: Mapping[str, Presence]
) -> dict[str, Presence]:
    """Add the links by name, and the stations if they were only counted."""
    if not presence:
        return {}
    links = queries.links_by_name(server, province, spans.verdict, presence)
    by_count = [code for code, regency in presence.items() if regency.last is None]
    last_ns: dict[str, dict[str, int]] = {}
    if by_count:
        last_ns = queries.roll_call(server, province, spans.lookback, by_count)
    return {
        code: replace(
            regency, last=last_ns.get(code, regency.last), links=links.get(code, ())
        )
        for code, regency in presence.items()
    }
