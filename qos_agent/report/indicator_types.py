"""The form of an indicator: literal data with expressions over one measurement.

An expression is a function of an Ibis table, so that only a report loads Ibis. The
values are whole numbers, because sums of other floats depend on the order of the rows:
rates are rounded to whole bits, and times to whole microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

# Ibis has no types that mypy could check.
Table = Any
Column = Any
Expression = Callable[[Table], Column]

# An hour of trains of 20 packets every 5 minutes (docs/method/statistics.md).
PACKETS_MIN = 240
# Fewer tests than this say little about a mean.
TESTS_MIN = 30
# A float above this limit may not fit into the 64 bits of a whole number.
# Spark and Sail read a literal with a point as a decimal, so all are whole numbers.
_ROUNDED_MAX = 10**15


@dataclass(frozen=True, slots=True)
class Indicator:
    """A ratio of two sums over the readings of a measurement with a condition.

    `better` is the direction of good values. A denominator below `sample_min` is
    insufficient data. The figure is the ratio times `factor`, in `unit`. `best` and
    `worst` are the ends of its possible values. Readings that are not `usable` are
    excluded and counted. The numerator may come from another measurement of the link.
    """

    name: str
    meaning: str
    standard: str
    measurement: str
    condition: Expression
    numerator: Expression
    denominator: Expression
    counted: str
    unit: str
    better: Literal["high", "low"]
    sample_min: int
    factor: float = 1.0
    best: float = 1.0
    worst: float = 0.0
    usable: Expression | None = None
    numerator_from: str | None = None

    @property
    def is_share(self) -> bool:
        """True if the figure is between 0 and 1."""
        return self.unit == "ratio"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Quantiles of a cumulative histogram: counts of values up to each bound."""

    name: str
    meaning: str
    standard: str
    measurement: str
    condition: Expression
    prefix: str
    bounds: tuple[int, ...]
    total: str
    counted: str
    unit: str
    sample_min: int


def everything(_: Table) -> Column:
    """Accept every reading."""
    return True


def anchors(t: Table) -> Column:
    """Accept readings of targets in the layer of anchors."""
    return t.layer == "anchor"


def pages(t: Table) -> Column:
    """Accept readings of pages."""
    return ~forms(t)


def forms(t: Table) -> Column:
    """Accept readings of form uploads; earlier agents mark only successful ones."""
    return (t.forms.fill_null(0) > 0) | t.uploads.notnull()


def field(name: str) -> Expression:
    """Return a field with whole numbers."""
    return lambda t: t[name]


def whole(name: str, factor: int = 1) -> Expression:
    """Return a float field, rounded to a whole number of a smaller unit."""

    def rounded(t: Table) -> Column:
        value = t[name] * factor
        # Only a value that no link can have is above the limit. It stays as it is.
        is_small = value.between(-_ROUNDED_MAX, _ROUNDED_MAX)
        return is_small.ifelse(value.round().cast("float64"), value)

    return rounded


def total(*names: str) -> Expression:
    """Return a sum of fields as a float, which cannot overflow."""

    def added(t: Table) -> Column:
        parts = [t[name].cast("float64") for name in names]
        return sum(parts[1:], start=parts[0])

    return added
