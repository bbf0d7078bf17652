"""The baseline of links before the election, by regency and operator.

It is read from the roll-ups, not from raw points, one province at a time. A regency
without points before the election has no baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.influx.query import Row, Server, between, word
from qos_agent.model import Phase, Record, Value
from qos_agent.model.line_protocol import encode, tag_value
from qos_agent.model.schema import MEASUREMENTS

_TABLE = MEASUREMENTS["baseline"]
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Part:
    """The fields that one measurement adds to the baseline, and the points it uses."""

    measurement: str
    where: str
    fields: tuple[str, ...]


_PARTS = (
    _Part(
        "latency",
        "\"layer\" = 'anchor'",
        ("sent", "lost", "received", "rtt_sum_us"),
    ),
    _Part("throughput", "\"direction\" = 'down'", ("tests", "rate_bps")),
    _Part("web", "", ("uploads", "upload_sum_ms")),
    _Part("verdict", "", ("good", "degraded", "bad")),
)


def baseline_lines(
    rollups: Server, province: str, at_ns: int, back_s: float
) -> list[bytes]:
    """Return the points of a province at a moment. Raises QueryError."""
    span = (at_ns - int(back_s * 1e9), at_ns)
    baselines: dict[_Key, dict[str, Value]] = {}
    for part in _PARTS:
        for row in _rows(rollups, _sums(part, province, span)):
            baselines.setdefault(_key(row), {}).update(_fields(part, row))
    for row in _rows(rollups, _first(province, span)):
        fields = baselines.setdefault(_key(row), {})
        fields["span_s"] = (at_ns - row.time_ns(span)) / 1e9
    return list(_lines(province, baselines, at_ns))


def _rows(rollups: Server, query: str) -> Iterator[Row]:
    """Yield the rows of a query, without those that belong to no regency."""
    return (row for row in rollups.select(query) if row.has("regency"))


def _lines(
    province: str, baselines: dict[_Key, dict[str, Value]], at_ns: int
) -> Iterator[bytes]:
    for (regency, operator), fields in sorted(baselines.items()):
        tags = {"province": province, "regency": regency, "operator": operator}
        yield encode(Record("baseline", tags, fields, at_ns))


def _key(row: Row) -> _Key:
    # One point with tags that are not canonical must not stop the other baselines.
    return row.tags["regency"], tag_value(row.tags.get("operator", ""))


def _fields(part: _Part, row: Row) -> dict[str, Value]:
    """Return sums in the types of the schema; JSON has no difference of 20 and 20.0."""
    types = {"int": int, "float": float}
    return {
        name: types[_TABLE.field(name).type](row.amount(name))
        for name in part.fields
        if name in row.values
    }


def _sums(part: _Part, province: str, span: tuple[int, int]) -> str:
    sums = ", ".join(f'SUM("{name}") AS "{name}"' for name in part.fields)
    only = f" AND {part.where}" if part.where else ""
    return (
        f'SELECT {sums} FROM "{part.measurement}" WHERE {_before(province, span)}'
        f'{only} GROUP BY "regency", "operator"'
    )


def _first(province: str, span: tuple[int, int]) -> str:
    return (
        'SELECT FIRST("good") AS "good" FROM "verdict" '
        f'WHERE {_before(province, span)} GROUP BY "regency", "operator"'
    )


def _before(province: str, span: tuple[int, int]) -> str:
    phase = word(Phase.PRE.value)
    return f'"province" = {word(province)} AND "phase" = {phase} AND {between(*span)}'
