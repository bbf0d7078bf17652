"""`noc census --recompute FROM TO` as it is typed, on a real InfluxDB."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qos_agent.noc.rollup.sums import ALL_SUMS
from tests.noc import nation
from tests.noc.commands import Centre, centre
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.rollup.test_sums import TROUBLE, added_up, summed
from tests.servers.answers import Hang, Pass
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront, MakeInfluxDB

MINUTES = 12


def moment(minute: float) -> str:
    """A minute of the scenario, as it is typed."""
    at_s = (START_NS + minute * MINUTE_NS) / 1e9
    return datetime.fromtimestamp(at_s, UTC).isoformat()


ALL = ("census", "--recompute", moment(0), moment(MINUTES + 8))


@pytest.fixture(scope="module")
def arrived() -> dict[str, list[bytes]]:
    """What a troubled nation delivers, late and twice, by province."""
    made = nation.scenario(
        stations=24, minutes=MINUTES, duplicates=0.05, trouble=TROUBLE
    )
    found: dict[str, list[bytes]] = {}
    for batch in nation.begin(made).run():
        for province, lines in batch.lines.items():
            found.setdefault(province, []).extend(lines)
    return found


def shard(raw: Database, *provinces: str) -> dict[str, Any]:
    """A collector's table."""
    return {**raw.section, "provinces": provinces}


def sums(rollup: Database) -> dict[str, set[tuple[Any, ...]]]:
    """Every stored sum, by measurement."""
    return {s.measurement: added_up(rollup, s) for s in ALL_SUMS}


def truth(*lines: list[bytes]) -> dict[str, set[tuple[Any, ...]]]:
    """The same by DuckDB from the raw lines."""
    every = [line for some in lines for line in some]
    return {s.measurement: summed(s, every) for s in ALL_SUMS}


@pytest.fixture
def rollup(influxdb: Database) -> Database:
    return influxdb.fresh()


@pytest.fixture
def made(influxdb: Database, rollup: Database, tmp_path: Path) -> Centre:
    """A centre whose one collector is there."""
    return centre(
        tmp_path, [shard(influxdb, "31", "94")],
        rollup.section, {"span": "4m"},
    )  # fmt: skip


def test_it_equals_duckdb_however_often(
    influxdb: Database, rollup: Database, made: Centre, arrived: dict[str, list[bytes]]
) -> None:
    """Sums are the raw points', the same a second time, and whole after late data."""
    every = arrived["31"] + arrived["94"]
    part = [line for n, line in enumerate(every) if n % 3]
    nation.deliver(influxdb, part)
    for _ in range(2):
        done = made.typed(*ALL)
        assert (done.returncode, done.stderr) == (0, "")
        assert sums(rollup) == truth(part)
    nation.deliver(influxdb, every)
    done = made.typed(*ALL)
    assert sums(rollup) == truth(every)
    stored = sum(len(found) for found in truth(every).values())
    said = done.stdout.splitlines()[-1]
    # Where nothing is written over, only what has changed is written.
    adds = influxdb.version().removeprefix("v").startswith("3.")
    assert adds or said == f"summed again: {stored} points"


def test_every_minute_that_is_touched_is_made(
    influxdb: Database, rollup: Database, made: Centre, arrived: dict[str, list[bytes]]
) -> None:
    """A moment within a minute takes that minute whole, and no other."""
    nation.deliver(influxdb, arrived["31"])
    made.typed("census", "--recompute", moment(3.5), moment(4.5))
    whole = truth(arrived["31"])
    span = range(START_NS + 3 * MINUTE_NS, START_NS + 5 * MINUTE_NS)
    wanted = {m: {r for r in rows if r[0] in span} for m, rows in whole.items()}
    assert sums(rollup) == wanted


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ((moment(5), moment(4)), "allowed: FROM before TO; swap them"),
        ((moment(5), moment(5)), "allowed: FROM before TO; swap them"),
        (("2024-02-14T07:00:00", moment(5)), "give the offset"),
        ((moment(1), "noon"), "found 'noon'"),
    ],
)
def test_a_span_that_is_none_is_refused(
    rollup: Database, made: Centre, span: tuple[str, str], said: str
) -> None:
    """One line that says what is allowed, status 2, and nothing is written."""
    done = made.typed("census", "--recompute", *span)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not any(sums(rollup).values())


def test_a_database_that_is_not_there_is_told(
    influxdb: Database, rollup: Database, tmp_path: Path
) -> None:
    """One line with the mend, status 1."""
    nowhere = shard(influxdb, "31") | {"bucket": "nowhere"}
    given = rollup.section
    done = centre(tmp_path, [nowhere], given).typed(*ALL)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "create the bucket" in line


def test_what_has_expired_is_told(influxdb: Database, tmp_path: Path) -> None:
    """Raw points that are gone are no reason for sums to go, nor for silence."""
    raw = influxdb.create_database(f"{influxdb.database}_day", "1d")
    given = influxdb.fresh().section
    done = centre(tmp_path, [shard(raw, "31")], given).typed(*ALL)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert "are gone; sums of that time stay as they are" in line
    assert done.stdout.splitlines()[-1] == "summed again: 0 points"
    raw.drop()


@pytest.mark.parametrize("nth", [2, 7, 20])
def test_interrupted_and_typed_again(
    influxdb: Database,
    front: MakeFront,
    rollup: Database,
    tmp_path: Path,
    arrived: dict[str, list[bytes]],
    nth: int,
) -> None:
    """SIGINT between two writes: status 130 at once; again, and nothing is missing."""
    every = arrived["31"] + arrived["94"]
    nation.deliver(influxdb, every)
    between = front(influxdb.url)
    between.script(*[Pass()] * (nth - 1), Hang())
    typed = centre(
        tmp_path, [shard(influxdb, "31", "94")],
        rollup.section | {"url": between.url}, {"span": "4m"},
    )  # fmt: skip
    child = typed.begun(*ALL)
    between.wait_for(nth, 60.0)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=10)
    assert child.returncode == 130
    assert "stopped by hand" in said
    whole = truth(every)
    assert any(sums(rollup)[m] != rows for m, rows in whole.items())
    assert all(sums(rollup)[m] <= rows for m, rows in whole.items())
    assert typed.typed(*ALL).returncode == 0
    assert sums(rollup) == whole


def test_two_collectors_and_one_database_of_sums(
    make_influxdb: MakeInfluxDB, tmp_path: Path, arrived: dict[str, list[bytes]]
) -> None:
    """Each province is read where the configuration says, and nowhere else."""
    west, east = make_influxdb(), make_influxdb()
    raws = {"31": west.create_database("raw"), "94": east.create_database("raw")}
    for code, raw in raws.items():
        nation.deliver(raw, arrived[code])
    # What has gone to the wrong one is not counted.
    nation.deliver(raws["31"], arrived["94"][:50])
    rollup = east.create_database("sums")
    given = rollup.section
    shards = [shard(raw, code) for code, raw in raws.items()]
    assert centre(tmp_path, shards, given).typed(*ALL).returncode == 0
    assert sums(rollup) == truth(arrived["31"], arrived["94"])
    refused = centre(tmp_path, [*shards, shard(raws["31"], "94")], given).typed(*ALL)
    assert refused.returncode == 2
    assert "share no province" in refused.stderr
