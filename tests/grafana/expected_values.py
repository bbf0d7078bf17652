"""Expected values of panels, computed from the raw points by plain arithmetic.

A `Figure` describes one query: its points, their groups and the computation. InfluxDB
must return exactly these numbers, at the same minutes and for the same tags. It must
do so on raw points and on roll-ups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

import pytest

from qos_agent.model import Record
from tests.grafana.day import Day
from tests.noc.nation import MINUTE_NS
from tests.servers.database import Row

Records = list[Record]
Compute = Callable[[Records], Any]
Key = tuple[Any, ...]
RANGE_S = 3 * 3600.0


def values(records: Iterable[Record], name: str) -> list[Any]:
    """Return the values of a field, from the records that have it."""
    return [r.fields[name] for r in records if name in r.fields]


def total(*names: str) -> Compute:
    """Return a function for the sum of fields; None if no record has one."""

    def compute(records: Records) -> Any:
        numbers = [value for name in names for value in values(records, name)]
        return sum(numbers) if numbers else None

    return compute


def ratio(top: str, bottom: str, scale: float = 1.0) -> Compute:
    """Return a function for a ratio of sums; None if either is missing."""

    def compute(records: Records) -> Any:
        numerator, divisor = values(records, top), values(records, bottom)
        if not numerator or not sum(divisor):
            return None
        return scale * sum(numerator) / sum(divisor)

    return compute


def of(function: Callable[[list[Any]], Any], name: str) -> Compute:
    """Return a function that applies max, min, median or mean to a field."""

    def compute(records: Records) -> Any:
        numbers = values(records, name)
        return function(numbers) if numbers else None

    return compute


def last(name: str) -> Compute:
    """Return a function for the newest value of a field."""

    def compute(records: Records) -> Any:
        dated = [(r.time_ns, r.fields[name]) for r in records if name in r.fields]
        return max(dated)[1] if dated else None

    return compute


@dataclass(frozen=True)
class Figure:
    """The numbers of one query by minute and tags; `where` selects points by tags."""

    measurement: str
    compute: Compute
    by: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)

    def wanted(self, day: Day, only: Mapping[str, Any]) -> dict[Key, Any]:
        """Return the expected numbers over the dashboard's time range."""
        groups: dict[Key, Records] = defaultdict(list)
        for record in chosen(day, self.measurement, {**only, **self.where}):
            minute = record.time_ns // MINUTE_NS * MINUTE_NS
            groups[minute, *(record.tags[tag] for tag in self.by)].append(record)
        computed = {key: self.compute(group) for key, group in groups.items()}
        return {key: value for key, value in computed.items() if value is not None}

    def holds(self, rows: list[Row], day: Day, only: Mapping[str, Any]) -> int:
        """Assert that the rows are as expected; return the number of values."""
        got = {
            (row["time"], *(row[tag] for tag in self.by)): row["value"]
            for row in rows
            if row["value"] is not None
        }
        want = self.wanted(day, only)
        assert got.keys() == want.keys()
        for key, value in want.items():
            assert got[key] == (
                value if isinstance(value, str) else pytest.approx(value, rel=1e-9)
            ), key
        return len(want)


def chosen(
    day: Day, measurement: str, only: Mapping[str, Any], range_s: float = RANGE_S
) -> Iterable[Record]:
    """Yield the points of a measurement in a range before the end, by tags."""
    from_ns = day.end_ns - int(range_s * 1e9)
    for record in day.of(measurement):
        if from_ns <= record.time_ns <= day.end_ns and all(
            record.tags.get(tag) in ([want] if isinstance(want, str) else want)
            for tag, want in only.items()
        ):
            yield record


__all__ = ["Figure", "chosen", "last", "mean", "median", "of", "ratio", "total"]
