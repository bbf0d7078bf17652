"""Recalculated sums equal the raw points, also if no point can be overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.influx.query import QueryError
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.rollup.corrections import OverwriteSupport, differences
from qos_agent.noc.rollup.sums import ROLLUPS
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.rollup.test_sums import stored_sums, sums_by_duckdb
from tests.servers.answers import Answer, Pass, Request, Status
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

MINUTES = 6
SPAN = (START_NS, START_NS + (MINUTES + 3) * MINUTE_NS)
TAGS = {"province": "31", "regency": "3171", "phase": "voting"}
COUNTS = st.dictionaries(
    st.sampled_from(["beats", "due", "ok"]), st.integers(0, 9), min_size=1
)


def _version_3(request: Request) -> Answer:
    """Let InfluxDB 1.8 report version 3, so that points must not be overwritten."""
    if request.path == "/ping":
        return Status(200, headers={"X-Influxdb-Version": "3.4.1"})
    return Pass()


@pytest.mark.parametrize("is_three", [True, False], ids=["3.x", "1.8"])
def test_late_and_doubled_points_are_counted_once(
    influxdb: Database, front: MakeFront, tmp_path: Path, is_three: bool
) -> None:
    """The sums equal those of DuckDB, and version 3 never gets the same point twice."""
    rollup = influxdb.fresh()
    between = front(influxdb.url)
    between.always(_version_3 if is_three else Pass())
    scenario = nation.scenario(stations=12, minutes=MINUTES, provinces=["31"])
    lines = nation.all_lines(scenario)
    nation.register_stations(tmp_path, {})
    through = Database(between.url, influxdb.token, influxdb.org, rollup.database)
    service = Service(nation.settings(influxdb, through, tmp_path))
    for part in (lines[::3], lines[::2], lines, lines):
        nation.deliver(influxdb, part)
        assert list(service.recompute(*SPAN))
    service.close()
    for spec in ROLLUPS:
        assert stored_sums(rollup, spec) == sums_by_duckdb(spec, lines)
    writes = [r for r in between.requests if r.path.startswith("/api/v2/write")]
    points = [
        (r.measurement, r.time_ns, *sorted(r.tags.items()))
        for request in writes
        for r in map(decode, request.lines)
    ]
    assert (len(points) == len(set(points))) == is_three


@given(COUNTS, COUNTS)
def test_the_stored_sum_and_its_difference_are_the_new_sum(
    old: dict[str, int], new: dict[str, int]
) -> None:
    """A difference is a point of its own in the minute; equal sums have none."""
    stored = encode(Record("agent", TAGS, old, START_NS))
    recalculated = encode(Record("agent", TAGS, old | new, START_NS))
    records = [decode(line) for line in differences([recalculated], [stored])]
    total = old | new
    has_changed = any(total[name] != old.get(name, 0) for name in total)
    assert len(records) == (total != old and has_changed)
    for record in records:
        assert START_NS < record.time_ns < START_NS + MINUTE_NS
        for name, value in record.fields.items():
            assert old.get(name, 0) + int(value) == total[name]


def test_the_last_bit_of_a_sum_of_floats_is_no_difference() -> None:
    """Otherwise every pass would write a correction."""
    stored = encode(Record("signal", TAGS, {"rsrp_sum_dbm": 0.1 + 0.2}, START_NS))
    recalculated = encode(Record("signal", TAGS, {"rsrp_sum_dbm": 0.3}, START_NS))
    assert list(differences([recalculated], [stored])) == []


def test_an_unknown_version_is_requested_again(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """A server that does not answer must not count as one that overwrites."""
    between = front(influxdb.url)
    between.script(Status(503))
    between.always(_version_3)
    through = Database(between.url, "", influxdb.org, influxdb.database)
    nation.register_stations(tmp_path, {})
    service = Service(nation.settings(influxdb, through, tmp_path))
    support = OverwriteSupport(service.rollups)
    with pytest.raises(QueryError):
        support.overwrites()
    assert not support.overwrites()
    service.close()
