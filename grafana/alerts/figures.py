# ruff: noqa: S608  InfluxQL from literals of this package, no input of anybody
"""What alerts ask of the roll-ups: InfluxQL of 1.8, 2.x and 3.x, one figure each.

Time here is time of measurement. A minute's sums are made while it is younger than
`rollups.settle`, three minutes, and made again when it is ten minutes and an hour old:
windows lie between those ages, so that what arrives late changes nothing in them.
"""

from __future__ import annotations

from grafana.alerts.rule import Ask, Window

OPERATORS = "\"operator\" <> 'all'"
ALL = "\"operator\" = 'all'"
LINK = ("province", "regency", "operator")
PLACE = ("province", "regency")
NETWORK = ("province", "operator")

# The census of a minute is written once. The last of an hour: a regency that is not
# counted any more keeps its state, until somebody has seen to the pipeline.
LAST = Window(3600)
# After the last sum of a minute, before it is made again at ten minutes.
SETTLED = Window(600, 240)
# After it was made again at ten minutes, before an hour; for what is measured rarely.
REPEATED = Window(3600, 720)
# The same for what agents that are late say of it: their own heartbeats are late too.
LATECOMERS = Window(1200, 720)
BASELINE = Window(6 * 3600)
VOTE_AND_COUNT = Window(12 * 3600)


def last(name: str, figure: str, rows: str, by: tuple[str, ...]) -> Ask:
    """The newest census of each area; `figure` is arithmetic on fields of one row."""
    return Ask(name, _outer("last", figure, rows, by), LAST)


def greatest(name: str, figure: str, minutes: int) -> Ask:
    """The greatest of the last census minutes of each link.

    A rule waits longer than these minutes, so that one bad minute does not fire it;
    one good minute does not end it.
    """
    return Ask(name, _outer("max", figure, OPERATORS, LINK), Window(60 * minutes))


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
) -> Ask:
    """A ratio of sums over a window; `source` is a measurement and a clause on it."""
    measurement, where = source
    also = f" AND {where}" if where else ""
    query = (
        f'SELECT {figure} AS "value" FROM "{measurement}" '
        f"WHERE $timeFilter{also} AND WHERE_AREA GROUP BY {_tags(by)}"
    )
    return Ask(name, query, window)


def places_down(name: str) -> Ask:
    """In how many regencies of a province an operator is down alone.

    Only where at least five stations of it are expected: one station's outage is no
    operator's.
    """
    inner = (
        'SELECT last("down_alone") AS "d", last("expected") AS "e" FROM "census" '
        f"WHERE $timeFilter AND {OPERATORS} AND WHERE_AREA GROUP BY {_tags(LINK)}"
    )
    query = (
        f'SELECT sum("d") AS "value" FROM ({inner}) '
        f'WHERE $timeFilter AND "e" >= 5 GROUP BY {_tags(NETWORK)}'
    )
    return Ask(name, query, LAST)


def voting(rows: str, by: tuple[str, ...], window: Window = LAST) -> Ask:
    """Whether votes are cast, asked for by the labels of the figure it is joined to.

    Over a longer window: whether they were, as while they are counted.
    """
    function = "last" if window is LAST else "max"
    query = (
        f'SELECT {function}("voting") AS "value" FROM "census" '
        f"WHERE $timeFilter AND {rows} AND WHERE_AREA GROUP BY {_tags(by)}"
    )
    return Ask("voting", query, window)


def _tags(by: tuple[str, ...]) -> str:
    return ", ".join(f'"{tag}"' for tag in by)
