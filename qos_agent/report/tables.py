"""The tables of a report: figures, completeness, missing stations and definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from qos_agent.report.estimates import between_stations, quantile_bounds, ratio
from qos_agent.report.indicators import (
    DISTRIBUTIONS,
    INDICATORS,
    QUANTILES,
    Distribution,
    Indicator,
)
from qos_agent.report.sums import ArchiveSums, Group, GroupSums, bin_name
from qos_agent.report.types import Scope

INSUFFICIENT = "insufficient data"
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, with everything that is needed to judge and to recalculate it.

    Without enough data `value` is missing, and the sums are not. `low` and `high` are
    the ends of the kind of interval that `interval` names. `scope` says what the value
    describes. `all_good` and `all_bad` are the value if every missing station and slot
    had the best or the worst value of the indicator. `flagged` readings are excluded
    because other traffic or the host made them doubtful.
    """

    indicator: str
    level: str
    area: str | None
    operator: str | None
    phase: str | None
    value: float | None
    unit: str
    low: float | None
    high: float | None
    interval: str
    numerator: int | None
    denominator: int
    counted: str
    stations: int
    readings: int
    excluded: int
    status: str
    scope: Scope = "stations"
    all_good: float | None = None
    all_bad: float | None = None
    missing_stations: int = 0
    missing_slots: int = 0
    flagged: int = 0


def figures(sums: Iterable[GroupSums], *, is_random: bool) -> list[Figure]:
    """Return all figures. Only a random selection of stations has intervals."""
    by_group: dict[Group, dict[str, GroupSums]] = {}
    for found in sums:
        by_group.setdefault(found.group, {})[found.name] = found
    rows: list[Figure] = []
    for group, named in by_group.items():
        rows += [
            _figure(indicator, group, named[indicator.name], is_random)
            for indicator in INDICATORS
            if indicator.name in named
        ]
        for distribution in DISTRIBUTIONS:
            rows += _quantiles(distribution, group, named)
    return rows


def _figure(
    indicator: Indicator, group: Group, found: GroupSums, is_random: bool
) -> Figure:
    sums, factor = found.sums, indicator.factor
    value = ratio(sums)
    is_enough = sums.x >= max(1, indicator.sample_min)
    bounds = None
    if is_random and is_enough:
        bounds = between_stations(sums, is_share=indicator.unit == "ratio")
    return Figure(
        indicator.name,
        group.level,
        group.area,
        group.operator,
        group.phase,
        None if value is None or not is_enough else round(value * factor, _DIGITS),
        indicator.unit,
        None if bounds is None else round(bounds.low * factor, _DIGITS),
        None if bounds is None else round(bounds.high * factor, _DIGITS),
        "" if bounds is None else "95 % between stations",
        sums.y,
        sums.x,
        indicator.counted,
        sums.stations,
        found.readings,
        found.excluded,
        "ok" if is_enough else INSUFFICIENT,
    )


def _quantiles(
    distribution: Distribution, group: Group, named: Mapping[str, GroupSums]
) -> Iterator[Figure]:
    """Yield the quantiles; the value is the upper end of the bin."""
    bins = [named.get(bin_name(distribution, bound)) for bound in distribution.bounds]
    present = [found for found in bins if found is not None]
    if len(present) != len(bins):
        return
    first, counts = present[0], [found.sums.y for found in present]
    is_enough = first.sums.x >= max(1, distribution.sample_min)
    for share in QUANTILES:
        found = quantile_bounds(counts, distribution.bounds, first.sums.x, share)
        low, high = (None, None) if found is None or not is_enough else found
        yield Figure(
            f"{distribution.name}_p{round(share * 100)}",
            group.level,
            group.area,
            group.operator,
            group.phase,
            high,
            distribution.unit,
            low,
            high,
            "" if low is None else "bin",
            None,
            first.sums.x,
            distribution.counted,
            first.sums.stations,
            first.readings,
            first.excluded,
            "ok" if is_enough else INSUFFICIENT,
        )


def missing(sums: ArchiveSums) -> Iterator[tuple[str, str, str]]:
    """Yield indicator, regency and name of stations that have only other readings."""
    for indicator in INDICATORS:
        for regency, station in sums.without(indicator.name):
            yield indicator.name, regency, station


DEFINITIONS = (
    "indicator",
    "meaning",
    "standard",
    "measurement",
    "condition",
    "numerator",
    "denominator",
    "counted",
    "unit",
    "better",
    "sample_min",
)


def definitions() -> Iterator[tuple[str | int, ...]]:
    """Yield the definition of each indicator, with the columns of `DEFINITIONS`."""
    for i in INDICATORS:
        yield (
            i.name,
            i.meaning,
            i.standard,
            i.measurement,
            i.condition,
            i.numerator,
            i.denominator,
            i.counted,
            i.unit,
            i.better,
            i.sample_min,
        )
    for d in DISTRIBUTIONS:
        for share in QUANTILES:
            yield (
                f"{d.name}_p{round(share * 100)}",
                f"{d.meaning}: {share:g}",
                d.standard,
                d.measurement,
                d.condition,
                f"{d.prefix}*",
                d.total,
                d.counted,
                d.unit,
                "low",
                d.sample_min,
            )
