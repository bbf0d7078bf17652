"""Sums of the agents' points by minute and area, made again so that late data counts.

A roll-up is the same measurement with its additive fields alone, summed over the
stations of a regency; tags and time are the same each time it is made, so that making
it again writes over it. The list of fields comes from the schema.

The server is asked for the fields, and they are added up here: InfluxDB 1.8 spends ten
times as much on SUM() of each field of each series (docs/decisions/082).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from qos_agent.influx.query import Server, Table, between, word
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode, tag_value
from qos_agent.model.schema import MEASUREMENTS, Field, Measurement

MINUTE_NS = 60 * 10**9
# What names one device or one of its links: summed over.
_SUMMED_OVER = frozenset({"station", "link"})
# A question's most: three minutes of a large province are what memory has room for.
_AT_ONCE_NS = 3 * MINUTE_NS
_POINTS_AT_ONCE = 50_000
_Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sums:
    """What is summed of one measurement, and the tags that stay."""

    measurement: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]

    def query(self, province: str, from_ns: int, to_ns: int) -> str:
        """The SELECT for a province and a span of time: a row a point."""
        wanted = ", ".join(f'"{f.name}"' for f in self.fields)
        tags = ", ".join(f'"{tag}"' for tag in self.tags)
        return (
            f'SELECT {wanted} FROM "{self.measurement}" '  # noqa: S608  the schema's names
            f'WHERE "province" = {word(province)} AND {between(from_ns, to_ns)} '
            f"GROUP BY {tags}"
        )


def _sums(measurement: Measurement) -> Sums:
    tags = tuple(tag for tag in measurement.tags if tag not in _SUMMED_OVER)
    fields = tuple(field for field in measurement.fields if field.additive)
    return Sums(measurement.name, tags, fields)


ALL_SUMS = tuple(_sums(m) for m in MEASUREMENTS.values() if m.source == "agent")


def lines(
    server: Server, sums: Sums, province: str, from_ns: int, to_ns: int
) -> Iterator[bytes]:
    """The roll-up of one measurement in a province as canonical lines.

    `from_ns` and `to_ns` are whole minutes. Raises QueryError.
    """
    for span in spans(server, sums, province, from_ns, to_ns):
        yield from added(sums, server.tables(sums.query(province, *span)))


def added(sums: Sums, tables: Iterable[Table]) -> Iterator[bytes]:
    """The lines of what one question answered."""
    for (time_ns, tags), totals in _added(tables).items():
        fields = _fields(sums, totals)
        # Whoever wrote a point, its tags must not stop the others' sums.
        clean = {name: tag_value(value) for name, value in tags}
        yield encode(Record(sums.measurement, clean, fields, time_ns))


def key(record: Record) -> tuple[int, tuple[tuple[str, str], ...]]:
    """What tells a measurement's roll-ups apart: the minute and the tags."""
    return record.time_ns, tuple(sorted(record.tags.items()))


def spans(
    server: Server, sums: Sums, province: str, from_ns: int, to_ns: int
) -> Iterator[tuple[int, int]]:
    """A span in as few parts as memory has room for: a week of nothing is one."""
    minutes = (to_ns - from_ns) // MINUTE_NS
    few = to_ns - from_ns <= _AT_ONCE_NS
    if few or _points(server, sums, province, (from_ns, to_ns)) <= _POINTS_AT_ONCE:
        yield from_ns, to_ns
        return
    middle_ns = from_ns + minutes // 2 * MINUTE_NS
    yield from spans(server, sums, province, from_ns, middle_ns)
    yield from spans(server, sums, province, middle_ns, to_ns)


def _points(server: Server, sums: Sums, province: str, span: tuple[int, int]) -> int:
    """How many points there are: every one of the agents' has its number."""
    query = (
        f'SELECT COUNT("seq") AS "n" FROM "{sums.measurement}" '  # noqa: S608
        f'WHERE "province" = {word(province)} AND {between(*span)}'
    )
    return sum(int(row.values.get("n", 0)) for row in server.select(query))


def _added(tables: Iterable[Table]) -> dict[tuple[int, _Tags], dict[str, Value]]:
    """The sums of the rows by minute and tags; what no row has is absent."""
    found: dict[tuple[int, _Tags], dict[str, Value]] = {}
    for table in tables:
        tags = tuple(table.tags.items())
        for minute_ns, rows in groupby(table.rows, _minute_ns):
            totals = found.setdefault((minute_ns, tags), {})
            columns = zip(table.columns, zip(*rows, strict=True), strict=True)
            for name, values in islice(columns, 1, None):
                if values.count(None) < len(values):
                    totals[name] = totals.get(name, 0) + sum(filter(None, values))
    return {key: totals for key, totals in found.items() if totals}


def _minute_ns(row: Sequence[Any]) -> int:
    return int(row[0]) // MINUTE_NS * MINUTE_NS


def _fields(sums: Sums, totals: Mapping[str, Value]) -> dict[str, Value]:
    """Sums in their schema's types: JSON does not tell 20 from 20.0."""
    return {
        field.name: (
            int(totals[field.name])
            if field.type == "int"
            else float(totals[field.name])
        )
        for field in sums.fields
        if field.name in totals
    }
