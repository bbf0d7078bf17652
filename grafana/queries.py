"""InfluxQL queries of the panels, for InfluxDB 1.8, 2.x and 3.x.

The text of a query comes from constants of this package, never from user input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qos_agent.model.schema import RTT_BOUNDS_MS

AREA = '"province" =~ /^${province:regex}$/ AND "regency" =~ /^${regency:regex}$/'
WORST = '"regency" =~ /^${worst:regex}$/'
STATION = '"station" =~ /^${station:regex}$/'
HOME = '"regency" =~ /^${regency:regex}$/'
LINK = STATION + ' AND "link" =~ /^${link:regex}$/'
ANCHOR = "\"layer\" = 'anchor'"
DOWN = "\"direction\" = 'down'"
UP = "\"direction\" = 'up'"
ALL = "\"operator\" = 'all'"
EACH = "\"operator\" <> 'all'"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two sums. The sum `bottom` is also the sample count."""

    top: str
    bottom: str

    def __str__(self) -> str:
        """Return the ratio as InfluxQL."""
        return f"{self.top} / {self.bottom}"


LOSS = Ratio('100.0 * sum("lost")', 'sum("sent")')
DELAY = Ratio('0.001 * sum("rtt_sum_us")', 'sum("received")')
RATE = Ratio('sum("rate_bps")', 'sum("tests")')
UPLOAD = Ratio('sum("upload_sum_ms")', 'sum("uploads")')
PAGE = Ratio('sum("page_sum_ms")', 'sum("pages")')
RSRP = Ratio('sum("rsrp_sum_dbm")', 'sum("rsrp_samples")')
_OLD = 'sum("acked_le_1h") + sum("acked_le_1d") + sum("acked_older")'
LATE = Ratio(f"100.0 * ({_OLD})", f'(sum("acked_le_2m") + {_OLD})')
CROSS = Ratio('100.0 * sum("cross_flagged")', 'sum("tests")')
SKIPPED = Ratio('100.0 * sum("skipped")', 'sum("due")')


def per_beat(field: str, scale: float = 1.0) -> Ratio:
    """Return the mean of a field per heartbeat; times 100 gives the share of a flag."""
    return Ratio(f'{scale} * sum("{field}")', 'sum("beats")')


def select(figure: str, measurement: str, where: str = "", group: str = "") -> str:
    """Return one SELECT over the panel's time range; the result is called `value`."""
    also = f" AND {where}" if where else ""
    by = f" GROUP BY {group}" if group else ""
    return (
        f'SELECT {figure} AS "value" FROM "{measurement}" WHERE $timeFilter{also}{by}'
    )


def over_time(
    figure: str, measurement: str, where: str = "", group: str = "", fill: str = "null"
) -> str:
    """Return a SELECT per interval; Grafana chooses a minute or longer."""
    tags = f", {group}" if group else ""
    by = f"time($__interval){tags} fill({fill})"
    return select(figure, measurement, where, by)


def ratio_over_time(
    ratio: Ratio, measurement: str, where: str = "", group: str = ""
) -> str:
    """Return a ratio per interval, with null for intervals without a sample.

    InfluxDB returns 0 for a division by 0, which would look like a perfect value.
    With null the line is interrupted instead.
    """
    also = f" AND {where}" if where else ""
    tags = f", {group}" if group else ""
    inner = (
        f'SELECT {ratio.top} AS "top", {ratio.bottom} AS "bottom" '
        f'FROM "{measurement}" WHERE $timeFilter{also} '
        f"GROUP BY time($__interval){tags} fill(none)"
    )
    return (
        f'SELECT sum("top") / sum("bottom") AS "value" FROM ({inner}) '
        f'WHERE $timeFilter AND "bottom" > 0 '
        f"GROUP BY time($__interval){tags} fill(null)"
    )


def latest_sum(field: str, where: str = "") -> str:
    """Sum the newest count of each regency over all operators together."""
    return _outer(f'sum("{field}")', field, where)


def change_of_sum(field: str) -> str:
    """Sum the change of a count in each regency over the time range.

    A regency that is missing in the newest minute then does not look like a change.
    """
    return (
        'SELECT sum("change") AS "value" FROM ('
        f'SELECT last("{field}") - first("{field}") AS "change" '
        f'FROM "census" WHERE $timeFilter AND {ALL} '
        'GROUP BY "province", "regency") WHERE $timeFilter'
    )


def minutes_complete(minutes: int) -> str:
    """Return the share of the last minutes that have a complete census."""
    return (
        f'SELECT moving_average(count("complete_ms"), {minutes}) AS "value" '
        'FROM "watermark" WHERE $timeFilter GROUP BY time(1m) fill(0)'
    )


def _outer(figure: str, field: str, where: str) -> str:
    also = f" AND {where}" if where else ""
    return (
        f'SELECT {figure} AS "value" FROM (SELECT last("{field}") AS "{field}" '
        f'FROM "census" WHERE $timeFilter AND {ALL}{also} '
        'GROUP BY "province", "regency") WHERE $timeFilter'
    )


def counted_over_time(field: str, where: str = "") -> str:
    """Return a census count per interval: mean over minutes, sum over regencies."""
    also = f" AND {where}" if where else ""
    return (
        f'SELECT sum("{field}") AS "value" FROM (SELECT mean("{field}") AS "{field}" '
        f'FROM "census" WHERE $timeFilter AND {ALL}{also} '
        'GROUP BY time($__interval), "province", "regency" fill(none)) '
        "WHERE $timeFilter GROUP BY time($__interval) fill(null)"
    )


def columns(names: tuple[str, ...], measurement: str, where: str, group: str) -> str:
    """Return fields of the newest point of each series that has the first field.

    All values come from that one point. A field that it does not have stays empty;
    it is not filled from an older point.
    """
    first, *others = names
    wanted = ", ".join([f'last("{first}") AS "{first}"', *(f'"{n}"' for n in others)])
    return _grouped(wanted, measurement, where, group)


def newest_of_each(
    fields: tuple[str, ...], measurement: str, where: str, group: str
) -> str:
    """Return the newest value of each field, from different points if necessary."""
    wanted = ", ".join(f'last("{name}") AS "{name}"' for name in fields)
    return _grouped(wanted, measurement, where, group)


def _grouped(wanted: str, measurement: str, where: str, group: str) -> str:
    return (
        f'SELECT {wanted} FROM "{measurement}" WHERE $timeFilter AND {where} '
        f"GROUP BY {group}"
    )


def worst_regencies(count: int) -> str:
    """Return the regencies with the most station-minutes of silence and bad links."""
    down = (
        'SELECT sum("silent") + sum("stations_bad") AS "worst" FROM "census" '
        f'WHERE $timeFilter AND {AREA} AND {ALL} AND "class_level" >= 2 '
        'GROUP BY "regency"'
    )
    top = f'SELECT top("worst", "regency", {count}) AS "worst" FROM ({down})'
    return f'SELECT "regency" FROM ({top})'


def search() -> str:
    """Return the first stations whose code or name contains the text of the user."""
    found = 'AND ("station" =~ /${search:regex}/ OR "name" =~ /(?i)${search:regex}/)'
    return f"{_directory(found)} LIMIT 50"


def listed() -> str:
    """Return the entry of the selected station in the directory of its regency."""
    return _directory(f"AND {HOME} AND {STATION}")


def _directory(where: str) -> str:
    names = ("station", "name", "operator", "contact", "ticket", "regency", "province")
    wanted = ", ".join(f'"{name}"' for name in names)
    return f'SELECT {wanted} FROM "directory" WHERE $timeFilter {where}'


def beats_of_minutes(minutes: int, more: int) -> str:
    """Return heartbeats a minute over the last minutes, and 0.1 % of those over more.

    So the figure is 0 only if there was none in the longer time.
    """
    return (
        f'SELECT moving_average(count("beats"), {minutes}) + '
        f'0.001 * moving_average(count("beats"), {more}) AS "value" FROM "agent" '
        f"WHERE $timeFilter AND {STATION} GROUP BY time(1m) fill(0)"
    )


def summed_over_time(field: str, measurement: str, group: str) -> str:
    """Return the sum over some groups of the newest count of each interval."""
    return (
        f'SELECT sum("{field}") AS "value" FROM (SELECT last("{field}") AS "{field}" '
        f'FROM "{measurement}" WHERE $timeFilter '
        f"GROUP BY time($__interval), {group} fill(none)) "
        "WHERE $timeFilter GROUP BY time($__interval) fill(null)"
    )


def newest(
    names: tuple[str, ...], measurement: str, where: str, limit: int = 200
) -> str:
    """Return the newest points."""
    wanted = ", ".join(f'"{name}"' for name in names)
    return (
        f'SELECT {wanted} FROM "{measurement}" WHERE $timeFilter AND {where} '
        f"ORDER BY time DESC LIMIT {limit}"
    )


def derived(figures: Mapping[str, str], inner: str, where: str, group: str) -> str:
    """Compute figures from the rows of an inner query, for the rows that match."""
    wanted = ", ".join(
        figure if figure == f'"{name}"' else f'{figure} AS "{name}"'
        for name, figure in figures.items()
    )
    return (
        f"SELECT {wanted} FROM ({inner}) WHERE $timeFilter AND {where} GROUP BY {group}"
    )


def bins() -> str:
    """Return the number of round trips in each bin of the histogram.

    The stored counts are cumulative, so each bin is a difference of two counts.
    """
    names = [f'sum("rtt_le_{bound}")' for bound in RTT_BOUNDS_MS]
    lower = ["", *names]
    upper = [*names, 'sum("received")']
    titles = [*map(str, RTT_BOUNDS_MS), "more"]
    wanted = ", ".join(
        f'{high} - {low} AS "{title}"' if low else f'{high} AS "{title}"'
        for low, high, title in zip(lower, upper, titles, strict=True)
    )
    return (
        f'SELECT {wanted} FROM "latency" WHERE $timeFilter AND {ANCHOR} AND {AREA} '
        "GROUP BY time($__interval) fill(none)"
    )
