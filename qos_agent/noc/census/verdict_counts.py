"""A province's verdicts as the server counted them; names only of what is not good.

The links that are not good come by name, so counts of all that were judged give the
good ones. A station is as its worst link; where none of its links could be judged, the
server is asked whether it has a good one beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qos_agent.noc.census import queries
from qos_agent.noc.census.counting import Verdicts
from qos_agent.noc.census.presence import Desk
from qos_agent.noc.census.queries import CLASSES, NOT_GOOD, Judged, Span

_WORST_FIRST = ("bad", "degraded", "unknown")


@dataclass(frozen=True, slots=True)
class Counted:
    """Stations and links that were judged, and the exceptions, by regency.

    `well` are stations with a good link beside one that could not be judged.
    """

    stations: Mapping[str, int]
    links: Mapping[str, Mapping[str, int]]
    exceptions: Mapping[str, Sequence[Judged]]
    well: frozenset[str] = frozenset()

    @classmethod
    def ask(
        cls, desk: Desk, province: str, span: Span, only: Iterable[str] = ()
    ) -> Counted:
        """Ask for the counts and the exceptions of a province, or of some regencies.

        Counts first: what arrives in between is an exception, and never a good link.
        """
        server, only = desk.server, tuple(only)
        stations = queries.stations_judged(server, province, span, only)
        links: dict[str, dict[str, int]] = {}
        found = queries.links_judged(server, province, span, only)
        for (regency, operator), n in found.items():
            links.setdefault(regency, {})[operator] = n
        exceptions = queries.exceptions(server, province, span, only)
        doubtful = [
            station
            for some in exceptions.values()
            for station, judged in _worst(some).items()
            if judged == "unknown"
        ]
        well = queries.well_beside(server, province, span, doubtful)
        return cls(stations, links, exceptions, frozenset(well))

    def of(self, regency: str, links: Sequence[Judged] | None) -> Verdicts:
        """One regency's; `links` are all its links, where they were read by name."""
        if links is not None:
            return Verdicts({}, {}, _not_good(links), links)
        exceptions = self.exceptions.get(regency, ())
        return Verdicts(
            self._stations(regency, exceptions),
            self._links(regency, exceptions),
            _not_good(exceptions),
        )

    def _stations(self, regency: str, exceptions: Sequence[Judged]) -> dict[str, int]:
        worst = _worst(exceptions)
        counts = dict.fromkeys(CLASSES, 0)
        for station, judged in worst.items():
            counts["good" if station in self.well else judged] += 1
        counts["good"] += max(0, self.stations.get(regency, 0) - len(worst))
        return counts

    def _links(
        self, regency: str, exceptions: Sequence[Judged]
    ) -> dict[str, dict[str, int]]:
        found = {
            operator: dict.fromkeys(CLASSES, 0) | {"good": n}
            for operator, n in self.links.get(regency, {}).items()
        }
        for link in exceptions:
            counts = found.setdefault(link.operator, dict.fromkeys(CLASSES, 0))
            counts["good"] = max(0, counts["good"] - 1)
            counts[link.judged] += 1
        return found


def _not_good(links: Iterable[Judged]) -> list[Judged]:
    return [link for link in links if link.judged in NOT_GOOD]


def _worst(exceptions: Iterable[Judged]) -> dict[str, str]:
    """The worst of each station's links that are not good."""
    worst: dict[str, str] = {}
    for link in exceptions:
        both = (worst.get(link.station, "unknown"), link.judged)
        worst[link.station] = min(both, key=_WORST_FIRST.index)
    return worst
