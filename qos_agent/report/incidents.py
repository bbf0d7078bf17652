"""Incidents of places, from the incidents that single devices recorded. Pure.

Devices of one operator in one province whose outages overlap have one incident. Its
place is the regency if all of them are in one, otherwise the province.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from qos_agent.report.readings import Outage, Station
from qos_agent.report.types import Incident


@dataclass(frozen=True, slots=True)
class PlaceIncident:
    """An incident of a place, with the outages of its stations."""

    incident: Incident
    outages: tuple[Outage, ...]

    @property
    def minutes(self) -> float:
        """The minutes that all links together were without a connection."""
        ends = ((o.end_ns or o.start_ns) - o.start_ns for o in self.outages)
        return sum(ends) / 60e9


def incidents_of(
    outages: Iterable[Outage], stations: Sequence[Station]
) -> list[PlaceIncident]:
    """Return the incidents in order of their start."""
    ordered = sorted(outages, key=lambda o: (o.province, o.operator, o.start_ns))
    found = [
        _incident(group, stations)
        for _, same in groupby(ordered, key=lambda o: (o.province, o.operator))
        for group in _overlapping(same)
    ]
    return sorted(found, key=lambda p: (p.incident.start_ns, p.incident.incident_id))


def _overlapping(outages: Iterable[Outage]) -> Iterator[tuple[Outage, ...]]:
    """Yield groups of outages that overlap; one without an end lasts."""
    group: list[Outage] = []
    end_ns = 0
    for outage in outages:
        if group and outage.start_ns > end_ns:
            yield tuple(group)
            group = []
        own_ns = 2**63 - 1 if outage.end_ns is None else outage.end_ns
        end_ns = max(end_ns, own_ns) if group else own_ns
        group.append(outage)
    if group:
        yield tuple(group)


def _incident(group: tuple[Outage, ...], stations: Sequence[Station]) -> PlaceIncident:
    first = group[0]
    places = {outage.regency for outage in group}
    area = first.regency if len(places) == 1 else first.province
    start_ns = min(outage.start_ns for outage in group)
    ends = [outage.end_ns for outage in group if outage.end_ns is not None]
    signs = {s for o in group for s in (o.sign_1, o.sign_2) if s}
    incident = Incident(
        incident_id=f"{area}-{first.operator}-{_compact(start_ns)}",
        area=area,
        operator=first.operator,
        start_ns=start_ns,
        end_ns=max(ends) if len(ends) == len(group) else None,
        cause=_most(outage.cause for outage in group),
        side=_most(outage.side for outage in group),
        stations=len({outage.station for outage in group}),
        of_stations=_measured(stations, area, first.operator),
        signs=tuple(sorted(signs)),
        ticket=None,
        reported_ns=None,
    )
    return PlaceIncident(incident, group)


def _compact(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}"


def _most(values: Iterable[str]) -> str:
    """Return the most frequent value, of equal ones the first in the alphabet."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def _measured(stations: Sequence[Station], area: str, operator: str) -> int:
    """Return the stations of an area that measured over an operator."""
    return len(
        {
            row.station
            for row in stations
            if area in (row.province, row.regency) and row.operator == operator
        }
    )
