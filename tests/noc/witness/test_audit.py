"""Points that someone wrote under a station's name, in a real InfluxDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qos_agent.evidence import checkpoints
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.register.keys import DeviceKey, KeyRegister
from qos_agent.noc.register.store import Register
from qos_agent.noc.service import witness
from qos_agent.noc.service.witness import WitnessService
from tests.agent.test_sealing import Device
from tests.archive.bundle.support import lines_of
from tests.journal.support import put
from tests.noc import nation
from tests.noc.witness.support import MINUTE_NS
from tests.servers.database import Database
from tests.support.readings import IDENTITY


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """Return the journal of a device with three seals a minute apart."""
    (tmp_path / "device").mkdir()
    device = Device(tmp_path / "device")
    name = checkpoints.device_name(IDENTITY.device)
    Register(tmp_path / "register.sqlite3").close()
    stored = KeyRegister(tmp_path / "register.sqlite3")
    stored.apply([DeviceKey(IDENTITY.station, name, device.public_key, 0)])
    stored.close()
    for _ in range(3):
        put(device.journal, device.clock, 20)
        device.clock.advance(60)
        device.seal()
    device.journal.close()
    return lines_of(tmp_path / "device")


@pytest.fixture
def service(
    influxdb: Database, tmp_path: Path, lines: list[bytes]
) -> Iterator[WitnessService]:
    """Return the service, whose database has no points yet."""
    assert lines
    witness.create_key(tmp_path, "qos-agent-centre")
    shard = {**influxdb.section, "provinces": ["31"]}
    chosen = nation.settings(influxdb, influxdb, tmp_path, collectors=[shard])
    service = WitnessService(chosen)
    yield service
    service.close()


def _again(line: bytes, shift_ns: int = 0, **changes: int | str) -> bytes:
    """Return a line with other fields or another time."""
    record = decode(line)
    fields = {**record.fields, **changes}
    at_ns = record.time_ns + shift_ns
    return encode(type(record)(record.measurement, record.tags, fields, at_ns))


def _found(
    influxdb: Database, service: WitnessService, lines: Sequence[bytes]
) -> list[str]:
    """Write lines, let the witness make a pass, and return what the audit found."""
    nation.deliver(influxdb, list(lines))
    report = service.do_pass(decode(lines[-1]).time_ns + MINUTE_NS)
    assert report.failed == {}
    return [
        one.detail for one in service.store.problems("kind = ?", "seal_foreign_points")
    ]


def test_true_points_are_no_problem(
    influxdb: Database, service: WitnessService, lines: list[bytes]
) -> None:
    """All points, and also some that have not arrived yet."""
    late = [line for n, line in enumerate(lines) if n % 7 or n > 59]
    assert _found(influxdb, service, late) == []
    assert _found(influxdb, service, lines) == []


@pytest.mark.parametrize("kind", ["journal", "number", "overwritten"])
def test_a_foreign_point_is_an_event(
    influxdb: Database, service: WitnessService, lines: list[bytes], kind: str
) -> None:
    """A point of another journal, a second one with a number, and a changed one."""
    line = lines[50]
    cases = {
        "journal": (_again(line, 1, journal="forged"), "no registered key has sealed"),
        "number": (_again(line, 1), "with the number of another one"),
        "overwritten": (_again(line, received=7), "not those that were sealed"),
    }
    forged, expected = cases[kind]
    (detail,) = _found(influxdb, service, [*lines[:50], line, forged, *lines[51:]])
    assert expected in detail
