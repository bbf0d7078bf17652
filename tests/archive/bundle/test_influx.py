"""Sealed readings that come back from a real InfluxDB and from Parquet."""

from __future__ import annotations

import os
from pathlib import Path

from qos_agent.archive.build import build
from qos_agent.archive.bundle.centre import Centre
from qos_agent.archive.bundle.verifying import verify
from qos_agent.archive.bundle.writing import write_bundle
from qos_agent.archive.columns import READINGS
from qos_agent.archive.sources import open_sources
from qos_agent.archive.sources.influx import InfluxMeasurement
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server
from qos_agent.model import Point
from qos_agent.model.line_protocol import decode
from tests.agent.test_sealing import Device
from tests.archive.bundle.support import lines_of, station_key
from tests.golden.records import record
from tests.journal.support import PLACE
from tests.servers.database import Database

# The long form is a day of voting with a seal each ten minutes.
ROUNDS = 144 if os.environ.get("QOS_FAULTS") == "full" else 2
# The journal writes these fields itself.
_OWN = {"seq", "device", "journal", "schema"}
_OWN |= {"clock_synced", "clock_error_ms", "clock_held"}


def _points(boot_ns: int) -> list[Point]:
    """Return two points of each measurement but seals, with every tag and field."""
    found: list[Point] = []
    for name, table in sorted(READINGS.items()):
        if name == "seal":
            continue  # The test has real ones.
        fields = {f.name: f for f in table.fields if f.name not in _OWN}
        for low in (False, True):
            golden = record(name, list(table.tags), fields, low)
            tags = {**golden.tags, **PLACE}
            tags.pop("phase", None)
            at_ns = boot_ns + len(found) * 1000
            found.append(Point(name, tags, dict(golden.fields), at_ns))
    return found


def test_every_measurement_comes_back_as_it_was_sealed(
    tmp_path: Path, influxdb: Database
) -> None:
    """A bundle of InfluxDB, one of its archive, and one of the journal are equal."""
    (tmp_path / "device").mkdir()
    device = Device(tmp_path / "device")
    for _ in range(ROUNDS):
        device.clock.advance(600.0)
        rows = _points(device.clock.boot_ns())
        device.journal.put(rows, device.clock.state(), device.clock.boot_id)
        device.seal()
    device.journal.close()
    lines = lines_of(tmp_path / "device")
    assert {decode(line).measurement for line in lines} == READINGS.keys()
    influxdb.write(b"\n".join(lines))
    section = CollectorSection.model_validate(influxdb.section)
    sources = [InfluxMeasurement(Server(section), name) for name in READINGS]
    centre = Centre([station_key(device)])
    write_bundle(sources, tmp_path / "influx", centre)
    build(sources, tmp_path / "archive")
    write_bundle(open_sources(tmp_path / "archive"), tmp_path / "parquet", centre)
    write_bundle(open_sources(tmp_path / "device"), tmp_path / "journal", centre)
    sealed = [f for f in (tmp_path / "journal").rglob("*") if f.is_file()]
    for name in ("influx", "parquet"):
        verdict = verify(tmp_path / name)
        assert verdict.is_valid, verdict.counts()
        points = 2 * ROUNDS * (len(READINGS) - 1)
        assert verdict.journals[0].proven == points + ROUNDS - 1
        for path in sealed:
            other = tmp_path / name / path.relative_to(tmp_path / "journal")
            assert other.read_bytes() == path.read_bytes(), other
