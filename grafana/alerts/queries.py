"""InfluxQL queries of the alert rules on the roll-ups, for InfluxDB 1.8, 2.x and 3.x.

All times are times of measurement. The roll-ups of a minute are computed until it is
`rollups.settle` (three minutes) old, and again when it is ten minutes and one hour old.
The windows lie between these ages, so late data do not change a value within a window.

The text of a query comes from constants of this package, never from user input.
"""

from __future__ import annotations

from grafana.alerts.rule import AlertQuery, Window

OPERATORS = "\"operator\" <> 'all'"
ALL = "\"operator\" = 'all'"
LINK = ("province", "regency", "operator")
PLACE = ("province", "regency")
NETWORK = ("province", "operator")

# The census of a minute is written once. The newest one within an hour counts: a
# regency that is no longer counted keeps its state while the pipeline is repaired.
LAST = Window(3600)
# After the first roll-up of a minute is final, before the one at ten minutes.
SETTLED = Window(600, 240)
# After the roll-up at ten minutes, before the one at an hour: for rare measurements.
RECOMPUTED = Window(3600, 720)
# For late delivery: the heartbeats of agents that deliver late are late too.
LATE_HEARTBEATS = Window(1200, 720)
BASELINE = Window(6 * 3600)
VOTE_AND_COUNT = Window(12 * 3600)


def last(name: str, figure: str, rows: str, by: tuple[str, ...]) -> AlertQuery:
    """Query the newest census of each area; `figure` combines fields of one row."""
    return AlertQuery(name, _outer("last", figure, rows, by), LAST)


def maximum(name: str, figure: str, minutes: int) -> AlertQuery:
    """Query the maximum of the last census minutes of each link.

    The rule waits longer than these minutes, so one bad minute does not fire it. One
    good minute does not end it either.
    """
    return AlertQuery(
        name, _outer("max", figure, OPERATORS, LINK), Window(60 * minutes)
    )


def _outer(function: str, figure: str, rows: str, by: tuple[str, ...]) -> str:
    tags = _tags(by)
    inner = (
        f'SELECT {figure} AS "v" FROM "census" WHERE $timeFilter AND {rows} '
        f"AND WHERE_AREA GROUP BY {tags}"
    )
    return (
        f'SELECT {function}("v") AS "value" FROM ({inner}) '
        f"WHERE $timeFilter GROUP BY {tags}"
    )


def summed(
    name: str,
    figure: str,
    source: tuple[str, str],
    by: tuple[str, ...],
    window: Window = SETTLED,
) -> AlertQuery:
    """Query a ratio of sums; `source` is a measurement and a condition on it."""
    measurement, where = source
    condition = f" AND {where}" if where else ""
    query = (
        f'SELECT {figure} AS "value" FROM "{measurement}" '
        f"WHERE $timeFilter{condition} AND WHERE_AREA GROUP BY {_tags(by)}"
    )
    return AlertQuery(name, query, window)


def places_down(name: str) -> AlertQuery:
    """Query in how many regencies of a province only this operator is down.

    Regencies with fewer than five stations of the operator do not count: the outage of
    one station is not an outage of the operator.
    """
    inner = (
        'SELECT last("down_alone") AS "d", last("expected") AS "e" FROM "census" '
        f"WHERE $timeFilter AND {OPERATORS} AND WHERE_AREA GROUP BY {_tags(LINK)}"
    )
    query = (
        f'SELECT sum("d") AS "value" FROM ({inner}) '
        f'WHERE $timeFilter AND "e" >= 5 GROUP BY {_tags(NETWORK)}'
    )
    return AlertQuery(name, query, LAST)


def voting(rows: str, by: tuple[str, ...], window: Window = LAST) -> AlertQuery:
    """Query if voting is in progress, or was in progress within a longer window.

    The labels are those of the value that it is combined with.
    """
    function = "last" if window is LAST else "max"
    query = (
        f'SELECT {function}("voting") AS "value" FROM "census" '
        f"WHERE $timeFilter AND {rows} AND WHERE_AREA GROUP BY {_tags(by)}"
    )
    return AlertQuery("voting", query, window)


def _tags(by: tuple[str, ...]) -> str:
    return ", ".join(f'"{tag}"' for tag in by)
