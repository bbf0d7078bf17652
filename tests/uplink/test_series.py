"""The number of series on a real server does not depend on the measured values."""

from __future__ import annotations

from qos_agent.model import Point, Value
from qos_agent.model.schema import MEASUREMENTS, Field
from tests.journal.support import PLACE
from tests.servers.database import Database
from tests.uplink.conftest import MakeBench
from tests.uplink.support import make_settings, towards

READINGS = 25
BY_AGENTS = [m for m in MEASUREMENTS.values() if m.source == "agent"]


def test_series_do_not_grow_with_what_is_measured(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """New values in every field of every measurement add no series."""
    bench = make_bench(make_settings(towards(influxdb)))
    for number in range(READINGS):
        points = [
            Point(
                table.name,
                {tag: PLACE.get(tag, "same") for tag in table.tags if tag != "phase"},
                {field.name: _new(field, number) for field in table.fields},
                bench.clock.boot_ns(),
            )
            for table in BY_AGENTS
        ]
        bench.journal.put(points, bench.clock.state(), bench.clock.boot_id)
    assert bench.uplink.drain(60)
    assert bench.journal.counts().quarantined == 0
    held = [influxdb.count(table.name, "seq") for table in BY_AGENTS]
    assert held == [READINGS] * len(BY_AGENTS)
    assert len(influxdb.query("SHOW SERIES")) == len(BY_AGENTS)


def _new(field: Field, number: int) -> Value:
    """Return a value that no other reading has."""
    values: dict[str, Value] = {
        "int": number,
        "float": number + 0.5,
        "str": f"cell {number}",
    }
    return values[field.type]
