"""What the census asks of a collector, in InfluxQL, and the answers as plain data.

Counts are made on the server; names travel for a regency that must be looked at, and
for links that are not good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qos_agent.noc.influxql import Row, Server, between, word

CLASSES = ("good", "degraded", "bad", "unknown")
NOT_GOOD = frozenset({"degraded", "bad"})
_LAST = ", ".join(f'LAST("{name}") AS "{name}"' for name in CLASSES)
_SUMS = ", ".join(f'SUM("{name}") AS "{name}"' for name in CLASSES)
_WHY = 'LAST("kpi") AS "kpi", LAST("side") AS "side", LAST("since_s") AS "since_s"'
_LINK = '"regency", "operator", "station", "link"'
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Judged:
    """The last verdict of one link."""

    station: str
    operator: str
    judged: str
    kpi: str | None = None
    side: str | None = None
    since_s: float | None = None


def heard(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[str, int]:
    """How many stations sent a heartbeat in a span, by regency; `only` in some."""
    inner = (
        'SELECT SUM("beats") AS "beats" FROM "agent" '  # noqa: S608
        f"WHERE {_where(province, span)}{_only(only)} "
        'GROUP BY "regency", "station"'
    )
    query = f'SELECT COUNT("beats") AS "n" FROM ({inner}) GROUP BY "regency"'  # noqa: S608
    return {row.tags["regency"]: int(row.values["n"]) for row in _placed(server, query)}


def newest(server: Server, province: str, span: Span) -> dict[str, int]:
    """The time of the newest heartbeat in a span, by regency."""
    query = (
        'SELECT LAST("beats") FROM "agent" '  # noqa: S608
        f'WHERE {_where(province, span)} GROUP BY "regency"'
    )
    return {
        row.tags["regency"]: int(row.values["time"]) for row in _placed(server, query)
    }


def roll_call(server: Server, regency: str, span: Span) -> dict[str, int]:
    """When each station of a regency was heard last in a span."""
    query = (
        'SELECT LAST("beats") FROM "agent" '  # noqa: S608
        f'WHERE {_where(regency[:2], span)}{_only([regency])} GROUP BY "station"'
    )
    return {
        row.tags["station"]: int(row.values["time"])
        for row in _placed(server, query, "station")
    }


def station_classes(
    server: Server, province: str, span: Span
) -> dict[str, dict[str, int]]:
    """Stations by the class of their worst link, by regency.

    A link that could not be judged does not make its station worse: `unknown` is what
    remains when no link was judged.
    """
    links = (
        f'SELECT {_LAST} FROM "verdict" WHERE {_where(province, span)} '  # noqa: S608
        'GROUP BY "regency", "station", "link"'
    )
    stations = (
        'SELECT MAX("good") * (1 - MAX("degraded")) * (1 - MAX("bad")) AS "good", '  # noqa: S608
        'MAX("degraded") * (1 - MAX("bad")) AS "degraded", MAX("bad") AS "bad" '
        f'FROM ({links}) GROUP BY "regency", "station"'
    )
    query = (
        'SELECT SUM("good") AS "good", SUM("degraded") AS "degraded", '  # noqa: S608
        f'SUM("bad") AS "bad" FROM ({stations}) GROUP BY "regency"'
    )
    return {row.tags["regency"]: _counts(row) for row in _placed(server, query)}


def link_classes(
    server: Server, province: str, span: Span
) -> dict[tuple[str, str], dict[str, int]]:
    """Links by class, by (regency, operator)."""
    links = (
        f'SELECT {_LAST} FROM "verdict" WHERE {_where(province, span)} '  # noqa: S608
        f"GROUP BY {_LINK}"
    )
    query = f'SELECT {_SUMS} FROM ({links}) GROUP BY "regency", "operator"'  # noqa: S608
    return {
        (row.tags["regency"], row.tags.get("operator", "unknown")): _counts(row)
        for row in _placed(server, query)
    }


def not_good_links(
    server: Server, province: str, span: Span
) -> Iterator[tuple[str, Judged]]:
    """(regency, link) for each link whose last verdict is degraded or bad.

    Grouped by the link and no less: 1.8 takes rows apart where words are missing in
    some of the links that it puts together.
    """
    links = (
        f'SELECT LAST("degraded") AS "degraded", LAST("bad") AS "bad", {_WHY} '  # noqa: S608
        f'FROM "verdict" WHERE {_where(province, span)} GROUP BY {_LINK}'
    )
    query = (
        'SELECT "degraded", "bad", "kpi", "side", "since_s" '  # noqa: S608
        f'FROM ({links}) WHERE "bad" > 0 OR "degraded" > 0 GROUP BY {_LINK}'
    )
    rows = _placed(server, query, "regency", "station")
    return ((row.tags["regency"], _judged(row)) for row in rows)


def links_by_name(server: Server, regency: str, span: Span) -> list[Judged]:
    """The last verdict of every link in a regency."""
    query = (
        f'SELECT {_LAST}, {_WHY} FROM "verdict" '  # noqa: S608
        f"WHERE {_where(regency[:2], span)}{_only([regency])} GROUP BY {_LINK}"
    )
    return [_judged(row) for row in _placed(server, query, "station")]


def _placed(server: Server, query: str, *tags: str) -> Iterator[Row]:
    """The rows with these tags: a point that says not where it is from is nobody's."""
    wanted = tags or ("regency",)
    return (row for row in server.select(query) if all(t in row.tags for t in wanted))


def _where(province: str, span: Span) -> str:
    return f'"province" = {word(province)} AND {between(*span)}'


def _only(regencies: Iterable[str]) -> str:
    names = " OR ".join(f'"regency" = {word(code)}' for code in regencies)
    return f" AND ({names})" if names else ""


def _counts(row: Row) -> dict[str, int]:
    return {name: int(row.values.get(name, 0)) for name in CLASSES}


def _judged(row: Row) -> Judged:
    found = next((name for name in CLASSES if row.values.get(name)), "unknown")
    return Judged(
        row.tags["station"],
        row.tags.get("operator", "unknown"),
        found,
        row.values.get("kpi") if found in NOT_GOOD else None,
        row.values.get("side") if found in NOT_GOOD else None,
        row.values.get("since_s"),
    )
