"""Roll-ups: sums of the agents' points by minute and area, which can be recalculated.

A roll-up has the name of its measurement and only its additive fields, summed over the
stations of a regency. The list of fields comes from the schema. Tags and time are the
same at every calculation, so a recalculated point replaces the old one.

The server returns the fields, and they are summed here. InfluxDB 1.8 needs ten times as
much processor time for SUM() of each field of each series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from qos_agent.influx.fixes import TYPES
from qos_agent.influx.query import QueryError, Server, Table, between, word
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode, tag_value
from qos_agent.model.schema import MEASUREMENTS, Field, Measurement

MINUTE_NS = 60 * 10**9
# These tags identify one device or one of its links.
_SUMMED_OVER = frozenset({"station", "link"})
# Up to this span, a query needs no count first: three minutes of a large province fit
# in memory. A longer one is halved until its parts have no more points than the limit.
_UNCOUNTED_NS = 3 * MINUTE_NS
_POINTS_PER_QUERY = 50_000
_NUMBERS = {int, float, type(None)}
_Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Rollup:
    """The fields that are summed of one measurement, and the tags that stay."""

    measurement: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]

    def query(self, province: str, from_ns: int, to_ns: int) -> str:
        """Return the SELECT for a province and a span; its result has a row a point."""
        fields = ", ".join(f'"{field.name}"' for field in self.fields)
        tags = ", ".join(f'"{tag}"' for tag in self.tags)
        return (
            f'SELECT {fields} FROM "{self.measurement}" '
            f'WHERE "province" = {word(province)} AND {between(from_ns, to_ns)} '
            f"GROUP BY {tags}"
        )


def _rollup(measurement: Measurement) -> Rollup:
    tags = tuple(tag for tag in measurement.tags if tag not in _SUMMED_OVER)
    fields = tuple(field for field in measurement.fields if field.additive)
    return Rollup(measurement.name, tags, fields)


ROLLUPS = tuple(_rollup(m) for m in MEASUREMENTS.values() if m.source == "agent")


def read_lines(
    server: Server, rollup: Rollup, province: str, from_ns: int, to_ns: int
) -> Iterator[bytes]:
    """Yield one measurement's sums in a province as canonical lines.

    `from_ns` and `to_ns` are whole minutes. Raises QueryError.
    """
    for span in query_spans(server, rollup, province, from_ns, to_ns):
        tables = read_tables(server, rollup, province, span)
        yield from lines_of(server, rollup, tables)


def read_tables(
    server: Server, rollup: Rollup, province: str, span: tuple[int, int]
) -> list[Table]:
    """Return the points of a span; each value is a number or None. Raises QueryError.

    Another program may write a field of the same name in another type.
    """
    tables = list(server.tables(rollup.query(province, *span)))
    for table in tables:
        if problem := _problem(table, span):
            raise _error(server, rollup, problem)
    return tables


def lines_of(
    server: Server, rollup: Rollup, tables: Iterable[Table]
) -> Iterator[bytes]:
    """Yield the sums of a query. Raises QueryError if they are not in the schema."""
    try:
        yield from summed(rollup, tables)
    except (ValueError, OverflowError) as error:
        raise _error(server, rollup, str(error)) from error


def _problem(table: Table, span: tuple[int, int]) -> str:
    """Return what is wrong with the values of a table, or nothing."""
    if not table.rows:
        return ""
    if table.columns[:1] != ["time"]:
        return "the first column must be time"
    for name, values in zip(table.columns, zip(*table.rows, strict=True), strict=True):
        if not set(map(type, values)) <= _NUMBERS:
            other = next(v for v in values if type(v) not in _NUMBERS)
            return f"{name} must be a number (found: {str(other)[:40]!r})"
    times = [row[0] for row in table.rows]
    if not all(type(time_ns) is int for time_ns in times):
        return "time must be a whole number"
    if min(times) < span[0] or max(times) >= span[1]:
        return f"time must be from {span[0]} to {span[1]}"
    return ""


def _error(server: Server, rollup: Rollup, problem: str) -> QueryError:
    message = f"{rollup.measurement}: {problem}. Fix: {TYPES}"
    return QueryError(server.name, message)


def summed(rollup: Rollup, tables: Iterable[Table]) -> Iterator[bytes]:
    """Yield the lines of the result of one query."""
    for (time_ns, tags), totals in _totals(tables).items():
        fields = _fields(rollup, totals)
        # One point with tags that are not canonical must not stop the other sums.
        clean = {name: tag_value(value) for name, value in tags}
        yield encode(Record(rollup.measurement, clean, fields, time_ns))


def key(record: Record) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Return the minute and the tags, which identify a sum of one measurement."""
    return record.time_ns, tuple(sorted(record.tags.items()))


def query_spans(
    server: Server, rollup: Rollup, province: str, from_ns: int, to_ns: int
) -> Iterator[tuple[int, int]]:
    """Yield a span in as few parts as memory allows; an empty week is one part."""
    minutes = (to_ns - from_ns) // MINUTE_NS
    is_short = to_ns - from_ns <= _UNCOUNTED_NS
    if is_short or _points(server, rollup, province, (from_ns, to_ns)) <= (
        _POINTS_PER_QUERY
    ):
        yield from_ns, to_ns
        return
    middle_ns = from_ns + minutes // 2 * MINUTE_NS
    yield from query_spans(server, rollup, province, from_ns, middle_ns)
    yield from query_spans(server, rollup, province, middle_ns, to_ns)


def _points(
    server: Server, rollup: Rollup, province: str, span: tuple[int, int]
) -> int:
    """Count the points of a span; every point of an agent has the field `seq`."""
    query = (
        f'SELECT COUNT("seq") AS "n" FROM "{rollup.measurement}" '
        f'WHERE "province" = {word(province)} AND {between(*span)}'
    )
    return sum(row.count("n") for row in server.select(query))


def _totals(tables: Iterable[Table]) -> dict[tuple[int, _Tags], dict[str, Value]]:
    """Sum rows by minute and tags; a field without any value is absent."""
    sums: dict[tuple[int, _Tags], dict[str, Value]] = {}
    for table in tables:
        tags = tuple(table.tags.items())
        for minute_ns, rows in groupby(table.rows, _minute_ns):
            totals = sums.setdefault((minute_ns, tags), {})
            columns = zip(table.columns, zip(*rows, strict=True), strict=True)
            for name, values in islice(columns, 1, None):
                if values.count(None) < len(values):
                    totals[name] = totals.get(name, 0) + sum(filter(None, values))
    return {key: totals for key, totals in sums.items() if totals}


def _minute_ns(row: Sequence[Any]) -> int:
    return int(row[0]) // MINUTE_NS * MINUTE_NS


def _fields(rollup: Rollup, totals: Mapping[str, Value]) -> dict[str, Value]:
    """Return sums in the types of the schema; JSON has no difference of 20 and 20.0."""
    return {
        field.name: (
            int(totals[field.name])
            if field.type == "int"
            else float(totals[field.name])
        )
        for field in rollup.fields
        if field.name in totals
    }
