"""From one regency's area to the census's lines: all, each operator, the exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from qos_agent.noc.census.severity import Outage, down, level
from qos_agent.noc.census.worst_stations import record, worst_first
from qos_agent.noc.settings import CensusSection

ALL_OPERATORS = "all"
Fields = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Pen:
    """What lines are written with beside the area itself.

    `since_ns` says since when an area has been at a level; `tickets` are by
    (regency, operator); `polls` are the fields of the voting window.
    """

    limits: CensusSection
    since_ns: Callable[[str, int], int]
    tickets: Mapping[tuple[str, str], str]
    polls: Callable[[str], Fields]

    def lines(self, area: Area) -> Iterator[bytes]:
        """The lines of a regency."""
        troubles = worst_first(area, self.limits.silent)
        named = troubles[: self.limits.exceptions]
        fields = station_fields(area)
        by_operator = operator_fields(area)
        downs = self._downs(area)
        fields["unlisted"] = len(troubles) - len(named)
        fields["operators_down"] = sum(is_down for is_down, _ in downs.values())
        fields |= self._standing(area, ALL_OPERATORS, fields, area.expected)
        why = reasons(area)
        more = _marker(area.code) | _said(why.get("", Reason())) | self.polls(area.code)
        yield _line(area, ALL_OPERATORS, fields | more)
        for operator, own in by_operator.items():
            more = self._of_operator(area, operator, own, downs)
            more |= _said(why.get(operator, Reason())) | self.polls(area.code)
            yield _line(area, operator, own | more)
        yield from (encode(record(trouble, area)) for trouble in named)

    def _of_operator(
        self,
        area: Area,
        operator: str,
        own: Fields,
        downs: Mapping[str, tuple[int, int]],
    ) -> Fields:
        links = sum(_whole(own, f"links_{name}") for name in CLASSES)
        silent, expected = _whole(own, "silent"), _whole(own, "expected")
        more = self._standing(area, operator, own, max(expected, links + silent))
        if operator in downs:
            more["down"], more["down_alone"] = downs[operator]
        ticket = self.tickets.get((area.code, operator))
        given: Fields = {} if ticket is None else {"ticket": ticket}
        return more | given

    def _standing(
        self, area: Area, operator: str, fields: Fields, expected: int
    ) -> Fields:
        kind = "stations" if operator == ALL_OPERATORS else "links"
        counts = {name: _whole(fields, f"{kind}_{name}") for name in CLASSES[:3]}
        counts["silent"] = _whole(fields, "silent")
        found = level(counts, expected, self.limits.area_share)
        if found is None:
            return {}
        since_ns = self.since_ns(f"{area.code}/{operator}", found)
        return {"class_level": found, "since_s": (area.at_ns - since_ns) / 1e9}

    def _downs(self, area: Area) -> dict[str, tuple[int, int]]:
        limits = Outage(self.limits.outage_share, self.limits.outage_min)
        return down(affected_by_operator(area), area.by_operator, limits)


def _said(reason: Reason) -> Fields:
    both = {"kpi": reason.kpi, "side": reason.side}
    return {name: text for name, text in both.items() if text}


def _whole(fields: Fields, name: str) -> int:
    """A count; 0 where there is none to add."""
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
    return encode(Record("census", tags, fields, area.at_ns))
