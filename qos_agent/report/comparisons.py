"""Differences between phases and between operators, at the same stations and hours.

Stations and hours in which only one of the two was measured do not count. Operators are
compared in the same hour of time, and phases in the same hour of the day. What differs
between places and times of day is therefore in no difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Literal

from qos_agent.archive.database import quoted
from qos_agent.report.design import Pair, paired_difference
from qos_agent.report.distributions import t_quantile
from qos_agent.report.expressions import hour_sql, terms_of
from qos_agent.report.frame import LEVELS
from qos_agent.report.indicator_types import Indicator
from qos_agent.report.indicators import INDICATORS
from qos_agent.report.sums import ArchiveSums
from qos_agent.report.types import Comparison

Tag = Literal["phase", "operator"]
# The main figures. A comparison of all of them would find many differences by chance.
COMPARED = (
    "availability",
    "loss",
    "delay_mean",
    "download_mean",
    "upload_mean",
    "form_upload_mean",
    "rsrp_mean",
)
# Before, during and after the vote.
_PHASES = ("pre", "voting", "counting", "post")
# With fewer stations an interval says little, and one station dominates the result.
_STATIONS_MIN = 5
_DIGITS = 6


def comparisons(
    sums: ArchiveSums, levels: Sequence[str] = ("nation", "province")
) -> list[Comparison]:
    """Return the differences of all pairs of phases and of operators in areas.

    The family of a comparison is all those of its kind that have a result.
    """
    rows: list[Comparison] = []
    for kind in ("phase", "operator"):
        found: list[tuple[Comparison, float]] = []
        for measurement, names in _compared(sums).items():
            _fill(sums, measurement, names, kind)
            for level in levels:
                found += _of_level(sums, names, level, kind)
        family = sum(not math.isnan(error) for _, error in found)
        rows += [_with_family(row, error, family) for row, error in found]
    return rows


def _compared(sums: ArchiveSums) -> Mapping[str, tuple[str, ...]]:
    """Return the names of the compared indicators by measurement with readings."""
    names: dict[str, tuple[str, ...]] = {}
    for indicator in INDICATORS:
        if indicator.name in COMPARED and indicator.measurement in sums.measurements:
            known = names.get(indicator.measurement, ())
            names[indicator.measurement] = (*known, indicator.name)
    return names


def _fill(
    sums: ArchiveSums, measurement: str, names: tuple[str, ...], kind: Tag
) -> None:
    """Fill the table `matched`: both sums of each station, pair of tags and area."""
    sql = hour_sql(measurement, names, is_local=kind == "phase")
    sums.engine.fill("hours", sql, measurement)
    wanted = [term.name for term in terms_of(measurement) if term.name in names]
    parts = (_matched(number, name, kind) for number, name in enumerate(wanted))
    sums.db.execute(
        f"CREATE OR REPLACE TEMP TABLE matched AS {' UNION ALL '.join(parts)}"
    )


def _matched(number: int, name: str, kind: Tag) -> str:
    """Return the query of a term: station, pair, sums of matched hours, and hours."""
    tag = quoted(kind)
    hours = (
        f"(SELECT station, province, {tag} AS tag, hour_ns, sum(y{number}_0) AS y,"
        f" sum(x{number}) AS x FROM hours WHERE {tag} IS NOT NULL"
        f" GROUP BY station, province, {tag}, hour_ns HAVING sum(x{number}) > 0)"
    )
    return (
        f"SELECT '{name}' AS name, a.province, station, a.tag AS first,"
        " b.tag AS second, sum(a.y) AS ya, sum(a.x) AS xa, sum(b.y) AS yb,"
        f" sum(b.x) AS xb, count(*) AS hours FROM {hours} AS a JOIN {hours} AS b"
        # A station that has moved to another province is another place.
        " USING (station, province, hour_ns) WHERE a.tag <> b.tag GROUP BY ALL"
    )


def _of_level(
    sums: ArchiveSums, names: Sequence[str], level: str, kind: Tag
) -> Iterator[tuple[Comparison, float]]:
    """Yield the comparisons of the areas of a level with their standard errors."""
    area = "province" if LEVELS[level] else "NULL::VARCHAR"
    for name in names:
        rows = sums.db.execute(
            f"SELECT {area} AS area, first, second, sum(ya), sum(xa), sum(yb),"
            f" sum(xb), sum(hours) FROM matched WHERE name = '{name}'"
            " GROUP BY area, first, second, station"
            " ORDER BY area, first, second, station"
        ).fetchall()
        by_group: dict[tuple[str | None, str, str], list[Sequence[int]]] = {}
        wanted = _pairs(rows, kind)
        for place, first, second, *values in rows:
            if (first, second) in wanted:
                by_group.setdefault((place, first, second), []).append(values)
        for key, stations in by_group.items():
            yield _comparison(_named(name), kind, key, stations)


def _named(name: str) -> Indicator:
    return next(i for i in INDICATORS if i.name == name)


def _pairs(rows: Sequence[Sequence[Any]], kind: Tag) -> set[tuple[str, str]]:
    """Return each pair once: phases in their order of time, operators by name."""
    if kind == "phase":
        return {*combinations(_PHASES, 2)}
    return {*combinations(sorted({row[1] for row in rows}), 2)}


def _comparison(
    indicator: Indicator,
    kind: Tag,
    key: tuple[str | None, str, str],
    stations: Sequence[Sequence[int]],
) -> tuple[Comparison, float]:
    """Return a comparison without intervals, and its standard error in the unit."""
    pairs = [Pair(*map(int, values[:4])) for values in stations]
    hours = sum(int(values[4]) for values in stations)
    first, second, difference, error = paired_difference(pairs)
    factor = indicator.factor
    enough = (
        len(pairs) >= _STATIONS_MIN
        and min(sum(p.x_first for p in pairs), sum(p.x_second for p in pairs))
        >= indicator.sample_min
    )
    row = Comparison(
        indicator.name,
        kind,
        *key,
        round(first * factor, _DIGITS) if enough else None,
        round(second * factor, _DIGITS) if enough else None,
        round(difference * factor, _DIGITS) if enough else None,
        None,
        None,
        indicator.unit,
        hours,
        len(pairs),
        "ok" if enough else "insufficient data",
    )
    return row, error * factor if enough else math.nan


def _with_family(row: Comparison, error: float, family: int) -> Comparison:
    """Return a comparison with its interval, and with that for the whole family."""
    if math.isnan(error) or row.difference is None:
        return replace(row, comparisons=family)
    degrees = row.stations - 1
    half = t_quantile(degrees, 0.975) * error
    half_all = t_quantile(degrees, 1 - 0.025 / family) * error
    return replace(
        row,
        low=round(row.difference - half, _DIGITS),
        high=round(row.difference + half, _DIGITS),
        comparisons=family,
        low_all=round(row.difference - half_all, _DIGITS),
        high_all=round(row.difference + half_all, _DIGITS),
    )
