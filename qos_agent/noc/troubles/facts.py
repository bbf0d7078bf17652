"""The facts of one minute, read from the census and the roll-ups.

Each query covers the nation and returns a row for each regency and operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qos_agent.influx.query import Row, Server, between
from qos_agent.model.line_protocol import tag_value

Values = Mapping[str, Any]
_LINK = '"province", "regency", "operator"'
_PLACE = '"province", "regency"'
_SECOND_NS = 10**9
# Roll-ups change until they are three minutes old, and at ten minutes and an hour. The
# windows (from, to) in seconds before the minute lie between these ages.
SETTLED = (600, 240)
RECOMPUTED = (3600, 720)
LATE_HEARTBEATS = (1200, 720)
# The newest minutes, only to see that links work again.
FRESH = (180, 0)
BASELINE = (6 * 3600, 0)
# How far back a province is still expected to be counted.
COUNTED = (6 * 3600, 0)
_CENSUS = (
    "expected",
    "silent",
    "never",
    "reporting",
    "wrong_clock",
    "age_s",
    "links_good",
    "links_degraded",
    "links_bad",
    "kpi",
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows by (regency, operator), with the operator `all` for a place.

    `counted_ns` has the newest census of each province.
    """

    at_ns: int
    counted_ns: Mapping[str, int]
    census: Mapping[tuple[str, str], Values]
    latency: Mapping[tuple[str, str], Values]
    fresh: Mapping[tuple[str, str], Values]
    baseline: Mapping[tuple[str, str], Values]
    throughput: Mapping[tuple[str, str], Values]
    web: Mapping[tuple[str, str], Values]
    agents: Mapping[tuple[str, str], Values]
    late: Mapping[tuple[str, str], Values]


def read_facts(server: Server, at_ns: int) -> Facts:
    """Read the facts of a minute. Raises QueryError."""
    anchor = "\"layer\" = 'anchor'"
    latency = ("lost", "sent", "received", "rtt_sum_us")
    agent = ("beats", "backlog_points", "unsent_old", "clock_poor", "allowance_low")
    acked = ("beats", "acked_le_2m", "acked_le_1h", "acked_le_1d", "acked_older")

    def sums(
        measurement: str,
        fields: tuple[str, ...],
        window: tuple[int, int],
        where: str = "",
        by: str = _LINK,
    ) -> dict[tuple[str, str], Values]:
        span = _span(at_ns, window)
        return dict(_rows(server, _sums(measurement, fields, span, where, by)))

    return Facts(
        at_ns,
        dict(_counted(server, at_ns)),
        dict(_rows(server, _census(at_ns))),
        latency=sums("latency", latency, SETTLED, anchor),
        fresh=sums("latency", latency[:2], FRESH, anchor),
        baseline=dict(_rows(server, _baseline(at_ns))),
        throughput=sums(
            "throughput", ("tests", "rate_ge_2"), RECOMPUTED, "\"direction\" = 'down'"
        ),
        web=sums("web", ("uploads", "upload_le_60"), SETTLED),
        agents=sums("agent", agent, SETTLED, by=_PLACE),
        late=sums("agent", acked, LATE_HEARTBEATS, by=_PLACE),
    )


def _counted(server: Server, at_ns: int) -> Iterator[tuple[str, int]]:
    """Yield the newest census of each province."""
    span = _span(at_ns, COUNTED)
    where = _between(span)
    query = (
        f'SELECT LAST("expected") AS "expected" FROM "census" WHERE {where} '
        'AND "operator" = \'all\' GROUP BY "province"'
    )
    for row in server.select(query):
        if row.has("province"):
            yield row.tags["province"], row.time_ns(span)


def _census(at_ns: int) -> str:
    wanted = ", ".join(f'"{name}"' for name in _CENSUS)
    where = between(at_ns, at_ns + 1)
    return f'SELECT {wanted} FROM "census" WHERE {where} GROUP BY {_LINK}'


def _baseline(at_ns: int) -> str:
    where = _between(_span(at_ns, BASELINE))
    return (
        'SELECT LAST("rtt_sum_us") AS "rtt_sum_us", "received" FROM "baseline" '
        f"WHERE {where} GROUP BY {_LINK}"
    )


def _sums(
    measurement: str,
    fields: tuple[str, ...],
    span: tuple[int, int],
    where: str,
    by: str,
) -> str:
    wanted = ", ".join(f'SUM("{name}") AS "{name}"' for name in fields)
    also = f" AND {where}" if where else ""
    return (
        f'SELECT {wanted} FROM "{measurement}" WHERE {_between(span)}{also} '
        f"GROUP BY {by}"
    )


def _between(span: tuple[int, int]) -> str:
    """Return the condition on time, with the end included."""
    return between(span[0], span[1] + 1)


def _span(at_ns: int, window: tuple[int, int]) -> tuple[int, int]:
    from_s, to_s = window
    return at_ns - from_s * _SECOND_NS, at_ns - to_s * _SECOND_NS


def _rows(server: Server, query: str) -> Iterator[tuple[tuple[str, str], Values]]:
    """Yield the values by (regency, operator); skip rows without a regency."""
    for row in server.select(query):
        if row.has("regency"):
            yield _key(row), {name: _value(row, name) for name in row.values}


def _value(row: Row, name: str) -> Any:
    """Return a value; all are amounts except the indicator. Raises QueryError."""
    return row.text(name) if name == "kpi" else row.amount(name)


def _key(row: Row) -> tuple[str, str]:
    return row.tags["regency"], tag_value(row.tags.get("operator", "all"))
