"""A province's verdicts as the server counts them, with names only of exceptions.

Links that are not good are read by name. The number of good links is the count of all
links with a verdict less these. A station has the class of its worst link. If none of
its named links has a known verdict, another query finds out if it also has a good link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.influx.query import Server
from qos_agent.noc.census import queries
from qos_agent.noc.census.presence import Presence
from qos_agent.noc.census.queries import LinkVerdict
from qos_agent.noc.census.spans import Span


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """Stations and links with a verdict, and the links that are not good, by regency.

    `also_good` are stations with a good link and another link of unknown class.
    """

    stations: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    not_good: Mapping[str, Sequence[LinkVerdict]] = field(default_factory=dict)
    also_good: frozenset[str] = frozenset()


def read_verdicts(
    server: Server, province: str, span: Span, presence: Mapping[str, Presence]
) -> VerdictCounts:
    """Read the verdicts of the regencies whose links were not read by name.

    Raises QueryError.
    """
    by_count = [code for code, regency in presence.items() if regency.links is None]
    if not by_count:
        return VerdictCounts()
    only = by_count if len(by_count) < len(presence) else ()
    return count_verdicts(server, province, span, only)


def count_verdicts(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> VerdictCounts:
    """Read counts and exceptions of a province, or just of some regencies.

    The counts are read first. If the first verdict of a link arrives between the two
    queries, there is at worst one good link too few, and never one too many.
    """
    only = tuple(only)
    stations = queries.stations_with_verdict(server, province, span, only)
    links: dict[str, dict[str, int]] = {}
    counts = queries.links_with_verdict(server, province, span, only)
    for (regency, operator), n in counts.items():
        links.setdefault(regency, {})[operator] = n
    not_good = queries.links_not_good(server, province, span, only)
    doubtful: list[str] = []
    for verdicts in not_good.values():
        known = {link.station for link in verdicts if link.verdict != "unknown"}
        doubtful += dict.fromkeys(
            link.station for link in verdicts if link.station not in known
        )
    also_good = queries.stations_with_good_link(server, province, span, doubtful)
    return VerdictCounts(stations, links, not_good, frozenset(also_good))
