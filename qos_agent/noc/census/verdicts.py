"""A province's verdicts as the server counted them; names only of what is not good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qos_agent.noc.census import questions
from qos_agent.noc.census.attendance import Desk
from qos_agent.noc.census.counting import Verdicts
from qos_agent.noc.census.questions import NOT_GOOD, Judged, Span


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts by regency, and the links that are not good, by regency."""

    stations: Mapping[str, Mapping[str, int]]
    links: Mapping[str, Mapping[str, Mapping[str, int]]]
    not_good: Mapping[str, Sequence[Judged]]

    @classmethod
    def ask(cls, desk: Desk, province: str, span: Span) -> Counted:
        """Ask for counts, and for names only where they say that there are any."""
        server = desk.server
        links: dict[str, dict[str, Mapping[str, int]]] = {}
        found = questions.link_classes(server, province, span)
        for (regency, operator), counts in found.items():
            links.setdefault(regency, {})[operator] = counts
        named: dict[str, list[Judged]] = {}
        if any(counts[name] for counts in found.values() for name in NOT_GOOD):
            for regency, link in questions.not_good_links(server, province, span):
                named.setdefault(regency, []).append(link)
        stations = questions.station_classes(server, province, span)
        return cls(stations, links, named)

    def of(self, regency: str, links: Sequence[Judged] | None) -> Verdicts:
        """One regency's; `links` are all its links, where they were read by name."""
        not_good = self.not_good.get(regency, ())
        if links is not None:
            not_good = [link for link in links if link.judged in NOT_GOOD]
        stations, operators = self.stations.get(regency), self.links.get(regency)
        return Verdicts(stations or {}, operators or {}, not_good, links)
