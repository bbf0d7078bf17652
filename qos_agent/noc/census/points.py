"""The lines of one regency's census: the whole, each operator, the worst stations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qos_agent.config.places import regencies
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode, tag_value
from qos_agent.noc.census.counting import (
    Area,
    Reason,
    affected_by_operator,
    operator_fields,
    reasons,
    station_fields,
)
from qos_agent.noc.census.queries import CLASSES
from qos_agent.noc.census.severity import OutageThreshold, down, level
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.census.worst_stations import record, worst_first
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State

ALL_OPERATORS = "all"
Fields = dict[str, Value]


@dataclass(frozen=True, slots=True)
class CensusPoints:
    """Turns areas into lines of line protocol.

    `tickets` are by (regency, operator). `past` is True for a minute that was missed
    and is counted now.
    """

    settings: CensusSection
    state: State
    tickets: Mapping[tuple[str, str], str]
    voting: VotingWindow
    past: bool

    def lines(self, area: Area) -> Iterator[bytes]:
        """Yield the lines of a regency, and record its severities in the state."""
        stations = worst_first(area, self.settings.silent)
        listed = stations[: self.settings.worst_stations]
        fields = station_fields(area)
        by_operator = operator_fields(area)
        downs = self._downs(area)
        fields["unlisted"] = len(stations) - len(listed)
        fields["operators_down"] = sum(is_down for is_down, _ in downs.values())
        fields |= self._severity(area, ALL_OPERATORS, fields, area.expected)
        causes = reasons(area)
        voting = self.voting.fields(area.code, area.spans.at_ns)
        fields |= _marker(area.code) | _reason_fields(causes.get("", Reason()))
        yield _line(area, ALL_OPERATORS, fields | voting)
        for operator, counts in by_operator.items():
            more = self._of_operator(area, operator, counts, downs)
            more |= _reason_fields(causes.get(operator, Reason())) | voting
            yield _line(area, operator, counts | more)
        yield from (encode(record(station, area)) for station in listed)

    def _of_operator(
        self,
        area: Area,
        operator: str,
        counts: Fields,
        downs: Mapping[str, tuple[int, int]],
    ) -> Fields:
        """Return an operator's severity, outage and ticket address."""
        links = sum(_count(counts, f"links_{name}") for name in CLASSES)
        silent, expected = _count(counts, "silent"), _count(counts, "expected")
        fields = self._severity(area, operator, counts, max(expected, links + silent))
        if operator in downs:
            fields["down"], fields["down_alone"] = downs[operator]
        ticket = self.tickets.get((area.code, operator))
        if ticket is not None:
            fields["ticket"] = ticket
        return fields

    def _severity(
        self, area: Area, operator: str, fields: Fields, expected: int
    ) -> Fields:
        """Return the severity and its duration; nothing if the severity is unknown."""
        kind = "stations" if operator == ALL_OPERATORS else "links"
        counts = {name: _count(fields, f"{kind}_{name}") for name in CLASSES[:3]}
        counts["silent"] = _count(fields, "silent")
        severity = level(counts, expected, self.settings.area_share)
        if severity is None:
            return {}
        at_ns = area.spans.at_ns
        name = f"{area.code}/{operator}"
        since_ns = self.state.since_ns(name, severity, at_ns, past=self.past)
        return {"class_level": severity, "since_s": (at_ns - since_ns) / 1e9}

    def _downs(self, area: Area) -> dict[str, tuple[int, int]]:
        threshold = OutageThreshold(
            self.settings.outage_share, self.settings.outage_min
        )
        return down(affected_by_operator(area), area.by_operator, threshold)


def _reason_fields(reason: Reason) -> Fields:
    names = {"kpi": reason.kpi, "side": reason.side}
    return {name: value for name, value in names.items() if value}


def _count(fields: Fields, name: str) -> int:
    """Return a count; 0 if the field is absent."""
    return int(fields.get(name, 0))


def _marker(regency: str) -> Fields:
    place = regencies().get(regency)
    if place is None:
        return {}
    return {"latitude": place.latitude, "longitude": place.longitude}


def _line(area: Area, operator: str, fields: Fields) -> bytes:
    place = regencies().get(area.code)
    tags = {
        "province": tag_value(area.code[:2]),
        "regency": tag_value(area.code),
        "operator": tag_value(operator),
        "zone": place.zone if place else "unknown",
    }
    return encode(Record("census", tags, fields, area.spans.at_ns))
