"""Roll-ups on a real InfluxDB equal the sums of DuckDB from the raw lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server, Table
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.noc.rollup.sums import ROLLUPS, Rollup, read_lines, summed
from tests.noc import nation
from tests.servers.database import Database

FAULTS = [
    {"kind": "backlog", "from": 2, "to": 8, "share": 0.3},
    {"kind": "core_failure", "from": 3, "to": 6, "operator": "telkomsel"},
    {"kind": "power_cut", "from": 4, "to": 7, "regency": "3175"},
    {"kind": "slow_uplink", "share": 0.1, "amount": 3.0},
]


def sums_by_duckdb(spec: Rollup, raw: Iterable[bytes]) -> set[tuple[Any, ...]]:
    """Return the sums of distinct lines by DuckDB, keyed by minute and tags."""
    import duckdb

    records = [decode(line) for line in set(raw)]
    points = [r for r in records if r.measurement == spec.measurement]
    names = [f.name for f in spec.fields]
    types = {"int": "BIGINT", "float": "DOUBLE"}
    columns = [
        "minute BIGINT",
        *(f"t_{tag} TEXT" for tag in spec.tags),
        *(f"{f.name} {types[f.type]}" for f in spec.fields),
    ]
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE raw ({', '.join(columns)})")
        rows = [
            (
                r.time_ns // nation.MINUTE_NS * nation.MINUTE_NS,
                *(r.tags.get(tag) for tag in spec.tags),
                *(r.fields.get(name) for name in names),
            )
            for r in points
        ]
        for start in range(
            0, len(rows), 500
        ):  # one row per statement would take a minute
            part = rows[start : start + 500]
            marks = f"({', '.join('?' for _ in columns)})"
            values = [value for row in part for value in row]
            db.execute(
                f"INSERT INTO raw VALUES {', '.join([marks] * len(part))}", values
            )
        totals = ", ".join(f"sum({name})" for name in names)
        query = f"SELECT * EXCLUDE ({', '.join(names)}), {totals} FROM raw GROUP BY ALL"
        sums = db.execute(query).fetchall()
    return {tuple(rounded(value) for value in row) for row in sums}


def rounded(value: Any) -> Any:
    """Return a comparable sum; the last digit of a float sum depends on the order."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def calculated_sums(spec: Rollup, lines: Iterable[bytes]) -> set[tuple[Any, ...]]:
    """Return roll-up lines in the same form."""
    return {
        (
            r.time_ns,
            *(r.tags.get(tag) for tag in spec.tags),
            *(rounded(r.fields.get(f.name)) for f in spec.fields),
        )
        for r in map(decode, lines)
    }


def stored_sums(rollup: Database, spec: Rollup) -> set[tuple[Any, ...]]:
    """Return the stored sums in the same form, with all points of a minute added."""
    by_key: dict[tuple[Any, ...], dict[str, float]] = defaultdict(dict)
    for row in rollup.rows(spec.measurement):
        minute_ns = row["time"] // nation.MINUTE_NS * nation.MINUTE_NS
        totals = by_key[minute_ns, *(row.get(tag) for tag in spec.tags)]
        for field in spec.fields:
            if (value := row.get(field.name)) is not None:
                totals[field.name] = totals.get(field.name, 0) + value
    return {
        (*key, *(rounded(totals.get(field.name)) for field in spec.fields))
        for key, totals in by_key.items()
    }


@pytest.fixture(scope="module")
def arrived() -> list[bytes]:
    """Return the lines of a nation with faults, some of them late or twice."""
    return nation.all_lines(nation.scenario(duplicates=0.05, fault=FAULTS))


def test_every_sum_equals_that_of_duckdb(
    influxdb: Database, arrived: list[bytes]
) -> None:
    """Every additive field agrees, with late, duplicate, failed and skipped points."""
    nation.deliver(influxdb, arrived)
    server = Server(CollectorSection.model_validate(influxdb.section))
    span = (nation.START_NS, nation.START_NS + 20 * nation.MINUTE_NS)
    compared = 0
    for spec in ROLLUPS:
        lines = [
            line
            for province in ("31", "94")
            for line in read_lines(server, spec, province, *span)
        ]
        expected = sums_by_duckdb(spec, arrived)
        assert calculated_sums(spec, lines) == expected, spec.measurement
        compared += len(expected)
    assert compared > 1000


def test_the_fields_are_the_additive_ones_of_the_schema() -> None:
    """Every additive field of every measurement of an agent is summed."""
    for spec in ROLLUPS:
        table = MEASUREMENTS[spec.measurement]
        assert [f for f in table.fields if f.additive] == list(spec.fields)
        assert spec.fields
        assert set(table.tags) - set(spec.tags) <= {"station", "link"}


def test_sums_do_not_depend_on_the_number_of_queries(
    influxdb: Database, arrived: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span with too many points for one query is halved, with the same sums."""
    nation.deliver(influxdb, arrived)
    server = Server(CollectorSection.model_validate(influxdb.section))
    spec = next(spec for spec in ROLLUPS if spec.measurement == "latency")
    span = (nation.START_NS, nation.START_NS + 13 * nation.MINUTE_NS)
    whole = sorted(read_lines(server, spec, "31", *span))
    sent: list[str] = []
    real = Server.tables
    monkeypatch.setattr("qos_agent.noc.rollup.sums._POINTS_PER_QUERY", 100)

    def tables(self: Server, query: str) -> Iterator[Table]:
        sent.append(query)
        return real(self, query)

    monkeypatch.setattr(Server, "tables", tables)
    assert sorted(read_lines(server, spec, "31", *span)) == whole
    assert len(sent) >= 7  # counts of all and of each half, and four parts


def test_all_columns_are_summed() -> None:
    """The first field too, a minute that occurs twice, and no sum without a value."""
    spec = next(spec for spec in ROLLUPS if spec.measurement == "event")
    start = nation.START_NS
    rows = [
        [start, 1, None],
        [start + nation.MINUTE_NS, None, 4],
        [start + 1, 2, None],
    ]
    table = Table({"province": "31"}, ["time", "clock_held", "count"], rows)
    records = [decode(line) for line in summed(spec, [table, table])]
    assert [(r.time_ns, dict(r.fields)) for r in records] == [
        (start, {"clock_held": 6}),
        (start + nation.MINUTE_NS, {"count": 8}),
    ]
