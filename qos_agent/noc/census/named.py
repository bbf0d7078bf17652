"""Regencies in which counts are not enough: their stations and links, read by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from qos_agent.noc.census import queries
from qos_agent.noc.census.context import ProvinceContext
from qos_agent.noc.census.counting import HeardElsewhere
from qos_agent.noc.census.presence import Presence
from qos_agent.noc.census.queries import LinkVerdict


@dataclass(frozen=True, slots=True)
class NamedRegency:
    """One regency's presence with names, and the last verdict of each of its links."""

    presence: Presence
    links: Sequence[LinkVerdict]


def read_named(
    context: ProvinceContext,
    presence: Mapping[str, Presence],
    unexpected: Mapping[str, int],
) -> dict[str, NamedRegency]:
    """Read the regencies of a province that need names. Raises QueryError."""
    from_ns = context.spans.verdict[0]
    regencies = [r for r, p in presence.items() if needs_names(p, unexpected, from_ns)]
    if not regencies:
        return {}
    server, province, spans = context.server, context.province, context.spans
    links = queries.links_by_name(server, province, spans.verdict, regencies)
    by_count = [regency for regency in regencies if presence[regency].last is None]
    last_ns: dict[str, dict[str, int]] = {}
    if by_count:
        last_ns = queries.roll_call(server, province, spans.lookback, by_count)
    return {
        regency: NamedRegency(
            replace(presence[regency], last=last_ns[regency])
            if regency in last_ns
            else presence[regency],
            links.get(regency, []),
        )
        for regency in regencies
    }


def needs_names(
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


def heard_elsewhere(
    unexpected: Mapping[str, int], provinces: Iterable[Mapping[str, NamedRegency]]
) -> HeardElsewhere:
    """Return the unexpected stations of the nation with their links."""
    named = (regency for regencies in provinces for regency in regencies.values())
    links: dict[str, list[LinkVerdict]] = {}
    for link in (link for regency in named for link in regency.links):
        if link.station in unexpected:
            links.setdefault(link.station, []).append(link)
    return HeardElsewhere(unexpected, links)
