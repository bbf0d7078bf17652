"""The real mmcli on a private bus, with a ModemManager of dbusmock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.config.settings import SignalSection
from qos_agent.config.thresholds import load
from qos_agent.model import Layer, Link, Outcome, Phase, Target, Task
from qos_agent.model.errors import ProbeError
from qos_agent.probes.envelope import Envelope
from qos_agent.probes.latency.probe import Latency
from qos_agent.probes.latency.train import TrainSpec
from qos_agent.probes.signal import mmcli
from qos_agent.probes.signal.probe import Signal
from qos_agent.probes.signal.radio import Radio
from qos_agent.system.clock import SystemClock
from qos_agent.verdict.baseline import BaselineStore
from qos_agent.verdict.judge import Judge, Rules
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER
from tests.lab.shape import Shape
from tests.probes.signal import manager
from tests.probes.signal.manager import IFACE, MANAGER, MODEM, SIGNAL
from tests.probes.time_left import TimeLeft
from tests.support.children import nothing_left
from tests.support.clocks import FakeClock
from tests.support.ledgers import MAIN, MemoryLedger
from tests.support.requirement import require
from tests.support.waiting import eventually

CONFIGURATION = """<busconfig><type>system</type><listen>{address}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""
UNAUTHORISED = "org.freedesktop.ModemManager1.Error.Core.Unauthorized"
CELL_TYPES = {"lte": 5, "5gnr": 6}


def cell(kind: str, name: str, channel: int) -> str:
    """Return Python code for the mock that returns a neighbour and a serving cell."""

    def entry(serves: bool, number: int) -> str:
        return (
            f"{{'cell-type': dbus.UInt32({CELL_TYPES[kind]}, variant_level=1),"
            f" 'serving': dbus.Boolean({serves}, variant_level=1),"
            f" '{name}': dbus.UInt32({number}, variant_level=1)}}"
        )

    return f"ret = [{entry(False, channel + 900)}, {entry(True, channel)}]"


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a private system bus with ModemManager and one modem."""
    with (
        _system_bus(tmp_path, monkeypatch) as address,
        manager.manager(tmp_path, address),
    ):
        yield


@contextmanager
def _system_bus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a private bus in place of the system bus."""
    address = f"unix:path={folder}/bus"
    (folder / "bus.conf").write_text(CONFIGURATION.format(address=address))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    require(shutil.which("dbus-daemon") is not None, "dbus", "apt-get install dbus")
    daemon = ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork"]
    with subprocess.Popen(daemon, stderr=subprocess.DEVNULL) as process:
        try:
            eventually((folder / "bus").exists, 15)
            yield address
        finally:
            process.kill()


def mock(path: str, method: str, *arguments: str) -> None:
    """Change an object of the mock."""
    manager.Manager(os.environ).mock(path, method, *arguments)


def read(interface: str | None = None) -> Radio:
    """Read the modem once with the real mmcli."""
    return mmcli.read(mmcli.ModemSelector(None, interface), TimeLeft(15))


def cause() -> str:
    """Return the cause of a failed reading."""
    with pytest.raises(ProbeError) as caught:
        read()
    return caught.value.cause


@pytest.mark.usefixtures("bus")
def test_output_of_the_real_mmcli() -> None:
    """The output of the installed mmcli is read for a modem without levels."""
    radio = read()
    assert (radio.technology, radio.plmn, radio.reader) == ("lte", "00101", "mmcli")
    assert (radio.rsrp_dbm, radio.cell, radio.band) == (None, None, None)
    assert "doesnotmatter" not in str(radio)


@pytest.mark.usefixtures("bus")
def test_signal_and_band_by_the_real_mmcli() -> None:
    """Levels and the serving cell's band are read; the minimum of 5G is no level."""
    mock(MODEM, "AddProperties", f"{IFACE}.Signal", SIGNAL)
    mock(
        MODEM,
        "AddMethod",
        IFACE,
        "GetCellInfo",
        "",
        "aa{sv}",
        cell("lte", "earfcn", 500),
    )
    radio = read()
    levels = (radio.rsrp_dbm, radio.rsrq_db, radio.sinr_db, radio.rssi_dbm)
    assert (levels, radio.band) == ((-101, -11, 8.2, -70), "B1")
    mock(MODEM, "UpdateProperties", IFACE, "{'AccessTechnologies': <uint32 32768>}")
    mock(
        MODEM,
        "AddMethod",
        IFACE,
        "GetCellInfo",
        "",
        "aa{sv}",
        cell("5gnr", "nrarfcn", 620640),
    )
    radio = read()
    assert (radio.technology, radio.rsrp_dbm, radio.band) == (
        "nr5g_sa",
        None,
        "arfcn620640",
    )
    mock(MODEM, "UpdateProperties", IFACE, "{'AccessTechnologies': <uint32 49152>}")
    assert (read().technology, read().rsrp_dbm) == ("nr5g_nsa", -101)


@pytest.mark.usefixtures("bus")
def test_refusals_of_polkit_are_in_the_remark() -> None:
    """Without permission to refresh the signal the rest is read, with a remark."""
    mock(MODEM, "AddProperties", f"{IFACE}.Signal", "{'Rate': <uint32 0>}")
    refusal = f"raise dbus.exceptions.DBusException('refused', name='{UNAUTHORISED}')"
    mock(MODEM, "AddMethod", f"{IFACE}.Signal", "Setup", "u", "", refusal)
    mock(MODEM, "AddMethod", IFACE, "GetCellInfo", "", "aa{sv}", refusal)
    radio = read()
    assert (radio.plmn, radio.rsrp_dbm) == ("00101", None)
    assert radio.remark is not None
    assert "--signal-setup=10, --get-cell-info" in radio.remark


def test_the_polkit_rule_has_existing_actions() -> None:
    """Each action in the packaged rule is an action of ModemManager."""
    policy = Path("/usr/share/polkit-1/actions/org.freedesktop.ModemManager1.policy")
    require(policy.exists(), "ModemManager's policy", "apt-get install modemmanager")
    rule = Path(__file__).parents[3] / "deploy/systemd/50-qos-agent-modem.rules"
    actions = set(re.findall(r'"(org\.[^"]+)"', rule.read_text()))
    assert len(actions) == 2
    assert actions <= set(re.findall(r'action id="([^"]+)"', policy.read_text()))


@pytest.mark.usefixtures("bus")
def test_two_modems_with_the_real_mmcli() -> None:
    """The modem with the link's network port is read; without a match, none."""
    other = (
        "{'Ports': <[('wwan1', uint32 2)]>, 'AccessTechnologies': <uint32 2>,"
        " 'State': <int32 8>, 'UnlockRetries': <@a{uu} {}>,"
        " 'CurrentModes': <(uint32 8, uint32 8)>, 'SignalQuality': <(uint32 7, true)>,"
        " 'SupportedModes': <[(uint32 8, uint32 8)]>, 'SupportedBands': <[uint32 0]>}"
    )
    mock(MANAGER, "AddObject", f"{MODEM[:-1]}9", IFACE, other, "[]")
    assert read("wwan1").technology == "gsm"
    assert cause() == "modem"


@pytest.mark.usefixtures("bus")
def test_states_of_the_real_mmcli_are_causes() -> None:
    """A locked or missing SIM and a disabled modem are causes; odd models are read."""
    mock(MODEM, "UpdateProperties", IFACE, """{'Model': <'L850 LTE Module","L850'>}""")
    mock(MODEM, "AddProperties", IFACE, "{'StateFailedReason': <uint32 0>}")
    assert read().technology == "lte"
    for properties, expected in (
        ("{'State': <int32 2>, 'UnlockRequired': <uint32 2>}", "sim"),
        ("{'State': <int32 -1>, 'StateFailedReason': <uint32 2>}", "sim"),
        ("{'State': <int32 3>}", "modem"),
    ):
        mock(MODEM, "UpdateProperties", IFACE, properties)
        assert cause() == expected


@pytest.mark.slow
@pytest.mark.usefixtures("bus")
def test_a_modemmanager_that_hangs_ends_the_real_mmcli() -> None:
    """If the manager never answers, for example after a crash, mmcli is killed."""
    hangs = "__import__('time').sleep(60)"
    mock(MODEM, "AddMethod", IFACE, "GetCellInfo", "", "aa{sv}", hangs)
    with nothing_left(4), pytest.raises(ProbeError) as caught:
        mmcli.read(mmcli.ModemSelector(None, None), TimeLeft(2))
    assert caught.value.cause == "deadline"


def test_the_real_mmcli_without_modemmanager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus without ModemManager has its own cause."""
    tools = all(map(shutil.which, ("mmcli", "dbus-daemon")))
    require(tools, "mmcli", "apt-get install modemmanager dbus")
    with _system_bus(tmp_path, monkeypatch):
        assert cause() == "modem_manager"


@pytest.mark.usefixtures("bus")
def test_a_link_with_strong_signal_and_no_replies_is_bad(lab: MakeLab) -> None:
    """A registered modem with a strong signal does not hide a link without replies."""
    mock(MODEM, "AddProperties", f"{IFACE}.Signal", SIGNAL.replace("-101", "-71"))
    home = "{'RegistrationState': <uint32 1>}"
    mock(MODEM, "AddProperties", f"{IFACE}.Modem3gpp", home)
    net = lab(Shape())
    net.cut()
    link = Link("main", "unknown", "eth0")
    target = Target("anchor", SERVER, Layer.ANCHOR, "icmp")
    envelope = Envelope(SystemClock(0), threading.Event())
    train = net.call(
        "client",
        lambda: envelope.run(
            Latency(TrainSpec(20, 0.01, 0.3)), Task("latency", 0, link, target)
        ),
    )
    radio = envelope.run(Signal(SignalSection()), Task("signal", 0))
    (signal,), (latency,) = radio.samples, train.samples
    assert (radio.outcome, signal.fields["rsrp_dbm"]) == (Outcome.OK, -71)
    assert (signal.fields["rsrp_weak"], signal.fields["registration"]) == (0, "home")
    assert (train.outcome, latency.fields["lost"]) == (Outcome.FAILED, 20)
    judge = Judge(
        MAIN, Rules(load(None)), BaselineStore("main", MemoryLedger(FakeClock()))
    )
    for minute in range(1, 6):
        at_ns = minute * 60 * 10**9
        judge.observe(replace(radio, boot_ns=at_ns - 2))
        judge.observe(replace(train, boot_ns=at_ns - 1))
        verdict = judge.cycle(at_ns, Phase.VOTING)
    assert (verdict.name, verdict.available) == ("bad", False)


@pytest.mark.usefixtures("bus")
def test_after_a_restart_of_the_manager_no_stale_level_is_recorded() -> None:
    """After a restart the refresh is off and the levels are gone; both return."""
    levels = f"{IFACE}.Signal"
    mock(MODEM, "AddProperties", levels, SIGNAL)
    assert read().rsrp_dbm == -101
    off = "{'Rate': <uint32 0>, 'Lte': <@a{sv} {}>, 'Nr5g': <@a{sv} {}>}"
    mock(MODEM, "UpdateProperties", levels, off)
    setup = (
        f"self.UpdateProperties('{levels}', {{'Rate': dbus.UInt32(args[0]),"
        " 'Lte': dbus.Dictionary({'rsrp': -95.0}, signature='sv')})"
    )
    mock(MODEM, "AddMethod", levels, "Setup", "u", "", setup)
    assert read().rsrp_dbm == -95
