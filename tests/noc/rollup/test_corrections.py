"""Sums made again are the raw points', also where no point can be written over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.influx.query import QueryError
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.rollup.corrections import Rewriting, differences
from qos_agent.noc.rollup.sums import ALL_SUMS
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.rollup.test_sums import added_up, summed
from tests.servers.answers import Answer, Pass, Request, Status
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

MINUTES = 6
SPAN = (START_NS, START_NS + (MINUTES + 3) * MINUTE_NS)
TAGS = {"province": "31", "regency": "3171", "phase": "voting"}
COUNTS = st.dictionaries(
    st.sampled_from(["beats", "due", "ok"]), st.integers(0, 9), min_size=1
)


def _three(request: Request) -> Answer:
    """InfluxDB 1.8 that calls itself 3.x: it does not write over, for it is not let."""
    if request.path == "/ping":
        return Status(200, headers={"X-Influxdb-Version": "3.4.1"})
    return Pass()


@pytest.mark.parametrize("is_three", [True, False], ids=["3.x", "1.8"])
def test_late_and_doubled_points_are_counted_once(
    influxdb: Database, front: MakeFront, tmp_path: Path, is_three: bool
) -> None:
    """Each time the sums are DuckDB's; a pass that finds nothing new changes nothing;
    where points cannot be written over, none ever is.
    """
    rollup = influxdb.fresh()
    between = front(influxdb.url)
    between.always(_three if is_three else Pass())
    made = nation.scenario(stations=12, minutes=MINUTES, provinces=["31"])
    every = [
        line
        for batch in nation.begin(made).run()
        for some in batch.lines.values()
        for line in some
    ]
    nation.settled(tmp_path, {})
    through = Database(between.url, influxdb.token, influxdb.org, rollup.database)
    service = Service(nation.settings(influxdb, through, tmp_path))
    for some in (every[::3], every[::2], every, every):
        nation.deliver(influxdb, some)
        assert list(service.recompute(*SPAN))
    service.close()
    for sums in ALL_SUMS:
        assert added_up(rollup, sums) == summed(sums, every)
    writes = [r for r in between.requests if r.path.startswith("/api/v2/write")]
    points = [
        (r.measurement, r.time_ns, *sorted(r.tags.items()))
        for request in writes
        for r in map(decode, request.lines)
    ]
    assert (len(points) == len(set(points))) == is_three


@given(COUNTS, COUNTS)
def test_what_is_stored_and_the_difference_are_what_was_found(
    old: dict[str, int], new: dict[str, int]
) -> None:
    """A point beside the first, in the same minute, and none where all is as it was."""
    stored = encode(Record("agent", TAGS, old, START_NS))
    found = encode(Record("agent", TAGS, old | new, START_NS))
    made = [decode(line) for line in differences([found], [stored])]
    assert len(made) == (old | new != old and any((old | new)[n] != old.get(n, 0)
                                                 for n in old | new))  # fmt: skip
    for record in made:
        assert START_NS < record.time_ns < START_NS + MINUTE_NS
        for name, value in record.fields.items():
            assert old.get(name, 0) + int(value) == (old | new)[name]


def test_a_sum_of_readings_is_not_put_right_for_ever() -> None:
    """The last bit of a sum of floats is no difference."""
    stored = encode(Record("signal", TAGS, {"rsrp_sum_dbm": 0.1 + 0.2}, START_NS))
    found = encode(Record("signal", TAGS, {"rsrp_sum_dbm": 0.3}, START_NS))
    assert list(differences([found], [stored])) == []


def test_nothing_is_summed_before_the_version_is_known(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """A server that does not say is asked again, not taken for one that overwrites."""
    between = front(influxdb.url)
    between.script(Status(503))
    between.always(_three)
    through = Database(between.url, "", influxdb.org, influxdb.database)
    nation.settled(tmp_path, {})
    service = Service(nation.settings(influxdb, through, tmp_path))
    rewriting = Rewriting(service.rollups)
    with pytest.raises(QueryError):
        rewriting.overwrites()
    assert not rewriting.overwrites()
    service.close()
