"""The census on a real InfluxDB equals the counts of DuckDB from the raw lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qos_agent.model import Record
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.register.store import Note
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.tally import BY_AREA, BY_OPERATOR, Tally
from tests.servers.database import Database

FAULTS = [
    {"kind": "never", "share": 0.1},
    {"kind": "power_cut", "from": 5, "to": 12, "regency": "3171"},
    {"kind": "backlog", "from": 4, "to": 14, "share": 0.15},
    {"kind": "core_failure", "from": 8, "to": 18, "operator": "telkomsel"},
    {"kind": "slow_uplink", "share": 0.1, "amount": 3.0},
    {"kind": "wrong_clock", "share": 0.05, "amount": -3600.0},
]


def taken(rollup: Database, at_ns: int) -> dict[str, dict[str, Any]]:
    """Return the census of a minute by regency, for all operators."""
    query = f"SELECT * FROM census WHERE time = {at_ns} AND \"operator\" = 'all'"
    return {
        row["regency"]: {name: row.get(name) for name in BY_AREA}
        for row in rollup.query(query)
    }


def taken_by_operator(
    rollup: Database, at_ns: int
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the census of a minute by regency and operator."""
    query = f"SELECT * FROM census WHERE time = {at_ns} AND \"operator\" <> 'all'"
    return {
        (row["regency"], row["operator"]): {name: row.get(name) for name in BY_OPERATOR}
        for row in rollup.query(query)
    }


def service_of(
    influxdb: Database, tmp_path: Path, **changes: Any
) -> tuple[Service, Database]:
    """Return a census service over the test's database, and its target database."""
    rollup = influxdb.fresh()
    return Service(nation.settings(influxdb, rollup, tmp_path, **changes)), rollup


def test_every_minute_equals_the_count_of_duckdb(
    influxdb: Database, tmp_path: Path
) -> None:
    """With late data, duplicates, two links, silent stations and some that return."""
    scenario = nation.scenario(
        stations=80,
        minutes=20,
        provinces=["31"],
        duplicates=0.05,
        fault=FAULTS,
        targets=["anchor"],
    )
    register = nation.register_scenario(scenario, tmp_path)
    service, rollup = service_of(influxdb, tmp_path)
    tally = Tally(register, START_NS)
    seen: set[tuple[str, Any]] = set()
    for batch in nation.begin(scenario).run():
        new = [line for lines in batch.lines.values() for line in lines]
        nation.deliver(influxdb, new)
        tally.add(new)
        report = service.minute(batch.ends_ns)
        assert report.failed == {}
        areas, operators = tally.areas(batch.ends_ns), tally.operators(batch.ends_ns)
        assert taken(rollup, batch.ends_ns) == areas, batch.minute
        assert taken_by_operator(rollup, batch.ends_ns) == operators, batch.minute
        _assert_reasons(rollup, tally, batch.ends_ns)
        for counts in (*areas.values(), *operators.values()):
            seen |= {(name, value) for name, value in counts.items() if value}
    assert {name for name, _ in seen} >= set(BY_AREA) - {
        "mismatched",
        "stations_unknown",
    }
    assert {name for name, _ in seen} >= set(BY_OPERATOR) - {"links_unknown"}
    assert {value for name, value in seen if name == "class_level"} == {1, 2, 3}


def _assert_reasons(rollup: Database, tally: Tally, at_ns: int) -> None:
    """Assert that each reason is a most frequent one; any of equals is right."""
    expected = tally.reasons(at_ns)
    for row in rollup.query(f"SELECT * FROM census WHERE time = {at_ns}"):
        reasons = {(n, row[n]) for n in ("kpi", "side") if row.get(n) is not None}
        allowed = expected.get((row["regency"], row["operator"]), set())
        assert reasons <= allowed
        assert {name for name, _ in reasons} == {name for name, _ in allowed}


def _renamed(records: list[Record], gone: str, unexpected: str) -> list[bytes]:
    """Return the lines with one station's points under another station's code."""
    return [
        encode(replace(r, tags={**r.tags, "station": unexpected}))
        if r.tags["station"] == gone
        else encode(r)
        for r in records
    ]


def test_an_unexpected_station_never_hides_a_silent_one(
    influxdb: Database, tmp_path: Path
) -> None:
    """One becomes silent while an unknown one starts, so the count stays the same."""
    scenario = nation.scenario(stations=12, minutes=16, provinces=["31"], targets=[])
    register = nation.register_scenario(scenario, tmp_path)
    service, rollup = service_of(influxdb, tmp_path)
    stations = sorted(register.stations("3175", START_NS // 10**9))
    gone, unexpected = stations[0], "3175990001999"
    tally = Tally(register, START_NS)
    for batch in nation.begin(scenario).run():
        new = [line for lines in batch.lines.values() for line in lines]
        if batch.minute >= 6:
            new = _renamed([decode(line) for line in new], gone, unexpected)
        nation.deliver(influxdb, new)
        tally.add(new)
        assert service.minute(batch.ends_ns).failed == {}
        expected = tally.areas(batch.ends_ns)
        assert taken(rollup, batch.ends_ns) == expected, batch.minute
    assert expected["3175"]["silent"] == 1
    listed = rollup.query("SELECT * FROM station WHERE \"class\" = 'silent'")
    assert {row["station"] for row in listed} == {gone}


def test_a_station_that_reports_from_elsewhere_counts_where_it_is_registered(
    influxdb: Database, tmp_path: Path
) -> None:
    """It is reporting in its own regency, and also counted as mismatched."""
    scenario = nation.scenario(stations=20, minutes=3, provinces=["31"], targets=[])
    register = nation.register_scenario(scenario, tmp_path)
    moved = nation.begin(scenario)
    for station in moved.stations:
        if station.regency.code == "3175":
            station.identity = replace(station.identity, regency="3171")
    service, rollup = service_of(influxdb, tmp_path)
    tally = Tally(register, START_NS)
    for batch in moved.run():
        new = [line for lines in batch.lines.values() for line in lines]
        nation.deliver(influxdb, new)
        tally.add(new)
        service.minute(batch.ends_ns)
    expected = tally.areas(batch.ends_ns)
    assert taken(rollup, batch.ends_ns) == expected
    assert expected["3175"]["mismatched"] == expected["3175"]["expected"] > 0
    assert expected["3175"]["silent"] == 0


def test_a_regency_without_any_points_stays_expected(
    influxdb: Database, tmp_path: Path
) -> None:
    """Without any series, its stations are silent; maintenance changes no count."""
    scenario = nation.scenario(
        stations=20,
        minutes=1,
        provinces=["31"],
        fault=[{"kind": "never", "regency": "3175"}],
    )
    register = nation.register_scenario(scenario, tmp_path)
    start_s = START_NS // 10**9
    register.note(Note("maintenance", "3175", start_s, start_s + 3600, "PLN"))
    service, rollup = service_of(influxdb, tmp_path, census={"worst_stations": 2})
    nation.deliver(influxdb, nation.all_lines(scenario))
    service.minute(START_NS + MINUTE_NS)
    query = "SELECT * FROM census WHERE \"regency\" = '3175' AND \"operator\" = 'all'"
    (row,) = rollup.query(query)
    count = row["expected"]
    assert count > 2
    assert (row["silent"], row["never"], row["maintenance"]) == (count, count, count)
    assert row["reporting"] == row["stations_good"] == 0
    assert row["unlisted"] == count - 2
    assert row["voting"] == 1
    assert row["zone"] == "WIB"
    listed = rollup.query("SELECT * FROM station WHERE \"regency\" = '3175'")
    assert len(listed) == 2
    assert {row["maintenance"] for row in listed} == {1}


def test_an_acknowledged_station_stays_silent(
    influxdb: Database, tmp_path: Path
) -> None:
    """A station with two notes counts once as noted, and is still silent."""
    codes = [f"317101000100{number}" for number in range(1, 4)]
    links = [("main", "xl", "")]
    register = nation.register_stations(tmp_path, dict.fromkeys(codes, links))
    start_s = START_NS // 10**9
    notes = [
        ("acknowledged", codes[0]),
        ("acknowledged", codes[0]),
        ("maintenance", codes[1]),
    ]
    for kind, code in notes:
        register.note(Note(kind, code, start_s, start_s + 3600, "NOC"))
    service, rollup = service_of(influxdb, tmp_path)
    service.minute(START_NS + MINUTE_NS)
    (row,) = rollup.query("SELECT * FROM census WHERE \"operator\" = 'all'")
    counts = ("expected", "silent", "acknowledged", "maintenance")
    assert [row[name] for name in counts] == [3, 3, 1, 1]
    listed = {r["station"]: r for r in rollup.rows("station")}
    assert {c: (r["acknowledged"], r["maintenance"]) for c, r in listed.items()} == {
        codes[0]: (1, 0),
        codes[1]: (0, 1),
        codes[2]: (0, 0),
    }


@pytest.mark.parametrize("regency", ["9901", "9404"])
def test_points_with_a_regency_of_another_province_are_ignored(
    influxdb: Database, tmp_path: Path, regency: str
) -> None:
    """An agent with a wrong code must not stop the census of the others."""
    station, other = "3171010001001", "9404010001001"
    links = [("main", "xl", "")]
    nation.register_stations(tmp_path, {station: links, other: links})
    service, rollup = service_of(influxdb, tmp_path)
    at_ns = START_NS + MINUTE_NS
    wrong = f"agent,province=31,regency={regency},station=9 beats=1i {START_NS}"
    beats = [nation.beat(code, START_NS) for code in (station, other)]
    nation.deliver(influxdb, [*beats, wrong.encode()])
    assert service.minute(at_ns).failed == {}
    counts = taken(rollup, at_ns)
    reporting = {code: row["reporting"] for code, row in counts.items()}
    assert reporting == {"3171": 1, "9404": 1}


@pytest.mark.parametrize("operators", [("telkomsel",)])
def test_links_are_counted_by_operator_and_class(
    influxdb: Database, tmp_path: Path, operators: tuple[str, ...]
) -> None:
    """A failing core causes bad links of its operator and of no other."""
    scenario = nation.scenario(
        stations=40,
        minutes=4,
        provinces=["31"],
        targets=["anchor"],
        fault=[{"kind": "core_failure", "operator": operators[0]}],
    )
    nation.register_scenario(scenario, tmp_path)
    service, rollup = service_of(influxdb, tmp_path)
    last: dict[tuple[str, str], str] = {}
    for batch in nation.begin(scenario).run():
        new = [x for lines in batch.lines.values() for x in lines]
        nation.deliver(influxdb, new)
        service.minute(batch.ends_ns)
        for r in map(decode, new):
            if r.measurement == "verdict":
                key = (r.tags["operator"], r.tags["station"])
                last[key] = str(r.fields["class"])
    query = f"SELECT * FROM census WHERE time = {batch.ends_ns}"
    rows = [row for row in rollup.query(query) if row["operator"] != "all"]
    for name in ("good", "degraded", "bad", "unknown"):
        for operator in {operator for operator, _ in last}:
            counted = sum(
                row[f"links_{name}"] for row in rows if row["operator"] == operator
            )
            expected = sum(c == name for (op, _), c in last.items() if op == operator)
            assert counted == expected, (operator, name)
    assert {op for (op, _), c in last.items() if c == "bad"} >= set(operators)
