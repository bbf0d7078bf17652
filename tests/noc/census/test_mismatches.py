"""Stations that report from another area than the register expects them in."""

from __future__ import annotations

from pathlib import Path

from qos_agent.noc.census.mismatches import Mismatch, mismatches
from qos_agent.noc.register.store import Register
from tests.noc import nation
from tests.noc.register.registers import GOOD, OTHER, csv_of, imported
from tests.servers.database import Database


def test_a_station_that_reports_from_elsewhere_is_listed(
    influxdb: Database, tmp_path: Path
) -> None:
    """It is listed with both regencies; stations in the right one are not."""
    scenario = nation.scenario(stations=12, minutes=1, targets=["anchor"])
    register = nation.register_scenario(scenario, tmp_path)
    simulated = nation.begin(scenario)
    for batch in simulated.run():
        for lines in batch.lines.values():
            nation.deliver(influxdb, lines)
    settings = nation.settings(influxdb, influxdb, tmp_path)
    at_ns = nation.START_NS + nation.MINUTE_NS
    assert list(mismatches(settings, register, at_ns)) == []
    moved, closed = (s.identity for s in simulated.stations[:2])
    elsewhere = "9404" if moved.regency != "9404" else "9401"
    row = GOOD | {"station": moved.station, "province": "94", "regency": elsewhere}
    imported(register, csv_of(tmp_path, row), nation.START_NS // 10**9)
    register.close_station(closed.station, nation.START_NS // 10**9)
    assert set(mismatches(settings, register, at_ns)) == {
        Mismatch(moved.station, moved.regency, elsewhere),
        Mismatch(closed.station, closed.regency, None),
    }


def test_the_regency_of_the_last_heartbeat_counts(
    influxdb: Database, tmp_path: Path
) -> None:
    """A station moved to another regency reports from there, not from both."""
    register = Register(tmp_path / "register.sqlite3")
    imported(register, csv_of(tmp_path, GOOD, OTHER), nation.START_NS // 10**9 - 86400)
    at_ns = nation.START_NS + nation.MINUTE_NS
    beats = [
        (GOOD, "3174", 40),
        (GOOD, "3171", 50),
        (OTHER, "3171", 40),
        (OTHER, "3174", 50),
    ]
    lines = [
        f"agent,province=31,regency={regency},station={row['station']} beats=1i "
        f"{nation.START_NS + second * 10**9}"
        for row, regency, second in beats
    ]
    nation.deliver(influxdb, [line.encode() for line in lines])
    settings = nation.settings(influxdb, influxdb, tmp_path)
    assert list(mismatches(settings, register, at_ns)) == [
        Mismatch(OTHER["station"], "3174", "3171")
    ]
