"""The tables of a report: figures, completeness, missing stations and definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from qos_agent.report.bounds import quantile_bounds_with_missing, with_missing
from qos_agent.report.design import Cell, estimate, interval, quantile
from qos_agent.report.estimates import quantile_bounds, ratio
from qos_agent.report.expressions import sql_text
from qos_agent.report.frame import LEVELS
from qos_agent.report.indicator_types import Distribution, Indicator
from qos_agent.report.indicators import DISTRIBUTIONS, INDICATORS, QUANTILES
from qos_agent.report.sums import ArchiveSums, GroupSums
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
    """Return all figures.

    Intervals for all stations need a random selection: that of the register, or the
    statement that the stations of each area are a simple random sample (`is_random`).
    """
    indicators = {i.name: i for i in INDICATORS}
    distributions = {d.name: d for d in DISTRIBUTIONS}
    rows: list[Figure] = []
    for found in sums:
        if indicator := indicators.get(found.name):
            rows.append(_figure(indicator, found, is_random))
        elif distribution := distributions.get(found.name):
            rows += _quantiles(distribution, found, is_random)
    order = {name: number for number, name in enumerate(_names())}
    return sorted(rows, key=lambda row: (_place(row), order[row.indicator]))


def _names() -> Iterator[str]:
    """Yield the names of all figures, in the order of their definitions."""
    yield from (i.name for i in INDICATORS)
    for d in DISTRIBUTIONS:
        yield from (_quantile_name(d, share) for share in QUANTILES)


def _quantile_name(distribution: Distribution, share: float) -> str:
    return f"{distribution.name}_p{round(share * 100)}"


def _place(row: Figure) -> tuple[int, str, str, str]:
    level = [*LEVELS].index(row.level)
    return level, row.area or "", row.operator or "", row.phase or ""


def cells(found: GroupSums, number: int, *, is_random: bool) -> list[Cell]:
    """Return the strata of a group, or none if no interval for all stations exists."""
    if found.is_population:
        return [
            Cell(
                part.bins[number],
                part.stratum.weight or Fraction(1),
                part.stratum.units_reporting,
                part.stratum.units_registered,
            )
            for part in found.strata
            if part.stratum is not None
        ]
    if is_random:
        sums = found.bins[number]
        return [Cell(sums, Fraction(1), sums.stations, None)]
    return []


def _figure(indicator: Indicator, found: GroupSums, is_random: bool) -> Figure:
    factor, is_share = indicator.factor, indicator.is_share
    value, bounds = ratio(found.sums), None
    is_enough = found.sums.x >= max(1, indicator.sample_min)
    known = estimate(cells(found, 0, is_random=is_random))
    if known is not None:
        value = known.value
        bounds = interval(known, is_share=is_share) if is_enough else None
    ends = [
        with_missing(found, 0, end / factor)
        for end in (indicator.best, indicator.worst)
    ]
    return _row(
        found,
        indicator.name,
        indicator.unit,
        indicator.counted,
        is_enough,
        value=_rounded(value if is_enough else None, factor),
        low=_rounded(bounds and bounds[0].low, factor),
        high=_rounded(bounds and bounds[0].high, factor),
        interval="" if bounds is None else bounds[1],
        numerator=found.sums.y,
        all_good=_rounded(ends[0], factor),
        all_bad=_rounded(ends[1], factor),
    )


def _rounded(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, _DIGITS)


def _row(
    found: GroupSums,
    name: str,
    unit: str,
    counted: str,
    is_enough: bool,
    **values: Any,
) -> Figure:
    """Return a figure with what is common to all figures of a group."""
    group = found.group
    return Figure(
        indicator=name,
        level=group.level,
        area=group.area,
        operator=group.operator,
        phase=group.phase,
        unit=unit,
        denominator=found.sums.x,
        counted=counted,
        stations=found.stations,
        readings=found.readings,
        excluded=found.excluded,
        status="ok" if is_enough else INSUFFICIENT,
        scope="population" if found.is_population else "stations",
        missing_stations=found.missing_stations,
        missing_slots=found.missing_slots,
        flagged=found.flagged,
        **values,
    )


def _quantiles(
    distribution: Distribution, found: GroupSums, is_random: bool
) -> Iterator[Figure]:
    """Yield the quantiles; the value is the upper end of the bin."""
    bins, bounds = found.bins, distribution.bounds
    total = found.sums.x
    is_enough = total >= max(1, distribution.sample_min)
    counts = [sums.y for sums in bins]
    ends: tuple[int | None, ...] = (0, *bounds, None)
    for share in QUANTILES:
        low, high = quantile_bounds(counts, bounds, total, share) or (None, None)
        value, kind = high, "bin"
        known = quantile(
            lambda k: cells(found, k, is_random=is_random), len(bounds), share
        )
        if known is not None:
            value = ends[known.index + 1]
            low, high = ends[known.low], ends[known.high + 1]
            kind = "95 % Woodruff"
        extremes = [
            quantile_bounds_with_missing(found, share, is_good=is_good)
            for is_good in (True, False)
        ]
        good, bad = (None if k is None else ends[k + 1] for k in extremes)
        if not is_enough:
            value = low = high = None
        yield _row(
            found,
            _quantile_name(distribution, share),
            distribution.unit,
            distribution.counted,
            is_enough,
            value=value,
            low=low,
            high=high,
            interval="" if low is None else kind,
            numerator=None,
            all_good=good,
            all_bad=bad,
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
    "factor",
    "best",
    "worst",
    "excluded_unless",
)


@cache
def definitions() -> tuple[tuple[str | int | float | None, ...], ...]:
    """Return the definition of each indicator, with the columns of `DEFINITIONS`.

    Expressions are in SQL, so that other tools can calculate the same sums.
    """
    return tuple(_definitions())


def _definitions() -> Iterator[tuple[str | int | float | None, ...]]:
    """Yield the definitions of indicators, then those of quantiles."""
    for i in INDICATORS:
        source = i.numerator_from or i.measurement
        above = sql_text(i.numerator, source)
        yield (
            i.name,
            i.meaning,
            i.standard,
            i.measurement,
            sql_text(i.condition, i.measurement),
            above if source == i.measurement else f"{above} of {source}",
            sql_text(i.denominator, i.measurement),
            i.counted,
            i.unit,
            i.better,
            i.sample_min,
            i.factor,
            i.best,
            i.worst,
            None if i.usable is None else sql_text(i.usable, i.measurement),
        )
    for d in DISTRIBUTIONS:
        for share in QUANTILES:
            yield (
                _quantile_name(d, share),
                f"{d.meaning}: {share:g}",
                d.standard,
                d.measurement,
                sql_text(d.condition, d.measurement),
                f"{d.prefix}*",
                d.total,
                d.counted,
                d.unit,
                "low",
                d.sample_min,
                1.0,
                0.0,
                None,
                None,
            )
