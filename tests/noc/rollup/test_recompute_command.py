"""The command `noc census --recompute FROM TO` on a real InfluxDB."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qos_agent.noc.rollup.sums import ROLLUPS
from tests.noc import nation
from tests.noc.commands import Centre, centre
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.rollup.test_sums import FAULTS, stored_sums, sums_by_duckdb
from tests.servers.answers import Hang, Pass
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront, MakeInfluxDB

MINUTES = 12


def moment(minute: float) -> str:
    """Return a minute of the scenario as an argument."""
    at_s = (START_NS + minute * MINUTE_NS) / 1e9
    return datetime.fromtimestamp(at_s, UTC).isoformat()


ALL = ("census", "--recompute", moment(0), moment(MINUTES + 8))


@pytest.fixture(scope="module")
def arrived() -> dict[str, list[bytes]]:
    """Return the lines of a nation with faults, some late or twice, by province."""
    scenario = nation.scenario(
        stations=24, minutes=MINUTES, duplicates=0.05, fault=FAULTS
    )
    by_province: dict[str, list[bytes]] = {}
    for batch in nation.begin(scenario).run():
        for province, lines in batch.lines.items():
            by_province.setdefault(province, []).extend(lines)
    return by_province


def shard(raw: Database, *provinces: str) -> dict[str, Any]:
    """Return a collector's table of noc.toml."""
    return {**raw.section, "provinces": provinces}


def sums(rollup: Database) -> dict[str, set[tuple[Any, ...]]]:
    """Return every stored sum, by measurement."""
    return {spec.measurement: stored_sums(rollup, spec) for spec in ROLLUPS}


def expected_sums(*parts: list[bytes]) -> dict[str, set[tuple[Any, ...]]]:
    """Return the same, calculated by DuckDB from the raw lines."""
    lines = [line for part in parts for line in part]
    return {spec.measurement: sums_by_duckdb(spec, lines) for spec in ROLLUPS}


@pytest.fixture
def rollup(influxdb: Database) -> Database:
    """Return an empty database for the roll-ups."""
    return influxdb.fresh()


@pytest.fixture
def noc(influxdb: Database, rollup: Database, tmp_path: Path) -> Centre:
    """Return a configuration with one collector."""
    return centre(
        tmp_path,
        [shard(influxdb, "31", "94")],
        rollup.section,
        {"span": "4m"},
    )


def test_the_sums_equal_duckdb_after_every_run(
    influxdb: Database, rollup: Database, noc: Centre, arrived: dict[str, list[bytes]]
) -> None:
    """They are the same after a second run, and complete after late points."""
    lines = arrived["31"] + arrived["94"]
    part = [line for n, line in enumerate(lines) if n % 3]
    nation.deliver(influxdb, part)
    for _ in range(2):
        done = noc.run(*ALL)
        assert (done.returncode, done.stderr) == (0, "")
        assert sums(rollup) == expected_sums(part)
    nation.deliver(influxdb, lines)
    done = noc.run(*ALL)
    assert sums(rollup) == expected_sums(lines)
    stored = sum(len(rows) for rows in expected_sums(lines).values())
    last = done.stdout.splitlines()[-1]
    # If points cannot be overwritten, only changes are written.
    adds = influxdb.version().removeprefix("v").startswith("3.")
    assert adds or last == f"recalculated: {stored} points"


def test_a_minute_is_recalculated_if_the_span_touches_it(
    influxdb: Database, rollup: Database, noc: Centre, arrived: dict[str, list[bytes]]
) -> None:
    """A moment within a minute means that whole minute, and no other."""
    nation.deliver(influxdb, arrived["31"])
    noc.run("census", "--recompute", moment(3.5), moment(4.5))
    complete = expected_sums(arrived["31"])
    span = range(START_NS + 3 * MINUTE_NS, START_NS + 5 * MINUTE_NS)
    expected = {m: {r for r in rows if r[0] in span} for m, rows in complete.items()}
    assert sums(rollup) == expected


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((moment(5), moment(4)), "before TO (found: 2024-02-14T04:05:00+00:00 to 2024"),
        ((moment(5), moment(5)), "before TO (found: 2024-02-14T04:05:00+00:00 to 2024"),
        (("2024-02-14T07:00:00", moment(5)), "(found: '2024-02-14T07:00:00'). Fix: "),
        ((moment(1), "noon"), "(found: 'noon'). Fix: "),
    ],
)
def test_an_invalid_span_is_rejected(
    rollup: Database, noc: Centre, span: tuple[str, str], message: str
) -> None:
    """The command prints one error line, ends with status 2, and writes nothing."""
    done = noc.run("census", "--recompute", *span)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert message in line
    assert not any(sums(rollup).values())


def test_a_missing_database_is_reported(
    influxdb: Database, rollup: Database, tmp_path: Path
) -> None:
    """The command prints one line with a hint and ends with status 1."""
    nowhere = shard(influxdb, "31") | {"bucket": "nowhere"}
    done = centre(tmp_path, [nowhere], rollup.section).run(*ALL)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "create the bucket" in line


def test_deleted_raw_points_are_reported(influxdb: Database, tmp_path: Path) -> None:
    """The roll-ups of that time stay, and the command says so."""
    raw = influxdb.create_database(f"{influxdb.database}_day", "1d")
    rollup = influxdb.fresh().section
    done = centre(tmp_path, [shard(raw, "31")], rollup).run(*ALL)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "are deleted; the roll-ups of that time are left as they are" in line
    assert done.stdout.splitlines()[-1] == "recalculated: 0 points"
    raw.drop()


@pytest.mark.parametrize("nth", [2, 7, 20])
def test_a_second_run_completes_an_interrupted_one(
    influxdb: Database,
    front: MakeFront,
    rollup: Database,
    tmp_path: Path,
    arrived: dict[str, list[bytes]],
    nth: int,
) -> None:
    """SIGINT between two writes ends it with status 130; a second run completes it."""
    lines = arrived["31"] + arrived["94"]
    nation.deliver(influxdb, lines)
    between = front(influxdb.url)
    between.script(*[Pass()] * (nth - 1), Hang())
    command = centre(
        tmp_path,
        [shard(influxdb, "31", "94")],
        rollup.section | {"url": between.url},
        {"span": "4m"},
    )
    child = command.start(*ALL)
    between.wait_for(nth, 60.0)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "stopped by hand" in stderr
    complete = expected_sums(lines)
    assert any(sums(rollup)[m] != rows for m, rows in complete.items())
    assert all(sums(rollup)[m] <= rows for m, rows in complete.items())
    assert command.run(*ALL).returncode == 0
    assert sums(rollup) == complete


def test_two_collectors_and_one_database_of_rollups(
    make_influxdb: MakeInfluxDB, tmp_path: Path, arrived: dict[str, list[bytes]]
) -> None:
    """Each province is read from its configured collector only."""
    west, east = make_influxdb(), make_influxdb()
    raws = {"31": west.create_database("raw"), "94": east.create_database("raw")}
    for code, raw in raws.items():
        nation.deliver(raw, arrived[code])
    # Points in the wrong database are not counted.
    nation.deliver(raws["31"], arrived["94"][:50])
    rollup = east.create_database("sums")
    shards = [shard(raw, code) for code, raw in raws.items()]
    assert centre(tmp_path, shards, rollup.section).run(*ALL).returncode == 0
    assert sums(rollup) == expected_sums(arrived["31"], arrived["94"])
    shards.append(shard(raws["31"], "94"))
    rejected = centre(tmp_path, shards, rollup.section).run(*ALL)
    assert rejected.returncode == 2
    assert "each province must have one collector" in rejected.stderr
