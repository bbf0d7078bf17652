"""Servers that refuse, hang, restart or are full: the census goes on and catches up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qos_agent.noc.service.loop import work_off
from qos_agent.noc.service.service import Report, Service
from qos_agent.noc.settings import NocSettings
from tests.noc import nation
from tests.noc.life import BRIEF, Life, assert_sums, service
from tests.noc.nation import MINUTE_NS
from tests.servers.answers import Hang, Pass
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront, MakeInfluxDB
from tests.servers.influxdb import InfluxDB, Settings

FAULT = range(3, 5)
Meet = Callable[[int], object]


def settings_of(raw: Database, rollup: Database, folder: Path) -> NocSettings:
    """Settings of one collector, with one province."""
    given = {**raw.section, "provinces": ["31"]}
    return nation.settings(raw, rollup, folder, rollups=BRIEF, collectors=[given])


def lived(made: Service, life: Life, meet: Meet) -> tuple[list[int], list[Report]]:
    """The nation's minutes, with what is owed after each; then quarter of an hour."""
    ends: list[int] = []
    reports: list[Report] = []
    for at_ns in life.minutes(meet):
        ends.append(at_ns)
        reports.append(made.minute(at_ns))
        work_off(made, reports[-1])
    for minute in (1, 15):
        work_off(made, made.minute(at_ns + minute * MINUTE_NS))
    return ends, reports


def said(reports: list[Report]) -> str:
    """What the census said in the minutes of the fault."""
    return " · ".join(str(reports[minute]) for minute in FAULT)


def assert_only_then(reports: list[Report]) -> None:
    """It failed in the fault's minutes and in no others."""
    failed = {n for n, report in enumerate(reports) if report.failed}
    assert failed == set(FAULT)


def test_wrong_token(make_influxdb: MakeInfluxDB, tmp_path: Path) -> None:
    """A token withdrawn and given back: named, then made good without a restart."""
    server = make_influxdb(Settings(auth=True))
    raw, rollup = server.create_database("raw"), server.create_database("sums")
    token = tmp_path / "token"
    token.write_text(server.token)
    given = {"url": server.url, "token_file": token}
    settings = nation.settings(
        raw, rollup, tmp_path, rollups=BRIEF,
        collectors=[given | {"bucket": "raw", "provinces": ["31"]}],
        rollup=given | {"bucket": "sums"},
    )  # fmt: skip

    def meet(minute: int) -> None:
        token.write_text("qos:wrong" if minute in FAULT else server.token)

    life = Life(tmp_path, raw, rollup)
    ends, reports = lived(service(settings), life, meet)
    assert_only_then(reports)
    assert "set token or token_file" in said(reports)
    assert "wrong" not in said(reports)
    life.assert_whole(ends)


@pytest.mark.parametrize("missing", ["raw", "sums"])
def test_missing_database(
    influxdb_process: InfluxDB, tmp_path: Path, missing: str
) -> None:
    """A database that is not there yet: the error says to create it; all is made."""
    server = influxdb_process
    raw, rollup = (replace(server.view, database=name) for name in ("raw", "sums"))
    server.create_database("sums" if missing == "raw" else "raw")
    life = Life(tmp_path, raw, rollup)

    def meet(minute: int) -> None:
        if minute == 2:
            server.create_database(missing)

    settings = settings_of(raw, rollup, tmp_path)
    ends, reports = lived(service(settings), life, meet)
    assert [bool(report.failed) for report in reports] == [True] * 2 + [False] * 6
    assert "create the bucket" in str(reports[0])
    life.assert_whole(ends)


def test_series_limits_of_1x(make_influxdb: MakeInfluxDB, tmp_path: Path) -> None:
    """A full in-memory index: the rest is written, the limit named, then all made."""
    raw = make_influxdb().create_database("raw")
    small = make_influxdb(Settings(index="inmem", max_values_per_tag=4))
    rollup = small.create_database("sums")
    for number in range(4):  # a limit is seen from the second request on
        rollup.write(f"census,regency=990{number} expected=1i 1".encode())
        rollup.write(f"latency,regency=990{number} late=0i 1".encode())
    settings = settings_of(raw, rollup, tmp_path)
    made, life = service(settings), Life(tmp_path, raw, rollup, stations=24)
    ends: list[int] = []
    for at_ns in life.minutes():
        report = made.minute(at_ns)
        work_off(made, report)
        ends.append(at_ns)
        assert "max-values-per-tag limit exceeded" in str(report)
        assert "set index-version = tsi1, or raise max-values-per-tag" in str(report)
    assert rollup.count("latency", "sent") == 0
    assert rollup.count("verdict", "good") > 0
    (heart,) = rollup.query("SELECT LAST(detail) AS detail FROM pipeline")
    assert "max-values-per-tag" in heart["detail"]
    small.stop()
    small.settings = Settings(index="inmem")
    small.start()
    for minute in (1, 2):
        work_off(made, made.minute(at_ns + minute * MINUTE_NS))
    life.assert_whole(ends)


def test_limit_of_series_in_the_database(
    make_influxdb: MakeInfluxDB, tmp_path: Path
) -> None:
    """max-series-per-database is named; when it is raised all is made good."""
    raw = make_influxdb().create_database("raw")
    full = make_influxdb(Settings(index="inmem", max_series_per_database=5))
    rollup = full.create_database("sums")
    made = service(settings_of(raw, rollup, tmp_path))
    life = Life(tmp_path, raw, rollup)

    def meet(minute: int) -> None:
        if minute == FAULT.stop:
            full.stop()
            full.settings = Settings(index="inmem")
            full.start()

    ends, reports = lived(made, life, meet)
    failed = [bool(report.failed) for report in reports]
    assert failed == [True] * FAULT.stop + [False] * (8 - FAULT.stop)
    assert "raise max-series-per-database" in str(reports[0])
    life.assert_whole(ends)


def test_series_dropped_from_the_sums_are_made_again(
    influxdb: Database, tmp_path: Path
) -> None:
    """Somebody drops a regency's sums: the next pass over the hour brings them back."""
    rollup = influxdb.fresh()

    def meet(minute: int) -> None:
        if minute == FAULT.start:
            for name in ("latency", "agent", "verdict"):
                rollup.drop_series(f"FROM {name}")

    made = service(settings_of(influxdb, rollup, tmp_path))
    life = Life(tmp_path, influxdb, rollup)
    _, reports = lived(made, life, meet)
    assert not any(report.failed for report in reports)
    last_ns = reports[-1].at_ns
    work_off(made, made.minute(last_ns + 30 * MINUTE_NS))
    assert_sums(rollup, life.arrived, last_ns)


def test_series_dropped_from_the_collector_leave_the_denominator(
    influxdb: Database, tmp_path: Path
) -> None:
    """All points of a regency vanish under the census: its stations turn silent."""
    rollup = influxdb.fresh()
    life = Life(tmp_path, influxdb, rollup, stations=24)
    made = service(settings_of(influxdb, rollup, tmp_path))
    gone, expected = "", 0

    def found(at_ns: int) -> dict[str, Any]:
        where = f"regency = '{gone}' AND \"operator\" = 'all' AND time = {at_ns}"
        (row,) = rollup.query(f"SELECT * FROM census WHERE {where}")
        return row

    for minute, at_ns in enumerate(life.minutes()):
        if minute == FAULT.start:
            rows = rollup.query("SELECT regency, reporting FROM census")
            gone = next(r["regency"] for r in rows if r["reporting"])
            expected = found(at_ns - MINUTE_NS)["expected"]
        if minute >= FAULT.start:
            influxdb.drop_series(f"WHERE regency = '{gone}'")
        report = made.minute(at_ns)
        assert report.failed == {}
        if minute >= FAULT.start:
            row = found(at_ns)
            assert row["expected"] == expected
            assert row["reporting"] == 0
            assert row["reporting"] + row["late"] + row["silent"] == expected
    assert found(at_ns)["silent"] == expected


@pytest.mark.parametrize("slow", ["collector", "sums"])
def test_slow_server(
    influxdb: Database,
    front: MakeFront,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slow: str,
) -> None:
    """A server that does not answer costs a minute one wait, and is asked again."""
    monkeypatch.setattr("qos_agent.noc.service.service._PATIENCE_S", 0.5)
    between = front(influxdb.url)
    rollup = influxdb.fresh()
    sections: dict[str, dict[str, Any]] = {
        "collector": {**influxdb.section, "provinces": ["31"]},
        "sums": rollup.section,
    }
    sections[slow] |= {"url": between.url, "timeout": "500ms"}
    settings = nation.settings(
        influxdb, rollup, tmp_path, rollups=BRIEF,
        collectors=[sections["collector"]], rollup=sections["sums"],
    )  # fmt: skip
    asked: dict[int, int] = {}

    def meet(minute: int) -> None:
        asked[minute] = len(between.requests)
        between.always(Hang() if minute in FAULT else Pass())

    life = Life(tmp_path, influxdb, rollup)
    ends, reports = lived(service(settings), life, meet)
    assert_only_then(reports)
    tried = asked[FAULT.start + 1] - asked[FAULT.start]
    # Five tries to write and a question for the baseline; of a collector, one.
    assert tried == 1 if slow == "collector" else tried <= 6
    life.assert_whole(ends)


@pytest.mark.parametrize("which", ["collector", "sums"])
def test_restart_in_the_middle(
    make_influxdb: MakeInfluxDB, tmp_path: Path, which: str
) -> None:
    """Killed, and started two minutes later: nothing is missing, nothing is double."""
    one, other = make_influxdb(), make_influxdb()
    raw, rollup = one.create_database("raw"), other.create_database("sums")
    server = one if which == "collector" else other

    def meet(minute: int) -> None:
        if minute == FAULT.start:
            server.kill()
        if minute == FAULT.stop:
            server.start()

    life = Life(tmp_path, raw, rollup)
    settings = settings_of(raw, rollup, tmp_path)
    ends, reports = lived(service(settings), life, meet)
    assert_only_then(reports)
    life.assert_whole(ends)
    hearts = rollup.query("SELECT failed FROM pipeline")
    by_time = {row["time"]: row["failed"] for row in hearts}
    assert [by_time[at_ns] for at_ns in ends] == [int(n in FAULT) for n in range(8)]


def test_one_collector_down_of_two(make_influxdb: MakeInfluxDB, tmp_path: Path) -> None:
    """Two collectors by province: one is down, the other's figures go on."""
    one, other = make_influxdb(), make_influxdb()
    shards = {"31": one.create_database("west"), "94": other.create_database("east")}
    rollup = one.create_database("sums")

    def meet(minute: int) -> None:
        if minute == FAULT.start:
            other.kill()
        if minute == FAULT.stop:
            other.start()

    settings = nation.settings(one.view, rollup, tmp_path, rollups=BRIEF, collectors=[
        {**db.section, "provinces": [code]}
        for code, db in shards.items()
    ])  # fmt: skip
    census = service(settings)
    life = Life(tmp_path, one.view, rollup, stations=24, provinces=["31", "94"])
    ends: list[int] = []
    for at_ns in life.minutes(meet, shards):
        report = census.minute(at_ns)
        down = {"94"} if len(ends) in FAULT else set()
        assert report.failed.keys() == down
        rows = rollup.query(f"SELECT * FROM census WHERE time = {at_ns}")
        assert {r["province"] for r in rows} == {"31", "94"} - down
        work_off(census, report)
        ends.append(at_ns)
    for minute in (1, 15):
        work_off(census, census.minute(at_ns + minute * MINUTE_NS))
    life.assert_whole(ends)
