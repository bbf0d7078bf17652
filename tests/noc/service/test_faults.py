"""The census continues and catches up if servers reject, hang, restart or are full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qos_agent.noc.service.report import Report
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from tests.noc import nation
from tests.noc.nation import MINUTE_NS
from tests.noc.simulation import (
    PASSES,
    Simulation,
    assert_sums,
    do_pending,
    service,
)
from tests.servers.answers import Hang, Pass
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront, MakeInfluxDB
from tests.servers.influxdb import InfluxDB, Settings

FAULT = range(3, 5)
BeforeMinute = Callable[[int], object]


def settings_of(raw: Database, rollup: Database, folder: Path) -> NocSettings:
    """Return settings of one collector with one province."""
    shard = {**raw.section, "provinces": ["31"]}
    return nation.settings(raw, rollup, folder, rollups=PASSES, collectors=[shard])


def run_through(
    census: Service, simulation: Simulation, before: BeforeMinute
) -> tuple[list[int], list[Report]]:
    """Run all minutes with their remaining work, then continue for 15 minutes."""
    ends: list[int] = []
    reports: list[Report] = []
    for at_ns in simulation.minutes(before):
        ends.append(at_ns)
        reports.append(census.minute(at_ns))
        do_pending(census, reports[-1])
    for minute in (1, 15):
        do_pending(census, census.minute(at_ns + minute * MINUTE_NS))
    return ends, reports


def log_of_fault(reports: list[Report]) -> str:
    """Return the report lines of the minutes with the fault."""
    return " · ".join(str(reports[minute]) for minute in FAULT)


def assert_failed_during_fault(reports: list[Report]) -> None:
    """Assert errors in the minutes of the fault and in no others."""
    failed = {n for n, report in enumerate(reports) if report.failed}
    assert failed == set(FAULT)


def test_wrong_token(make_influxdb: MakeInfluxDB, tmp_path: Path) -> None:
    """A rejected token is reported, and after its renewal the census catches up."""
    server = make_influxdb(Settings(auth=True))
    raw, rollup = server.create_database("raw"), server.create_database("sums")
    token = tmp_path / "token"
    token.write_text(server.token)
    address = {"url": server.url, "token_file": token}
    settings = nation.settings(
        raw,
        rollup,
        tmp_path,
        rollups=PASSES,
        collectors=[address | {"bucket": "raw", "provinces": ["31"]}],
        rollup=address | {"bucket": "sums"},
    )

    def before(minute: int) -> None:
        token.write_text("qos:wrong" if minute in FAULT else server.token)

    simulation = Simulation(tmp_path, raw, rollup)
    ends, reports = run_through(service(settings), simulation, before)
    assert_failed_during_fault(reports)
    assert "set token or token_file" in log_of_fault(reports)
    assert "wrong" not in log_of_fault(reports)
    simulation.assert_complete(ends)


@pytest.mark.parametrize("missing", ["raw", "sums"])
def test_missing_database(
    influxdb_process: InfluxDB, tmp_path: Path, missing: str
) -> None:
    """The error says to create the database; afterwards the census catches up."""
    server = influxdb_process
    raw, rollup = (replace(server.view, database=name) for name in ("raw", "sums"))
    server.create_database("sums" if missing == "raw" else "raw")
    simulation = Simulation(tmp_path, raw, rollup)

    def before(minute: int) -> None:
        if minute == 2:
            server.create_database(missing)

    settings = settings_of(raw, rollup, tmp_path)
    ends, reports = run_through(service(settings), simulation, before)
    assert [bool(report.failed) for report in reports] == [True] * 2 + [False] * 6
    assert "create the bucket" in str(reports[0])
    simulation.assert_complete(ends)


def test_row_limits_of_1x_hide_nothing(
    make_influxdb: MakeInfluxDB, tmp_path: Path
) -> None:
    """With max-row-limit = 1 the census and all passes of roll-ups are complete."""
    server = make_influxdb(Settings(max_row_limit=1))
    raw, rollup = (server.create_database(name) for name in ("raw", "sums"))
    simulation = Simulation(tmp_path, raw, rollup)
    census = service(settings_of(raw, rollup, tmp_path))
    ends, reports = run_through(census, simulation, lambda _: None)
    assert [report.failed for report in reports if report.failed] == []
    server.stop()
    server.settings = Settings()
    server.start()
    simulation.assert_complete(ends)


def test_series_limits_of_1x(make_influxdb: MakeInfluxDB, tmp_path: Path) -> None:
    """With a full in-memory index the rest is written, and the limit is reported."""
    raw = make_influxdb().create_database("raw")
    small = make_influxdb(Settings(index="inmem", max_values_per_tag=4))
    rollup = small.create_database("sums")
    for number in range(4):  # the limit applies from the second request on
        rollup.write(f"census,regency=990{number} expected=1i 1".encode())
        rollup.write(f"latency,regency=990{number} late=0i 1".encode())
    settings = settings_of(raw, rollup, tmp_path)
    census = service(settings)
    simulation = Simulation(tmp_path, raw, rollup, stations=24)
    ends: list[int] = []
    for at_ns in simulation.minutes():
        report = census.minute(at_ns)
        do_pending(census, report)
        ends.append(at_ns)
        assert "max-values-per-tag limit exceeded" in str(report)
        assert "set index-version = tsi1, or raise max-values-per-tag" in str(report)
    assert rollup.count("latency", "sent") == 0
    assert rollup.count("verdict", "good") > 0
    (heartbeat,) = rollup.query("SELECT LAST(detail) AS detail FROM pipeline")
    assert "max-values-per-tag" in heartbeat["detail"]
    small.stop()
    small.settings = Settings(index="inmem")
    small.start()
    for minute in (1, 2):
        do_pending(census, census.minute(at_ns + minute * MINUTE_NS))
    simulation.assert_complete(ends)


def test_limit_of_series_in_the_database(
    make_influxdb: MakeInfluxDB, tmp_path: Path
) -> None:
    """max-series-per-database is reported; once it is raised, the census catches up."""
    raw = make_influxdb().create_database("raw")
    full = make_influxdb(Settings(index="inmem", max_series_per_database=5))
    rollup = full.create_database("sums")
    census = service(settings_of(raw, rollup, tmp_path))
    simulation = Simulation(tmp_path, raw, rollup)

    def before(minute: int) -> None:
        if minute == FAULT.stop:
            full.stop()
            full.settings = Settings(index="inmem")
            full.start()

    ends, reports = run_through(census, simulation, before)
    failed = [bool(report.failed) for report in reports]
    assert failed == [True] * FAULT.stop + [False] * (8 - FAULT.stop)
    assert "raise max-series-per-database" in str(reports[0])
    simulation.assert_complete(ends)


def test_series_dropped_from_the_rollups_are_recalculated(
    influxdb: Database, tmp_path: Path
) -> None:
    """The next pass over the hour writes dropped sums again."""
    rollup = influxdb.fresh()

    def before(minute: int) -> None:
        if minute == FAULT.start:
            for name in ("latency", "agent", "verdict"):
                rollup.drop_series(f"FROM {name}")

    census = service(settings_of(influxdb, rollup, tmp_path))
    simulation = Simulation(tmp_path, influxdb, rollup)
    _, reports = run_through(census, simulation, before)
    assert not any(report.failed for report in reports)
    last_ns = reports[-1].at_ns
    do_pending(census, census.minute(last_ns + 30 * MINUTE_NS))
    assert_sums(rollup, simulation.arrived, last_ns)


def test_stations_stay_expected_if_their_series_are_dropped(
    influxdb: Database, tmp_path: Path
) -> None:
    """If all points of a regency disappear, its stations become silent."""
    rollup = influxdb.fresh()
    simulation = Simulation(tmp_path, influxdb, rollup, stations=24)
    census = service(settings_of(influxdb, rollup, tmp_path))
    gone, expected = "", 0

    def census_row(at_ns: int) -> dict[str, Any]:
        where = f"regency = '{gone}' AND \"operator\" = 'all' AND time = {at_ns}"
        (row,) = rollup.query(f"SELECT * FROM census WHERE {where}")
        return row

    for minute, at_ns in enumerate(simulation.minutes()):
        if minute == FAULT.start:
            rows = rollup.query("SELECT regency, reporting FROM census")
            gone = next(r["regency"] for r in rows if r["reporting"])
            expected = census_row(at_ns - MINUTE_NS)["expected"]
        if minute >= FAULT.start:
            influxdb.drop_series(f"WHERE regency = '{gone}'")
        report = census.minute(at_ns)
        assert report.failed == {}
        if minute >= FAULT.start:
            row = census_row(at_ns)
            assert row["expected"] == expected
            assert row["reporting"] == 0
            assert row["reporting"] + row["late"] + row["silent"] == expected
    assert census_row(at_ns)["silent"] == expected


@pytest.mark.parametrize("slow", ["collector", "sums"])
def test_slow_server(
    influxdb: Database,
    front: MakeFront,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slow: str,
) -> None:
    """A server without an answer delays a minute once, and is used again later."""
    monkeypatch.setattr("qos_agent.noc.service.service._QUERY_TIMEOUT_S", 0.5)
    between = front(influxdb.url)
    rollup = influxdb.fresh()
    sections: dict[str, dict[str, Any]] = {
        "collector": {**influxdb.section, "provinces": ["31"]},
        "sums": rollup.section,
    }
    sections[slow] |= {"url": between.url, "timeout": "500ms"}
    settings = nation.settings(
        influxdb,
        rollup,
        tmp_path,
        rollups=PASSES,
        collectors=[sections["collector"]],
        rollup=sections["sums"],
    )
    requests: dict[int, int] = {}

    def before(minute: int) -> None:
        requests[minute] = len(between.requests)
        between.always(Hang() if minute in FAULT else Pass())

    simulation = Simulation(tmp_path, influxdb, rollup)
    ends, reports = run_through(service(settings), simulation, before)
    assert_failed_during_fault(reports)
    attempts = requests[FAULT.start + 1] - requests[FAULT.start]
    # Five attempts to write and a query for the baseline; with a collector, one.
    assert attempts == 1 if slow == "collector" else attempts <= 6
    simulation.assert_complete(ends)


@pytest.mark.parametrize("which", ["collector", "sums"])
def test_restart_in_the_middle(
    make_influxdb: MakeInfluxDB, tmp_path: Path, which: str
) -> None:
    """A server is killed and starts two minutes later: nothing is lost or doubled."""
    first, second = make_influxdb(), make_influxdb()
    raw, rollup = first.create_database("raw"), second.create_database("sums")
    server = first if which == "collector" else second

    def before(minute: int) -> None:
        if minute == FAULT.start:
            server.kill()
        if minute == FAULT.stop:
            server.start()

    simulation = Simulation(tmp_path, raw, rollup)
    settings = settings_of(raw, rollup, tmp_path)
    ends, reports = run_through(service(settings), simulation, before)
    assert_failed_during_fault(reports)
    simulation.assert_complete(ends)
    heartbeats = rollup.query("SELECT failed FROM pipeline")
    by_time = {row["time"]: row["failed"] for row in heartbeats}
    assert [by_time[at_ns] for at_ns in ends] == [int(n in FAULT) for n in range(8)]


def test_one_collector_down_of_two(make_influxdb: MakeInfluxDB, tmp_path: Path) -> None:
    """If one collector of two is down, the figures of the other continue."""
    west, east = make_influxdb(), make_influxdb()
    shards = {"31": west.create_database("west"), "94": east.create_database("east")}
    rollup = west.create_database("sums")

    def before(minute: int) -> None:
        if minute == FAULT.start:
            east.kill()
        if minute == FAULT.stop:
            east.start()

    settings = nation.settings(
        west.view,
        rollup,
        tmp_path,
        rollups=PASSES,
        collectors=[{**db.section, "provinces": [code]} for code, db in shards.items()],
    )
    census = service(settings)
    simulation = Simulation(
        tmp_path, west.view, rollup, stations=24, provinces=["31", "94"]
    )
    ends: list[int] = []
    for at_ns in simulation.minutes(before, shards):
        report = census.minute(at_ns)
        down = {"94"} if len(ends) in FAULT else set()
        assert report.failed.keys() == down
        rows = rollup.query(f"SELECT * FROM census WHERE time = {at_ns}")
        assert {r["province"] for r in rows} == {"31", "94"} - down
        do_pending(census, report)
        ends.append(at_ns)
    for minute in (1, 15):
        do_pending(census, census.minute(at_ns + minute * MINUTE_NS))
    simulation.assert_complete(ends)
