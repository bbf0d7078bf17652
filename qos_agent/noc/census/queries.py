"""The InfluxQL queries of the census, and their results as plain data.

The server counts. Names of stations are transferred only for regencies that must be
read by name and for links that are not good. Each query has one selector on one
measurement, because InfluxDB 1.8 walks through all series again for every further one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from qos_agent.config.operators import operator_code
from qos_agent.influx.query import Row, Server, between, word
from qos_agent.model.line_protocol import tag_value
from qos_agent.noc.census.spans import Span

CLASSES = ("good", "degraded", "bad", "unknown")
IMPAIRED = frozenset({"degraded", "bad"})
_LINK_TAGS = '"regency", "operator", "station", "link"'
_VERDICT_FIELDS = ("degraded", "bad", "kpi", "side", "since_s")
_STATIONS_PER_QUERY = 100


@dataclass(frozen=True, slots=True)
class LinkVerdict:
    """The last verdict of one link."""

    station: str
    operator: str
    verdict: str
    kpi: str | None = None
    side: str | None = None
    since_s: float | None = None


def heard(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[str, int]:
    """Return the number of stations that sent a heartbeat, by regency.

    With `only`, count just these regencies.
    """
    series = ("agent", "beats", '"regency", "station"')
    rows = _counted(server, series, province, span, only, '"regency"')
    return {row.tags["regency"]: row.count("n") for row in rows}


def heard_since(
    server: Server, province: str, silent: Span, moments_ns: Mapping[str, int]
) -> dict[str, int]:
    """Count stations heard since `silent` before each regency's moment, until now.

    It needs one query for each different moment.
    """
    by_moment: dict[int, list[str]] = {}
    for regency, moment_ns in moments_ns.items():
        by_moment.setdefault(moment_ns, []).append(regency)
    silent_from_ns, at_ns = silent
    counts: dict[str, int] = {}
    for moment_ns, regencies in by_moment.items():
        span = (silent_from_ns - (at_ns - moment_ns), at_ns)
        counts |= heard(server, province, span, regencies)
    return counts


def newest(server: Server, province: str, span: Span) -> dict[str, int]:
    """Return the time of the newest heartbeat, by regency."""
    query = (
        'SELECT LAST("beats") FROM "agent" '
        f'WHERE {_where(province, span)} GROUP BY "regency"'
    )
    rows = _rows_with_tags(server, query, "regency")
    return {row.tags["regency"]: row.time_ns(span) for row in rows}


def longest_delivery(server: Server, province: str, span: Span) -> float | None:
    """Return the longest delivery interval in heartbeats, or None without heartbeats.

    Earlier agents deliver at once and send no interval, which counts as 0 s.
    """
    query = (
        'SELECT MAX("delivery_s") AS "delivery_s", COUNT("beats") AS "n" '
        f'FROM "agent" WHERE {_where(province, span)}'
    )
    for row in server.select(query):
        if row.count("n"):
            return row.number("delivery_s") if row.values.get("delivery_s") else 0.0
    return None


def roll_call(
    server: Server, province: str, span: Span, only: Iterable[str]
) -> dict[str, dict[str, int]]:
    """Return the time of each station's last heartbeat, for some regencies."""
    last_ns: dict[str, dict[str, int]] = {code: {} for code in only}
    query = (
        'SELECT LAST("beats") FROM "agent" '
        f"WHERE {_where(province, span)}{_only('regency', last_ns)} "
        'GROUP BY "regency", "station"'
    )
    for row in _rows_with_tags(server, query, "regency", "station"):
        if row.tags["regency"] in last_ns:
            stations = last_ns[row.tags["regency"]]
            stations[row.tags["station"]] = row.time_ns(span)
    return last_ns


def clock_offsets(
    server: Server, province: str, span: Span, stations: Sequence[str]
) -> dict[str, tuple[int, float]]:
    """Return the last heartbeat with an offset of the clock, and the offset in seconds.

    Stations without an offset are left out.
    """
    found: dict[str, tuple[int, float]] = {}
    for start in range(0, len(stations), _STATIONS_PER_QUERY):
        part = stations[start : start + _STATIONS_PER_QUERY]
        query = (
            'SELECT LAST("clock_offset_ms") AS "offset_ms" FROM "agent" '
            f"WHERE {_where(province, span)}{_only('station', part)} "
            'GROUP BY "regency", "station"'
        )
        for row in _rows_with_tags(server, query, "station"):
            beat = row.time_ns(span), row.number("offset_ms") / 1e3
            station = row.tags["station"]
            found[station] = max(beat, found.get(station, beat))
    return found


def stations_with_verdict(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[str, int]:
    """Return the number of stations with a verdict on any link, by regency."""
    series = ("verdict", "good", '"regency", "station"')
    rows = _counted(server, series, province, span, only, '"regency"')
    return {row.tags["regency"]: row.count("n") for row in rows}


def links_with_verdict(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[tuple[str, str], int]:
    """Return the number of links with a verdict, by (regency, operator)."""
    series = ("verdict", "good", _LINK_TAGS)
    rows = _counted(server, series, province, span, only, '"regency", "operator"')
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row.tags["regency"], _operator(row)
        counts[key] = counts.get(key, 0) + row.count("n")
    return counts


def _counted(
    server: Server,
    series: tuple[str, str, str],
    province: str,
    span: Span,
    only: Iterable[str],
    group: str,
) -> Iterator[Row]:
    """Count, as `n`, the series (measurement, field, tags) that have a point.

    FIRST() is enough. For LAST(), InfluxDB 1.8 would open older files too.
    """
    measurement, field, tags = series
    first = (
        f'SELECT FIRST("{field}") AS "one" FROM "{measurement}" '
        f"WHERE {_where(province, span)}{_only('regency', only)} GROUP BY {tags}"
    )
    query = f'SELECT COUNT("one") AS "n" FROM ({first}) GROUP BY {group}'
    return _rows_with_tags(server, query, "regency")


def links_not_good(
    server: Server, province: str, span: Span, only: Iterable[str] = ()
) -> dict[str, list[LinkVerdict]]:
    """Return the links with a last verdict other than good, by regency."""
    where = f"{_where(province, span)}{_only('regency', only)}"
    return _by_regency(server, f'{_last_verdicts(where)} WHERE "good" = 0')


def links_by_name(
    server: Server, province: str, span: Span, only: Iterable[str]
) -> dict[str, list[LinkVerdict]]:
    """Return the last verdict of every link in some regencies."""
    where = f"{_where(province, span)}{_only('regency', only)}"
    return _by_regency(server, _last_verdicts(where))


def stations_with_good_link(
    server: Server, province: str, span: Span, stations: Sequence[str]
) -> set[str]:
    """Return those of some stations that have a link with a good last verdict."""
    good: set[str] = set()
    for start in range(0, len(stations), _STATIONS_PER_QUERY):
        part = stations[start : start + _STATIONS_PER_QUERY]
        where = f"{_where(province, span)}{_only('station', part)}"
        links = _by_regency(server, f'{_last_verdicts(where)} WHERE "good" = 1')
        good |= {link.station for regency in links.values() for link in regency}
    return good


def _last_verdicts(where: str) -> str:
    """Return a subquery for the last verdict of each link with its other fields.

    It groups by all tags of a link. With fewer, InfluxDB 1.8 splits a row in two if
    only some of the grouped links have the string fields.
    """
    names = ", ".join(f'"{name}"' for name in _VERDICT_FIELDS)
    links = (
        f'SELECT LAST("good") AS "good", {names} FROM "verdict" '
        f"WHERE {where} GROUP BY {_LINK_TAGS}"
    )
    return f'SELECT "good", {names} FROM ({links})'


def _by_regency(server: Server, query: str) -> dict[str, list[LinkVerdict]]:
    links: dict[str, list[LinkVerdict]] = {}
    grouped = f"{query} GROUP BY {_LINK_TAGS}"
    for row in _rows_with_tags(server, grouped, "regency", "station"):
        links.setdefault(row.tags["regency"], []).append(_link_verdict(row))
    return links


def _rows_with_tags(server: Server, query: str, *tags: str) -> Iterator[Row]:
    """Skip rows without these tags, because they cannot be assigned to an area."""
    return (row for row in server.select(query) if row.has(*tags))


def _where(province: str, span: Span) -> str:
    return f'"province" = {word(province)} AND {between(*span)}'


def _only(tag: str, values: Iterable[str]) -> str:
    names = " OR ".join(f'"{tag}" = {word(value)}' for value in values)
    return f" AND ({names})" if names else ""


def _operator(row: Row) -> str:
    """Return the operator's code; earlier agents sent the name as it was configured."""
    return tag_value(operator_code(row.tags.get("operator", "unknown")))


def _link_verdict(row: Row) -> LinkVerdict:
    classes = (name for name in CLASSES if name in row.values and row.number(name))
    verdict = next(classes, "unknown")
    return LinkVerdict(
        row.tags["station"],
        _operator(row),
        verdict,
        _text(row, "kpi") if verdict in IMPAIRED else None,
        _text(row, "side") if verdict in IMPAIRED else None,
        row.number("since_s") if "since_s" in row.values else None,
    )


def _text(row: Row, name: str) -> str | None:
    return row.text(name) if name in row.values else None
