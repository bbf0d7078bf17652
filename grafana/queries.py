# ruff: noqa: S608  InfluxQL from literals of this package, no input of anybody
"""InfluxQL that runs alike on InfluxDB 1.8, 2.x and 3.x; ratios of sums."""

from __future__ import annotations

AREA = '"province" =~ /^${province:regex}$/ AND "regency" =~ /^${regency:regex}$/'
STATION = '"station" =~ /^${station:regex}$/'
LOSS = '100.0 * sum("lost") / sum("sent")'
DELAY = 'sum("rtt_sum_us") / sum("received") / 1000.0'
RATE = 'sum("rate_bps") / sum("tests")'
UPLOAD = 'sum("upload_sum_ms") / sum("uploads")'
LATE = (
    '100.0 * (sum("acked_le_1h") + sum("acked_le_1d") + sum("acked_older")) / '
    '(sum("acked_le_2m") + sum("acked_le_1h") + '
    'sum("acked_le_1d") + sum("acked_older"))'
)
SKIPPED = '100.0 * sum("skipped") / sum("due")'
HELD = '100.0 * sum("clock_held") / sum("beats")'
FORM_FAILURES = '100.0 * sum("failed") / (sum("ok") + sum("failed"))'


def select(figure: str, measurement: str, where: str = "", group: str = "") -> str:
    """One SELECT bound to the panel's time; `figure` is named value."""
    also = f" AND {where}" if where else ""
    by = f" GROUP BY {group}" if group else ""
    return (
        f'SELECT {figure} AS "value" FROM "{measurement}" WHERE $timeFilter{also}{by}'
    )


def over_time(figure: str, measurement: str, where: str = "", group: str = "") -> str:
    """The same by minute or coarser, as the panel's width allows."""
    tags = f", {group}" if group else ""
    return select(figure, measurement, where, f"time($__interval){tags} fill(none)")


def latest_sum(field: str, where: str = "") -> str:
    """The nation's newest count: each regency's last, summed; never over operators."""
    also = f" AND {where}" if where else ""
    return (
        f'SELECT sum("n") AS "value" FROM (SELECT last("{field}") AS "n" FROM "census" '
        f"WHERE $timeFilter AND \"operator\" = 'all'{also} "
        'GROUP BY "province", "regency") WHERE $timeFilter'
    )


def columns(fields: tuple[str, ...], measurement: str, where: str, group: str) -> str:
    """The newest value of several fields, one row a series."""
    wanted = ", ".join(f'last("{name}") AS "{name}"' for name in fields)
    return (
        f'SELECT {wanted} FROM "{measurement}" WHERE $timeFilter AND {where} '
        f"GROUP BY {group}"
    )


def sums(fields: tuple[str, ...], measurement: str, where: str) -> str:
    """Sums of several additive fields over time."""
    wanted = ", ".join(f'sum("{name}") AS "{name}"' for name in fields)
    return (
        f'SELECT {wanted} FROM "{measurement}" WHERE $timeFilter AND {where} '
        "GROUP BY time($__interval) fill(none)"
    )
