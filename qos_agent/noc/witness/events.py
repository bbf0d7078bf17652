"""Events and counts of the witness as points for the database of the centre. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from qos_agent.model import Phase, Record, Value
from qos_agent.model.line_protocol import encode, one_line, tag_value
from qos_agent.noc.witness.records import Problem


@dataclass(slots=True)
class Counts:
    """The seals of a regency: stations by state. `stations` have sealed before."""

    stations: int = 0
    late: int = 0
    missing: int = 0
    problems: int = 0


def event_lines(problems: Iterable[tuple[Problem, Phase]]) -> list[bytes]:
    """Return an event for each problem and its phase, at the time of its seal."""
    return [encode(_event(problem, phase)) for problem, phase in problems]


def _event(problem: Problem, phase: Phase) -> Record:
    tags = {
        "station": tag_value(problem.station),
        "province": tag_value(problem.regency[:2]),
        "regency": tag_value(problem.regency),
        "phase": phase.value,
        "kind": problem.kind,
    }
    fields: dict[str, Value] = {"count": 1, "detail": one_line(problem.detail)}
    return Record("event", tags, fields, problem.at_ns)


def count_lines(counts: Mapping[str, Counts], at_ns: int) -> Iterator[bytes]:
    """Yield a point for each regency with sealed journals."""
    for regency, found in counts.items():
        tags = {"province": tag_value(regency[:2]), "regency": tag_value(regency)}
        fields: dict[str, Value] = {
            "stations": found.stations,
            "late": found.late,
            "missing": found.missing,
            "problems": found.problems,
        }
        yield encode(Record("witness", tags, fields, at_ns))
