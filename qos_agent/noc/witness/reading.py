"""Reading of `seal` points from the collectors, in the order of their time.

Points of one pass are those since the last pass, and a little longer, because they
arrive after their time. One that arrives later is looked for by the name of its
station, as soon as a later seal shows that it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from qos_agent.influx.query import QueryError, Row, Server, between, word
from qos_agent.model.line_protocol import tag_value
from qos_agent.noc.witness.seals import Arrival, Arrived, read_point

Span = tuple[int, int]
_SECOND_NS = 10**9
# A minute of a large province has 14,000 seals of 900 bytes.
FIRST_WINDOW_NS = 60 * _SECOND_NS
_WINDOW_MAX_NS = 6 * 3600 * _SECOND_NS
_FEW = 2000
_STATIONS_PER_QUERY = 50
_WANTED = ", ".join(
    f'"{name}"' for name in ("note", "previous", "proof", "cause", "station", "regency")
)


def next_window(window_ns: int, count: int) -> int:
    """Return the length of the next window after one with a number of seals.

    After an outage, few large windows are faster than a query for each minute.
    """
    return min(4 * window_ns, _WINDOW_MAX_NS) if count < _FEW else FIRST_WINDOW_NS


def seals_of(server: Server, province: str, span: Span) -> Iterator[Arrived]:
    """Yield the seals of a province in a span. Raises QueryError.

    All stations seal when the phase changes. If the response is too long then, halves
    of the span are read.
    """
    where = f'"province" = {word(province)} AND {between(*span)}'
    try:
        rows = list(server.select(f'SELECT {_WANTED} FROM "seal" WHERE {where}'))
    except QueryError:
        start, end = span
        middle = (start + end) // 2
        if end - start <= _SECOND_NS:
            raise
        yield from seals_of(server, province, (start, middle))
        yield from seals_of(server, province, (middle, end))
        return
    yield from _points(rows, span)


def seals_of_stations(
    server: Server, stations: Sequence[str], span: Span
) -> Iterator[Arrived]:
    """Yield the seals of a few stations in a span. Raises QueryError."""
    for start in range(0, len(stations), _STATIONS_PER_QUERY):
        part = stations[start : start + _STATIONS_PER_QUERY]
        names = " OR ".join(f'"station" = {word(name)}' for name in part)
        where = f"({names}) AND {between(*span)}"
        rows = server.select(f'SELECT {_WANTED} FROM "seal" WHERE {where}')
        yield from _points(rows, span)


def _points(rows: Iterable[Row], span: Span) -> Iterator[Arrived]:
    """Yield what the rows have; those of no possible station are skipped."""
    for row in rows:
        station, regency = row.values.get("station"), row.values.get("regency")
        if _is_tag(station) and _is_tag(regency):
            arrival = Arrival(str(station), str(regency), row.time_ns(span))
            yield read_point(arrival, row.values)


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and value == tag_value(value)
