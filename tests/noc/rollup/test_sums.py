"""Roll-ups on a real InfluxDB equal DuckDB's sums of the raw lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server, Table
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.noc.rollup.sums import ALL_SUMS, Sums, added, lines
from tests.noc import nation
from tests.servers.database import Database

TROUBLE = [
    {"kind": "backlog", "from": 2, "to": 8, "share": 0.3},
    {"kind": "core_failure", "from": 3, "to": 6, "operator": "telkomsel"},
    {"kind": "power_cut", "from": 4, "to": 7, "regency": "3175"},
    {"kind": "slow_uplink", "share": 0.1, "amount": 3.0},
]


def summed(sums: Sums, raw: Iterable[bytes]) -> set[tuple[Any, ...]]:
    """The same sums by DuckDB over distinct lines, keyed by minute and tags."""
    import duckdb

    records = [decode(line) for line in set(raw)]
    mine = [r for r in records if r.measurement == sums.measurement]
    names = [f.name for f in sums.fields]
    types = {"int": "BIGINT", "float": "DOUBLE"}
    columns = [
        "minute BIGINT",
        *(f"t_{tag} TEXT" for tag in sums.tags),
        *(f"{f.name} {types[f.type]}" for f in sums.fields),
    ]
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE raw ({', '.join(columns)})")
        rows = [
            (r.time_ns // nation.MINUTE_NS * nation.MINUTE_NS,
             *(r.tags.get(tag) for tag in sums.tags),
             *(r.fields.get(name) for name in names))
            for r in mine
        ]  # fmt: skip
        for start in range(0, len(rows), 500):  # a statement a row takes a minute
            part = rows[start : start + 500]
            marks = f"({', '.join('?' for _ in columns)})"
            values = [value for row in part for value in row]
            db.execute(
                f"INSERT INTO raw VALUES {', '.join([marks] * len(part))}", values
            )
        totals = ", ".join(f"sum({name})" for name in names)
        found = db.execute(f"SELECT * EXCLUDE ({', '.join(names)}), {totals} "
                           "FROM raw GROUP BY ALL").fetchall()  # fmt: skip
    return {tuple(rounded(value) for value in row) for row in found}


def rounded(value: Any) -> Any:
    """A sum to compare: those of floats differ in their last digit by their order."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def rolled(sums: Sums, lines_: Iterable[bytes]) -> set[tuple[Any, ...]]:
    """Roll-up lines in the same form."""
    return {
        (r.time_ns,
         *(r.tags.get(tag) for tag in sums.tags),
         *(rounded(r.fields.get(f.name)) for f in sums.fields))
        for r in map(decode, lines_)
    }  # fmt: skip


def added_up(rollup: Database, sums: Sums) -> set[tuple[Any, ...]]:
    """What is stored in the same form, all points of a minute added up."""
    found: dict[tuple[Any, ...], dict[str, float]] = defaultdict(dict)
    for row in rollup.rows(sums.measurement):
        minute_ns = row["time"] // nation.MINUTE_NS * nation.MINUTE_NS
        totals = found[minute_ns, *(row.get(tag) for tag in sums.tags)]
        for field in sums.fields:
            if (value := row.get(field.name)) is not None:
                totals[field.name] = totals.get(field.name, 0) + value
    return {
        (*key, *(rounded(totals.get(field.name)) for field in sums.fields))
        for key, totals in found.items()
    }


@pytest.fixture(scope="module")
def arrived() -> list[bytes]:
    """All that a troubled nation delivers, late and twice."""
    made = nation.begin(nation.scenario(duplicates=0.05, trouble=TROUBLE))
    return [
        line
        for batch in made.run()
        for province in batch.lines.values()
        for line in province
    ]


def test_every_sum_equals_duckdbs(influxdb: Database, arrived: list[bytes]) -> None:
    """Late, doubled, failed, skipped points: every additive field, minute, area."""
    nation.deliver(influxdb, arrived)
    server = Server(CollectorSection.model_validate(influxdb.section))
    span = (nation.START_NS, nation.START_NS + 20 * nation.MINUTE_NS)
    compared = 0
    for sums in ALL_SUMS:
        ours = [
            line
            for province in ("31", "94")
            for line in lines(server, sums, province, *span)
        ]
        expected = summed(sums, arrived)
        assert rolled(sums, ours) == expected, sums.measurement
        compared += len(expected)
    assert compared > 1000


def test_the_fields_are_the_schemas_additive_ones() -> None:
    """No list of its own: every additive field of every agent's measurement."""
    for sums in ALL_SUMS:
        table = MEASUREMENTS[sums.measurement]
        assert [f for f in table.fields if f.additive] == list(sums.fields)
        assert sums.fields
        assert set(table.tags) - set(sums.tags) <= {"station", "link"}


def test_sums_are_the_same_in_however_many_parts(
    influxdb: Database, arrived: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span that has too many points for one question is halved, and adds up alike."""
    nation.deliver(influxdb, arrived)
    server = Server(CollectorSection.model_validate(influxdb.section))
    sums = next(sums for sums in ALL_SUMS if sums.measurement == "latency")
    span = (nation.START_NS, nation.START_NS + 13 * nation.MINUTE_NS)
    whole = sorted(lines(server, sums, "31", *span))
    asked: list[str] = []
    real = Server.tables
    monkeypatch.setattr("qos_agent.noc.rollup.sums._POINTS_AT_ONCE", 100)

    def tables(self: Server, query: str) -> Iterator[Table]:
        asked.append(query)
        return real(self, query)

    monkeypatch.setattr(Server, "tables", tables)
    assert sorted(lines(server, sums, "31", *span)) == whole
    assert len(asked) >= 7  # a count of all, of each half, and four parts


def test_all_columns_are_added_whatever_their_order() -> None:
    """The first field too, a minute that comes twice, and nothing for no value."""
    sums = next(sums for sums in ALL_SUMS if sums.measurement == "event")
    start = nation.START_NS
    rows = [
        [start, 1, None],
        [start + nation.MINUTE_NS, None, 4],
        [start + 1, 2, None],
    ]
    table = Table({"province": "31"}, ["time", "clock_held", "count"], rows)
    found = [decode(line) for line in added(sums, [table, table])]
    assert [(r.time_ns, dict(r.fields)) for r in found] == [
        (start, {"clock_held": 6}),
        (start + nation.MINUTE_NS, {"count": 8}),
    ]
