"""Judges figures by the thresholds of the regulator's template. Pure.

None ships as statutory, because no numeric statute for mobile data in Indonesia was
found. A figure with an interval is judged only if the whole interval is on one side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache

from qos_agent.config.faults import invalid
from qos_agent.report.tables import (
    DEFINITIONS,
    INSUFFICIENT,
    Figure,
    definitions,
)
from qos_agent.report.types import Judgement


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit of an indicator in its unit, a minimum or a maximum."""

    indicator: str
    limit: float
    is_least: bool
    source: str
    legal_status: str


@dataclass(frozen=True, slots=True)
class Definition:
    """The parts of an indicator's definition that pages show."""

    name: str
    meaning: str
    standard: str
    counted: str
    unit: str
    better: str
    numerator: str
    denominator: str
    sample_min: int


# Names of columns that differ from those of the fields.
_COLUMNS = {"name": "indicator"}


@cache
def defined() -> Mapping[str, Definition]:
    """Return the definitions of all indicators by name."""
    rows = (dict(zip(DEFINITIONS, row, strict=True)) for row in definitions())
    names = [field.name for field in fields(Definition) if field.name != "sample_min"]
    return {
        str(row["indicator"]): Definition(
            **{name: str(row[_COLUMNS.get(name, name)]) for name in names},
            sample_min=int(row["sample_min"] or 0),
        )
        for row in rows
    }


def limited(name: str, unit: str, *, is_least: bool) -> None:
    """Refuse a limit that an indicator cannot have. Raises PydanticCustomError."""
    definition = defined().get(name)
    if definition is None:
        problem = "is not an indicator"
        fix = "use a name of the table definitions.csv of a report"
        raise invalid(problem, key="indicator", found=repr(name), fix=fix)
    if unit != definition.unit:
        raise invalid(f"must be {definition.unit}", key="unit", found=repr(unit))
    if is_least is not (definition.better == "high"):
        key, other = ("at_least", "at_most") if is_least else ("at_most", "at_least")
        problem = f"does not fit {name}, whose good values are {definition.better}"
        raise invalid(problem, key=key, fix=f"use {other}")


def judged(figure: Figure, thresholds: Iterable[Threshold]) -> Judgement:
    """Return the judgement of a figure by the first threshold of its indicator."""
    found = next((t for t in thresholds if t.indicator == figure.indicator), None)
    if found is None:
        return "no threshold"
    if figure.value is None or figure.status == INSUFFICIENT:
        return "insufficient data"
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    if low >= found.limit if found.is_least else high <= found.limit:
        return "meets"
    if high < found.limit if found.is_least else _is_above(figure, low, found):
        return "does not meet"
    return "insufficient data"


def _is_above(figure: Figure, low: float, threshold: Threshold) -> bool:
    """Return True if all values are above a limit; those of a bin are above `low`."""
    if figure.interval == "bin":
        return low >= threshold.limit
    return low > threshold.limit
