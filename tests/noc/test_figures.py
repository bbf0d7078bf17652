"""National figures from roll-ups equal those of DuckDB from raw points."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.model import Value
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.figures import FIGURES, from_raw, from_rollups
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.simulation import do_pending
from tests.servers.database import Database

HOUR_NS, DAY_NS = 60 * MINUTE_NS, 1440 * MINUTE_NS
PLACES = ("17", "19")  # equally large, and in the zone that votes
FAULTS = [
    {"kind": "never", "share": 0.1},
    {"kind": "power_cut", "from": 5, "to": 12, "regency": "1771"},
    {"kind": "backlog", "from": 4, "to": 14, "share": 0.2},
    {"kind": "core_failure", "from": 8, "to": 15, "operator": "telkomsel"},
    {"kind": "slow_uplink", "share": 0.1, "amount": 6.0},
    {"kind": "overload", "from": 2, "amount": 3.0, "share": 0.5},
]


def assert_equal(
    rollup: Database, arrived: set[bytes], from_ns: int, to_ns: int
) -> None:
    """Assert that numerator and denominator of each figure agree everywhere."""
    summed = from_rollups(rollup, from_ns, to_ns)
    raw = from_raw(arrived, from_ns, to_ns)
    for figure in FIGURES:
        expected, found = raw[figure.name], summed[figure.name]
        assert all(expected[place][1] > 0 for place in ("", *PLACES)), figure.name
        nothing = (0, 0)  # a minute without points is in neither or in one of them
        differing = {
            place: (found.get(place, nothing), expected.get(place, nothing))
            for place in found.keys() | expected.keys()
            if found.get(place, nothing)
            != pytest.approx(expected.get(place, nothing), rel=1e-12)
        }
        # A second read tells a wrong sum from a wrong answer of the server.
        assert not differing, (
            f"{figure.name}: {sorted(differing.items())}, the second time "
            f"{from_rollups(rollup, from_ns, to_ns)[figure.name]}"
        )


def test_all_figures_equal_those_of_duckdb_after_late_data(
    influxdb: Database, tmp_path: Path
) -> None:
    """With two links, duplicates, silent stations and backlogs that are delivered.

    The service runs each minute, and recalculates every minute after 12 minutes.
    """
    scenario = nation.scenario(
        stations=96, minutes=16, duplicates=0.05, fault=FAULTS, provinces=PLACES
    )
    nation.register_scenario(scenario, tmp_path)
    rollup = influxdb.fresh()
    again = {"settle": "2m", "again": ("12m",), "back": "1m"}
    raw = {**influxdb.section, "provinces": PLACES}
    settings = nation.settings(
        influxdb, rollup, tmp_path, rollups=again, collectors=[raw]
    )
    service = Service(settings)
    arrived: set[bytes] = set()
    for batch in nation.begin(scenario).run():
        new = [line for lines in batch.lines.values() for line in lines]
        nation.deliver(influxdb, new)
        arrived |= set(new)
        report = service.minute(batch.ends_ns)
        do_pending(service, report)
        assert (report.failed, report.pending_failed) == ({}, {})
    # Minutes with late points are recalculated when they are old enough.
    do_pending(service, service.minute(batch.ends_ns + 13 * MINUTE_NS))
    assert_equal(rollup, arrived, START_NS, batch.ends_ns)


@pytest.mark.parametrize(
    ("late_ns", "when_ns", "is_reported"),
    [
        pytest.param(5 * MINUTE_NS, 11 * MINUTE_NS, True, id="minutes: at 10 min"),
        pytest.param(40 * MINUTE_NS, 61 * MINUTE_NS, True, id="an hour: at 1 h"),
        pytest.param(7 * HOUR_NS, DAY_NS, True, id="hours: daily"),
        pytest.param(4 * DAY_NS, 5 * DAY_NS, True, id="days: daily"),
        pytest.param(6 * DAY_NS, 7 * DAY_NS, False, id="seven days, reported or not"),
        pytest.param(
            12 * DAY_NS, 13 * DAY_NS, True, id="12 days, as the agent reports"
        ),
    ],
)
def test_late_data_is_counted_by_the_next_pass_over_its_age(
    influxdb: Database, tmp_path: Path, late_ns: int, when_ns: int, is_reported: bool
) -> None:
    """A late point is absent before that pass and counted exactly once after it."""
    rollup = influxdb.fresh()
    passes = {"span": "12h"}
    links = [("main", "xl", "")]
    nation.register_stations(tmp_path, {ONE: links, OTHER: links})
    shard = {**influxdb.section, "provinces": ["31"]}
    service = Service(
        nation.settings(influxdb, rollup, tmp_path, rollups=passes, collectors=[shard])
    )
    at_ns = START_NS + MINUTE_NS
    nation.deliver(influxdb, [nation.beat(ONE, START_NS)])
    do_pending(service, service.minute(at_ns))
    assert beats(rollup, START_NS) == 1
    do_pending(service, service.minute(START_NS + late_ns - MINUTE_NS))
    aged: dict[str, Value] = {"oldest_unsent_s": late_ns / 1e9} if is_reported else {}
    nation.deliver(
        influxdb,
        [
            nation.beat(OTHER, START_NS),
            nation.beat(OTHER, START_NS + late_ns, **aged),
        ],
    )
    do_pending(service, service.minute(START_NS + late_ns + MINUTE_NS))
    assert beats(rollup, START_NS) == 1
    do_pending(service, service.minute(START_NS + when_ns))
    assert beats(rollup, START_NS) == 2
    assert beats(rollup, START_NS + late_ns) == 1


ONE, OTHER = "3171010001001", "3171010001002"


def beats(rollup: Database, at_ns: int) -> int:
    """Return the number of heartbeats in a minute of the roll-ups."""
    at_ns = at_ns // MINUTE_NS * MINUTE_NS
    span = f"time >= {at_ns} AND time < {at_ns + MINUTE_NS}"
    rows = rollup.query(f"SELECT SUM(beats) FROM agent WHERE {span}")
    return int(rows[0]["sum"]) if rows else 0
