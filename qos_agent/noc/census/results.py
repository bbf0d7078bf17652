"""The census of each regency of a province, counted from its inputs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qos_agent.config.places import regencies
from qos_agent.model import Record
from qos_agent.noc.census.counting import (
    Fields,
    affected_by_operator,
    area_of,
    operator_fields,
    reasons,
    station_fields,
)
from qos_agent.noc.census.inputs import ProvinceInputs
from qos_agent.noc.census.severity import (
    OutageThreshold,
    down,
    link_level,
    station_level,
)
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.census.worst_stations import record, worst_first
from qos_agent.noc.settings import CensusSection

ALL_OPERATORS = "all"


@dataclass(frozen=True, slots=True)
class RegencyResult:
    """The fields and the severity of one regency by operator, and its worst stations.

    The first of `fields` has the counts of all operators. `levels` has no operator
    whose severity is unknown.
    """

    code: str
    zone: str
    at_ns: int
    fields: Sequence[tuple[str, Fields]]
    levels: Mapping[str, int]
    stations: Sequence[Record]


def count_province(
    inputs: ProvinceInputs, settings: CensusSection, voting: VotingWindow
) -> list[RegencyResult]:
    """Return the result of each regency."""
    return [_count(inputs, code, settings, voting) for code in inputs.presence]


def _count(
    inputs: ProvinceInputs, code: str, settings: CensusSection, voting: VotingWindow
) -> RegencyResult:
    area = area_of(inputs, code)
    whole, by_operator = station_fields(area), operator_fields(area)
    affected, causes = affected_by_operator(area), reasons(area)
    threshold = OutageThreshold(settings.outage_share, settings.outage_min)
    downs = down(affected, area.by_operator, threshold)
    levels = {ALL_OPERATORS: station_level(whole, settings.area_share)}
    for operator, fields in by_operator.items():
        levels[operator] = link_level(fields, settings.area_share)
    worst = worst_first(area, settings.silent)
    listed = worst[: settings.worst_stations]
    stations = [record(station, area) for station in listed]
    place, at_ns = regencies().get(code), inputs.spans.at_ns
    common = voting.fields(code, at_ns)
    whole["unlisted"] = len(worst) - len(listed)
    whole["operators_down"] = sum(is_down for is_down, _ in downs.values())
    if place is not None:
        whole.update(latitude=place.latitude, longitude=place.longitude)
    whole.update(causes.get("", {}) | common)
    for operator, fields in by_operator.items():
        fields.update(causes.get(operator, {}) | common)
        if operator in downs:
            fields["down"], fields["down_alone"] = downs[operator]
        if (code, operator) in inputs.expected.tickets:
            fields["ticket"] = inputs.expected.tickets[code, operator]
    return RegencyResult(
        code,
        place.zone if place else "unknown",
        at_ns,
        [(ALL_OPERATORS, whole), *by_operator.items()],
        {name: level for name, level in levels.items() if level is not None},
        stations,
    )
