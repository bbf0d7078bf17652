"""A province's verdicts as the server counts them, with names only of exceptions.

Links that are not good are read by name. The number of good links is the count of all
links with a verdict less these. A station has the class of its worst link. If none of
its named links has a known verdict, another query finds out if it also has a good link.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qos_agent.noc.census import queries
from qos_agent.noc.census.context import ProvinceContext
from qos_agent.noc.census.counting import Verdicts
from qos_agent.noc.census.queries import CLASSES, IMPAIRED, LinkVerdict

_WORST_FIRST = ("bad", "degraded", "unknown")


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """Stations and links with a verdict, and the links that are not good, by regency.

    `also_good` are stations with a good link and another link of unknown class.
    """

    stations: Mapping[str, int]
    links: Mapping[str, Mapping[str, int]]
    not_good: Mapping[str, Sequence[LinkVerdict]]
    also_good: frozenset[str] = frozenset()

    @classmethod
    def read(cls, context: ProvinceContext, only: Iterable[str] = ()) -> VerdictCounts:
        """Read counts and exceptions of a province, or just of some regencies.

        The counts are read first. If the first verdict of a link arrives between the
        two queries, there is at worst one good link too few, and never one too many.
        """
        scope = (context.server, context.province, context.spans.verdict)
        only = tuple(only)
        stations = queries.stations_with_verdict(*scope, only)
        links: dict[str, dict[str, int]] = {}
        for key, n in queries.links_with_verdict(*scope, only).items():
            regency, operator = key
            links.setdefault(regency, {})[operator] = n
        not_good = queries.links_not_good(*scope, only)
        doubtful = [
            station
            for regency_links in not_good.values()
            for station, verdict in _worst(regency_links).items()
            if verdict == "unknown"
        ]
        also_good = queries.stations_with_good_link(*scope, doubtful)
        return cls(stations, links, not_good, frozenset(also_good))

    def of(self, regency: str) -> Verdicts:
        """Return the verdicts of one regency."""
        not_good = self.not_good.get(regency, ())
        return Verdicts(
            self._stations(regency, not_good),
            self._links(regency, not_good),
            impaired(not_good),
        )

    def _stations(
        self, regency: str, not_good: Sequence[LinkVerdict]
    ) -> dict[str, int]:
        worst = _worst(not_good)
        counts = dict.fromkeys(CLASSES, 0)
        for station, verdict in worst.items():
            counts["good" if station in self.also_good else verdict] += 1
        counts["good"] += max(0, self.stations.get(regency, 0) - len(worst))
        return counts

    def _links(
        self, regency: str, not_good: Sequence[LinkVerdict]
    ) -> dict[str, dict[str, int]]:
        by_operator = {
            operator: dict.fromkeys(CLASSES, 0) | {"good": n}
            for operator, n in self.links.get(regency, {}).items()
        }
        for link in not_good:
            counts = by_operator.setdefault(link.operator, dict.fromkeys(CLASSES, 0))
            counts["good"] = max(0, counts["good"] - 1)
            counts[link.verdict] += 1
        return by_operator


def impaired(links: Iterable[LinkVerdict]) -> list[LinkVerdict]:
    """Return the degraded and bad links."""
    return [link for link in links if link.verdict in IMPAIRED]


def _worst(not_good: Iterable[LinkVerdict]) -> dict[str, str]:
    """Return the worst class of each station's links that are not good."""
    worst: dict[str, str] = {}
    for link in not_good:
        both = (worst.get(link.station, "unknown"), link.verdict)
        worst[link.station] = min(both, key=_WORST_FIRST.index)
    return worst
