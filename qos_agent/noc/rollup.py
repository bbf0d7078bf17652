"""Sums of the agents' points by minute and area, made again so that late data counts.

A roll-up is the same measurement with its additive fields alone, summed over the
stations of a regency; tags and time are the same each time it is made, so that making
it again writes over it. The list of fields comes from the schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.line_protocol import encode
from qos_agent.model import Record, Value
from qos_agent.noc.influxql import Row, Server, between, word
from qos_agent.schema import MEASUREMENTS, Field, Measurement

MINUTE_NS = 60 * 10**9
# What names one device or one of its links: summed over.
_SUMMED_OVER = frozenset({"station", "link"})
_STEP = "1m"


@dataclass(frozen=True, slots=True)
class Sums:
    """What is summed of one measurement, and the tags that stay."""

    measurement: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]

    def query(self, province: str, from_ns: int, to_ns: int) -> str:
        """The SELECT for a province and a span of time."""
        sums = ", ".join(f'SUM("{f.name}") AS "{f.name}"' for f in self.fields)
        tags = ", ".join(f'"{tag}"' for tag in self.tags)
        return (
            f'SELECT {sums} FROM "{self.measurement}" '  # noqa: S608  the schema's names
            f'WHERE "province" = {word(province)} AND {between(from_ns, to_ns)} '
            f"GROUP BY time({_STEP}), {tags}"
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
    for row in server.select(sums.query(province, from_ns, to_ns)):
        fields = _fields(sums, row)
        if fields:
            time_ns = int(row.values["time"])
            yield encode(Record(sums.measurement, row.tags, fields, time_ns))


def _fields(sums: Sums, row: Row) -> dict[str, Value]:
    """Sums in their schema's types: JSON does not tell 20 from 20.0."""
    return {
        field.name: (
            int(row.values[field.name])
            if field.type == "int"
            else float(row.values[field.name])
        )
        for field in sums.fields
        if field.name in row.values
    }
