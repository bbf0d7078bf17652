"""The lines of a province: regencies, operators and the worst stations. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qos_agent.config.places import regencies
from qos_agent.model import Record
from qos_agent.model.line_protocol import encode, one_line, tag_value
from qos_agent.noc.census.local_time import local_time, zone_of
from qos_agent.noc.census.results import ALL_OPERATORS, RegencyResult
from qos_agent.noc.census.severity import LEVELS

_DOWN = ("silent", "stations_bad")
_LABELLED = frozenset(map(LEVELS.index, ("bad", "silent")))
_PROBLEMS = frozenset(map(LEVELS.index, ("degraded", "bad", "silent")))


def encode_points(
    results: Sequence[RegencyResult], since_ns: Mapping[tuple[str, str], int]
) -> list[bytes]:
    """Return the lines of the regencies of a province.

    `since_ns` is the moment since which each (regency, operator) has had its severity.
    Empty texts are left out.
    """
    lines = []
    for record in _records(results, since_ns):
        tags = {name: tag_value(text) for name, text in record.tags.items()}
        fields = {
            name: one_line(value) if isinstance(value, str) else value
            for name, value in record.fields.items()
        }
        present = {name: value for name, value in fields.items() if value != ""}
        lines.append(encode(Record(record.measurement, tags, present, record.time_ns)))
    return lines


def _records(
    results: Sequence[RegencyResult], since_ns: Mapping[tuple[str, str], int]
) -> Iterator[Record]:
    labelled = _worst_code(results)
    for result in results:
        code, at_ns = result.code, result.at_ns
        zone = zone_of(code)
        place = {"province": code[:2], "regency": code, "zone": result.zone}
        for operator, counts in result.fields:
            fields = dict(counts)
            if operator in result.levels:
                fields["class_level"] = result.levels[operator]
                fields["since_s"] = (at_ns - since_ns[code, operator]) / 1e9
                if result.levels[operator] in _PROBLEMS and zone is not None:
                    began_ns = since_ns[code, operator]
                    fields["since_local"] = local_time(began_ns, at_ns, zone)
            if code == labelled and operator == ALL_OPERATORS:
                fields["label"] = regencies()[code].name
            yield Record("census", place | {"operator": operator}, fields, at_ns)
        yield from result.stations


def _worst_code(results: Sequence[RegencyResult]) -> str | None:
    """Return the regency whose name the map shows: the most stations down, and bad."""
    down = {
        result.code: sum(int(fields.get(name) or 0) for name in _DOWN)
        for result in results
        for operator, fields in result.fields
        if operator == ALL_OPERATORS
        and result.levels.get(operator) in _LABELLED
        and result.code in regencies()
    }
    return max(down, key=lambda code: (down[code], code), default=None)
