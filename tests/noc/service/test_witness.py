"""The witness service with a real InfluxDB, and its commands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grafana.alerts.monitoring import MONITORING
from qos_agent.cli.main import build
from qos_agent.evidence import (
    checkpoints,
    cosignatures,
    keys,
    library,
    notes,
    proofs,
)
from qos_agent.evidence.signer import OpensslSigner, PublicKey
from qos_agent.influx.query import Server, between
from qos_agent.model.errors import OperatorError
from qos_agent.noc.register.keys import DeviceKey, KeyRegister
from qos_agent.noc.register.store import Register
from qos_agent.noc.service import witness
from qos_agent.noc.service.witness import WitnessService
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.witness import root
from tests.agent.test_sealing import Device
from tests.journal.support import put
from tests.noc import nation
from tests.noc.commands import centre
from tests.noc.witness.support import MINUTE_NS, OTHER, SealedDevice
from tests.servers.database import Database
from tests.support.readings import IDENTITY

SECOND_NS = 10**9


@pytest.fixture
def devices() -> list[SealedDevice]:
    """Return two devices with points."""
    return [SealedDevice().grow(5), SealedDevice(2, OTHER).grow(8)]


@pytest.fixture
def settings(
    influxdb: Database, tmp_path: Path, devices: list[SealedDevice]
) -> NocSettings:
    """Return settings with a key, and a register with the keys of the devices."""
    Register(tmp_path / "register.sqlite3").close()
    stored = KeyRegister(tmp_path / "register.sqlite3")
    stored.apply([device.key() for device in devices])
    stored.close()
    witness.create_key(tmp_path, "qos-agent-centre")
    shard = {**influxdb.section, "provinces": ["31"]}
    return nation.settings(influxdb, influxdb, tmp_path, collectors=[shard])


@pytest.fixture
def service(settings: NocSettings) -> Iterator[WitnessService]:
    """Return the service."""
    service = WitnessService(settings)
    yield service
    service.close()


def _deliver(
    database: Database, device: SealedDevice, *, count: int = 1
) -> list[bytes]:
    lines = [device.line(device.grow(3).seal()) for _ in range(count)]
    nation.deliver(database, lines)
    return lines


def test_seals_in_influxdb_are_cosigned(
    influxdb: Database, service: WitnessService, devices: list[SealedDevice]
) -> None:
    """Each pass reads what is new, and a root with a file is built at first."""
    one, two = devices
    _deliver(influxdb, one, count=2)
    _deliver(influxdb, two)
    now_ns = one.at_ns + MINUTE_NS
    first = service.do_pass(now_ns)
    assert first.failed == {}
    assert (first.tally.cosigned, first.tally.problems) == (3, 0)
    assert first.root == "root of 2 journals"
    path = service.settings.folder / root.FILE_NAME
    key = service.signer.public_key
    name = service.settings.witness.name
    assert checkpoints.is_signed_by(notes.parse_note(path.read_bytes()), name, key)
    _deliver(influxdb, one)
    second = service.do_pass(one.at_ns + MINUTE_NS)
    assert (second.tally.cosigned, second.root) == (1, "")
    assert service.store.problems() == []


def test_a_late_seal_is_found_by_the_name_of_its_station(
    influxdb: Database, service: WitnessService, devices: list[SealedDevice]
) -> None:
    """The newest seals arrive first after an outage; the older ones fill the gap."""
    device, _ = devices
    _deliver(influxdb, device)
    service.do_pass(device.at_ns + MINUTE_NS)
    held = [device.line(device.grow(2).seal()) for _ in range(12)]
    _deliver(influxdb, device)
    now_ns = device.at_ns + MINUTE_NS
    assert service.do_pass(now_ns).tally.waiting == 1
    later_ns = now_ns + 20 * MINUTE_NS
    service.do_pass(later_ns)
    kinds = {kind for _, kind in _read_events(influxdb, service)}
    assert kinds == {"seal_missing"}
    nation.deliver(influxdb, held)
    report = service.do_pass(later_ns + 6 * MINUTE_NS)
    assert report.tally.cosigned == 13
    assert service.store.problems() == []


def _read_events(
    database: Database, service: WitnessService
) -> dict[tuple[str, str], str]:
    server = Server(service.settings.rollup)
    query = 'SELECT "detail", "kind", "station" FROM "event"'
    rows = list(server.select(query))
    server.close()
    return {(r.values["station"], r.values["kind"]): r.values["detail"] for r in rows}


def _alert(service: WitnessService, name: str, at_ns: int) -> float:
    """Return the newest number of an alert's query at a moment."""
    (alert,) = (alert for alert in MONITORING if alert.name == name)
    (query,) = alert.queries
    span = between(at_ns - query.window.from_s * SECOND_NS, at_ns + 1)
    server = Server(service.settings.rollup)
    rows = list(server.select(query.query.replace("$timeFilter", span)))
    server.close()
    return rows[-1].number("value")


def test_a_fork_and_a_forgery_are_events(
    influxdb: Database, service: WitnessService, devices: list[SealedDevice]
) -> None:
    """The events have the station and its place; each is written once."""
    device, other = devices
    _deliver(influxdb, device)
    clone = device.copy()
    _deliver(influxdb, device)
    clone.at_ns += SECOND_NS
    _deliver(influxdb, clone.grow(4, "other"))
    forger = SealedDevice(9, other.station, at_ns=other.at_ns)
    _deliver(influxdb, forger)
    report = service.do_pass(clone.at_ns + MINUTE_NS)
    assert report.failed == {}
    found = _read_events(influxdb, service)
    assert set(found) == {
        (device.station, "seal_forked"),
        (other.station, "seal_unknown_key"),
    }
    assert service.store.problems("written = 0") == []
    assert _alert(service, "seals", clone.at_ns + MINUTE_NS) == 2


def test_a_station_without_new_seals_is_late(
    influxdb: Database, service: WitnessService, devices: list[SealedDevice]
) -> None:
    """It is counted and named once, until its next seal or the end of its key."""
    device, other = devices
    _deliver(influxdb, device)
    _deliver(influxdb, other)
    service.do_pass(device.at_ns + MINUTE_NS)
    late_ns = device.at_ns + 160 * MINUTE_NS
    service.do_pass(late_ns)
    assert len(service.store.problems("kind = 'seal_late'")) == 2
    assert _alert(service, "seals-late", late_ns) == 100
    assert _alert(service, "seals", late_ns) == 0
    device.at_ns = late_ns
    _deliver(influxdb, device)
    service.do_pass(device.at_ns + MINUTE_NS)
    (left,) = service.store.problems("kind = 'seal_late'")
    assert left.station == other.station


def test_a_collector_that_is_down_stops_nothing_else(
    settings: NocSettings, devices: list[SealedDevice], influxdb: Database
) -> None:
    """Its province fails, and the next pass continues from the same moment."""
    device, _ = devices
    down = [{**influxdb.section, "provinces": ["31"], "url": "http://127.0.0.1:9"}]
    folder = settings.folder
    broken = nation.settings(influxdb, influxdb, folder, collectors=down)
    service = WitnessService(broken)
    report = service.do_pass(device.at_ns + MINUTE_NS)
    assert list(report.failed) == ["31"]
    service.close()
    _deliver(influxdb, device)
    service = WitnessService(settings)
    report = service.do_pass(device.at_ns + 30 * MINUTE_NS)
    assert report.tally.cosigned == 1
    service.close()


def test_a_clock_that_was_ahead_stops_nothing(
    influxdb: Database, service: WitnessService, devices: list[SealedDevice]
) -> None:
    """After it is set back, seals are read and roots are built again."""
    device, _ = devices
    _deliver(influxdb, device)
    year_ns = 365 * 86400 * SECOND_NS
    assert service.do_pass(device.at_ns + year_ns).root == ""
    now_ns = device.at_ns + MINUTE_NS
    first = service.do_pass(now_ns)
    assert (first.tally.cosigned, first.root) == (1, "root of 1 journals")
    service.do_pass(device.at_ns + year_ns)
    assert service.do_pass(now_ns + MINUTE_NS).root == "root of 1 journals"


def test_the_openssl_command_is_enough(
    influxdb: Database,
    settings: NocSettings,
    devices: list[SealedDevice],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the library the same seals are cosigned and refused, but slower."""
    monkeypatch.setattr(library, "is_available", lambda: False)
    device, other = devices
    _deliver(influxdb, device)
    _deliver(influxdb, SealedDevice(9, other.station, at_ns=other.at_ns))
    service = WitnessService(settings)
    report = service.do_pass(device.at_ns + MINUTE_NS)
    service.close()
    assert isinstance(service.signer, OpensslSigner)
    assert (report.tally.cosigned, report.tally.problems) == (1, 1)


def test_a_real_agents_seals_are_cosigned(
    influxdb: Database, tmp_path: Path, settings: NocSettings
) -> None:
    """Journal, delivery and witness fit, also after a lost journal and a new key."""
    folder = tmp_path / "device"
    folder.mkdir()
    device = Device(folder)
    name = checkpoints.device_name(IDENTITY.device)
    stored = KeyRegister(settings.folder / "register.sqlite3")
    stored.apply([DeviceKey(IDENTITY.station, name, device.public_key, 0)])
    lines: list[bytes] = []

    def seal(count: int) -> None:
        for _ in range(count):
            put(device.journal, device.clock, 30)
            device.seal()
        lines.extend(line for _, line in device.journal.lines())
        device.journal.close()

    seal(3)
    (folder / "journal.sqlite3").unlink()
    device.open()
    seal(2)
    device.clock.advance(100)
    new = keys.replace_key(device.path, "20240214T000000").public_key
    changed_s = (device.clock.wall_ns() - 50 * SECOND_NS) // SECOND_NS
    stored.apply([DeviceKey(IDENTITY.station, name, new, changed_s)])
    stored.close()
    device.open()
    seal(2)
    nation.deliver(influxdb, [line for line in lines if line.startswith(b"seal,")])
    service = WitnessService(settings)
    report = service.do_pass(device.clock.wall_ns() + MINUTE_NS)
    found = service.store.problems("kind <> 'seal_handover'")
    service.close()
    assert (report.failed, found) == ({}, [])
    assert (report.tally.cosigned, report.tally.handovers) == (7, 2)


def test_without_a_key_the_fix_is_named(tmp_path: Path) -> None:
    """The service does not create a key by itself, because others must know it."""
    with pytest.raises(OperatorError, match="noc witness key --create"):
        witness.load_signer(tmp_path)


def _command(folder: Path, *arguments: str) -> tuple[bytes, object]:
    """Return the output of a command, and its status or its error."""
    command = ["noc", "witness", *arguments, "-c", str(folder / "noc.toml")]
    result = CliRunner().invoke(build(command), command, standalone_mode=False)
    return result.stdout_bytes, result.exception or result.return_value


def test_the_commands_show_key_root_and_proof(
    influxdb: Database, tmp_path: Path
) -> None:
    """`key --create`, `--once`, `root` and `proof` work on one folder."""
    shard = {**influxdb.section, "provinces": ["31"]}
    noc = centre(tmp_path, [shard], influxdb.section)
    assert "has not run yet" in str(_command(tmp_path, "root")[1])
    device = SealedDevice(at_ns=time.time_ns() - 20 * MINUTE_NS).grow(3)
    stored = KeyRegister(tmp_path / "register.sqlite3")
    stored.apply([device.key()])
    stored.close()
    assert "key --create" in str(_command(tmp_path, "key")[1])
    texts = json.loads(_command(tmp_path, "key", "--create", "--json")[0])
    _deliver(influxdb, device)
    done = noc.run("witness", "--once")
    assert (done.returncode, done.stdout[:10]) == (0, "1 cosigned"), done.stderr
    note = notes.parse_note(_command(tmp_path, "root")[0])
    name, raw = notes.parse_verifier_key(texts["cosignatures"], notes.COSIGNATURE)
    assert cosignatures.cosignature(note, name, PublicKey(raw)) is not None
    # The service reads the key as a credential, out of reach of these commands.
    (tmp_path / witness.KEY_NAME).rename(tmp_path / "elsewhere.pem")
    shown = _command(tmp_path, "proof", device.station)[0]
    read = proofs.parse_proof(shown)
    assert proofs.includes(read, notes.parse_note(read.extra).text)
    assert _command(tmp_path, "proof", "3171010001009")[1] == 1
    folder = tmp_path / "proofs"
    _command(tmp_path, "proof", device.station, "--out", str(folder))
    (path,) = folder.iterdir()
    assert path.read_bytes() == shown
