"""What the census asks of a collector, in InfluxQL, and the answers as plain data.

Counts are made on the server; names travel for regencies that must be looked at, and
for links that are not good. Each question has one call, whose rows the server makes
once for each series: a second one beside it, or above it, makes it walk through all of
them again (docs/decisions/100).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qos_agent.influx.query import Row, Server, between, word

CLASSES = ("good", "degraded", "bad", "unknown")
NOT_GOOD = frozenset({"degraded", "bad"})
_LINK = '"regency", "operator", "station", "link"'
_SAID = ("degraded", "bad", "kpi", "side", "since_s")
_NAMES_AT_ONCE = 100
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
    each = ("agent", "beats", '"regency", "station"')
    rows = _counted(server, each, province, span, only, '"regency"')
    return {row.tags["regency"]: int(row.values["n"]) for row in rows}


def newest(server: Server, province: str, span: Span) -> dict[str, int]:
    """The time of the newest heartbeat in a span, by regency."""
    query = (
        'SELECT LAST("beats") FROM "agent" '  # noqa: S608
        f'WHERE {_where(province, span)} GROUP BY "regency"'
    )
    return {
        row.tags["regency"]: int(row.values["time"]) for row in _placed(server, query)
    }


def roll_call(
    server: Server, province: str, span: Span, only: Iterable[str]
) -> dict[str, dict[str, int]]:
    """When each station of some regencies was heard last in a span, by regency."""
    found: dict[str, dict[str, int]] = {code: {} for code in only}
    query = (
        'SELECT LAST("beats") FROM "agent" '  # noqa: S608
        f"WHERE {_where(province, span)}{_only('regency', found)} "
        'GROUP BY "regency", "station"'
    )
    for row in _placed(server, query, "regency", "station"):
        here = found.setdefault(row.tags["regency"], {})
        here[row.tags["station"]] = int(row.values["time"])
    return found


def stations_judged(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[str, int]:
    """How many stations have a verdict on any link in a span, by regency."""
    each = ("verdict", "good", '"regency", "station"')
    rows = _counted(server, each, province, span, only, '"regency"')
    return {row.tags["regency"]: int(row.values["n"]) for row in rows}


def links_judged(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[tuple[str, str], int]:
    """How many links have a verdict in a span, by (regency, operator)."""
    each = ("verdict", "good", _LINK)
    rows = _counted(server, each, province, span, only, '"regency", "operator"')
    return {
        (row.tags["regency"], row.tags.get("operator", "unknown")): int(row.values["n"])
        for row in rows
    }


def _counted(
    server: Server,
    each: tuple[str, str, str],
    province: str,
    span: Span,
    only: Iterable[str],
    by: str,
) -> Iterator[Row]:
    """How many of each (measurement, field, tags) have a point in a span, as `n`.

    The first point of each is enough: 1.8 looks for the last in older files too.
    """
    measurement, field, tags = each
    first = (
        f'SELECT FIRST("{field}") AS "one" FROM "{measurement}" '  # noqa: S608
        f"WHERE {_where(province, span)}{_only('regency', only)} GROUP BY {tags}"
    )
    query = f'SELECT COUNT("one") AS "n" FROM ({first}) GROUP BY {by}'  # noqa: S608
    return _placed(server, query)


def exceptions(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[str, list[Judged]]:
    """The links whose last verdict is anything but good, by regency."""
    where = f"{_where(province, span)}{_only('regency', only)}"
    return _by_regency(server, f'{_last_verdicts(where)} WHERE "good" = 0')


def links_by_name(
    server: Server, province: str, span: Span, only: Iterable[str]
) -> dict[str, list[Judged]]:
    """The last verdict of every link in some regencies."""
    return _by_regency(
        server, _last_verdicts(f"{_where(province, span)}{_only('regency', only)}")
    )


def well_beside(
    server: Server, province: str, span: Span, stations: Sequence[str]
) -> set[str]:
    """Those of some stations that have a link whose last verdict is good."""
    found: set[str] = set()
    for start in range(0, len(stations), _NAMES_AT_ONCE):
        some = stations[start : start + _NAMES_AT_ONCE]
        where = f"{_where(province, span)}{_only('station', some)}"
        links = _by_regency(server, f'{_last_verdicts(where)} WHERE "good" = 1')
        found |= {link.station for of in links.values() for link in of}
    return found


def _last_verdicts(where: str) -> str:
    """The last verdict of each link, what else it says taken along with the call.

    Grouped by the link and no less: 1.8 takes rows apart where words are missing in
    some of the links that it puts together.
    """
    names = ", ".join(f'"{name}"' for name in _SAID)
    links = (
        f'SELECT LAST("good") AS "good", {names} FROM "verdict" '  # noqa: S608
        f"WHERE {where} GROUP BY {_LINK}"
    )
    return f'SELECT "good", {names} FROM ({links})'  # noqa: S608


def _by_regency(server: Server, query: str) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for row in _placed(server, f"{query} GROUP BY {_LINK}", "regency", "station"):
        found.setdefault(row.tags["regency"], []).append(_judged(row))
    return found


def _placed(server: Server, query: str, *tags: str) -> Iterator[Row]:
    """The rows with these tags: a point that says not where it is from is nobody's."""
    wanted = tags or ("regency",)
    return (row for row in server.select(query) if all(t in row.tags for t in wanted))


def _where(province: str, span: Span) -> str:
    return f'"province" = {word(province)} AND {between(*span)}'


def _only(tag: str, values: Iterable[str]) -> str:
    names = " OR ".join(f'"{tag}" = {word(value)}' for value in values)
    return f" AND ({names})" if names else ""


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
