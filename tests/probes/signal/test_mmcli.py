"""The real mmcli, on a bus of its own, with a ModemManager that dbusmock plays."""

from __future__ import annotations

import importlib.util
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
from tests.probes.time_left import TimeLeft
from tests.support.children import nothing_left
from tests.support.clocks import FakeClock
from tests.support.ledgers import MAIN, MemoryLedger
from tests.support.requirement import require
from tests.support.waiting import eventually

# Debian's interpreter has the D-Bus bindings; dbusmock itself may be newer than its.
PYTHON = "/usr/bin/python3"
CONFIGURATION = """<busconfig><type>system</type><listen>{address}</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""
MANAGER = (
    "-d",
    "org.freedesktop.ModemManager1",
    "-o",
    "/org/freedesktop/ModemManager1",
)
MODEM = "/org/freedesktop/ModemManager1/Modems/8"  # dbusmock's
IFACE = "org.freedesktop.ModemManager1.Modem"
UNAUTHORISED = "org.freedesktop.ModemManager1.Error.Core.Unauthorized"
SIGNAL = (
    "{'Rate': <uint32 10>, 'Nr5g': <{'rsrp': <-32768.0>}>, 'Lte': <{'rsrp': <-101.0>,"
    " 'rsrq': <-11.0>, 'snr': <8.2>, 'rssi': <-70.0>}>}"
)
CELL_TYPES = {"lte": 5, "5gnr": 6}


def cell(kind: str, name: str, channel: int) -> str:
    """A serving cell and a neighbour, as Python for the mock to answer with."""

    def one(serves: bool, number: int) -> str:
        return (
            f"{{'cell-type': dbus.UInt32({CELL_TYPES[kind]}, variant_level=1),"
            f" 'serving': dbus.Boolean({serves}, variant_level=1),"
            f" '{name}': dbus.UInt32({number}, variant_level=1)}}"
        )

    return f"ret = [{one(False, channel + 900)}, {one(True, channel)}]"


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A private system bus with ModemManager on it, and one modem."""
    spec = importlib.util.find_spec("dbusmock")
    tools = all(map(shutil.which, ("mmcli", "dbus-daemon", "gdbus")))
    require(tools, "mmcli", "apt-get install modemmanager dbus libglib2.0-bin")
    bindings = subprocess.run([PYTHON, "-c", "import dbus, gi"], check=False)
    require(bindings.returncode == 0, "D-Bus for Python",
            "apt-get install python3-dbus python3-gi")  # fmt: skip
    require(spec is not None, "dbusmock", "pip install --no-deps python-dbusmock")
    assert spec is not None
    assert spec.origin is not None
    (tmp_path / "dbusmock").symlink_to(Path(spec.origin).parent)
    manager = [PYTHON, "-m", "dbusmock", "--template", "modemmanager"]
    with _system_bus(tmp_path, monkeypatch):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        with subprocess.Popen(
            manager,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            eventually(_modem_added, 15)
            yield
            process.kill()


@contextmanager
def _system_bus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bus of our own in the system's place."""
    address = f"unix:path={folder}/bus"
    (folder / "bus.conf").write_text(CONFIGURATION.format(address=address))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    daemon = ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork"]
    with subprocess.Popen(daemon, stderr=subprocess.DEVNULL) as process:
        eventually((folder / "bus").exists, 15)
        yield
        process.kill()


def _modem_added() -> bool:
    method = "org.freedesktop.DBus.Mock.AddSimpleModem"
    call = ["gdbus", "call", "--system", *MANAGER, "-m", method]
    return subprocess.run(call, capture_output=True, check=False).returncode == 0


def mock(path: str, method: str, *arguments: str) -> None:
    """Change what the mock says of an object."""
    call = ["gdbus", "call", "--system", "-d", MANAGER[1], "-o", path]
    method = f"org.freedesktop.DBus.Mock.{method}"
    done = subprocess.run(
        [*call, "-m", method, *arguments], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def look(interface: str | None = None) -> Radio:
    """One reading by the real mmcli."""
    return mmcli.read(mmcli.Wanted(None, interface), TimeLeft(15))


def cause() -> str:
    """The cause of a reading that fails."""
    with pytest.raises(ProbeError) as caught:
        look()
    return caught.value.cause


@pytest.mark.usefixtures("bus")
def test_the_real_mmcli_is_understood() -> None:
    """What the installed mmcli prints of a modem without extended signal is read."""
    radio = look()
    assert (radio.technology, radio.plmn, radio.reader) == ("lte", "00101", "mmcli")
    assert (radio.rsrp_dbm, radio.cell, radio.band) == (None, None, None)
    assert "doesnotmatter" not in str(radio)


@pytest.mark.usefixtures("bus")
def test_signal_and_band_come_through_the_real_mmcli() -> None:
    """Levels and the serving cell's band are read; the floor of 5G is no level."""
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
    radio = look()
    found = (radio.rsrp_dbm, radio.rsrq_db, radio.sinr_db, radio.rssi_dbm)
    assert (found, radio.band) == ((-101, -11, 8.2, -70), "B1")
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
    radio = look()
    assert (radio.technology, radio.rsrp_dbm, radio.band) == (
        "nr5g_sa",
        None,
        "arfcn620640",
    )
    mock(MODEM, "UpdateProperties", IFACE, "{'AccessTechnologies': <uint32 49152>}")
    assert (look().technology, look().rsrp_dbm) == ("nr5g_nsa", -101)


@pytest.mark.usefixtures("bus")
def test_what_polkit_refuses_is_said() -> None:
    """Without leave to refresh the signal the rest is read, and the record says why."""
    mock(MODEM, "AddProperties", f"{IFACE}.Signal", "{'Rate': <uint32 0>}")
    refuses = f"raise dbus.exceptions.DBusException('no leave', name='{UNAUTHORISED}')"
    mock(MODEM, "AddMethod", f"{IFACE}.Signal", "Setup", "u", "", refuses)
    mock(MODEM, "AddMethod", IFACE, "GetCellInfo", "", "aa{sv}", refuses)
    radio = look()
    assert (radio.plmn, radio.rsrp_dbm) == ("00101", None)
    assert radio.remark is not None
    assert "--signal-setup=10, --get-cell-info" in radio.remark


def test_the_rule_of_polkit_names_what_there_is() -> None:
    """Each action that the packaged rule allows is one of ModemManager's."""
    policy = Path("/usr/share/polkit-1/actions/org.freedesktop.ModemManager1.policy")
    require(policy.exists(), "ModemManager's policy", "apt-get install modemmanager")
    rule = Path(__file__).parents[3] / "deploy/systemd/50-qos-agent-modem.rules"
    named = set(re.findall(r'"(org\.[^"]+)"', rule.read_text()))
    assert len(named) == 2
    assert named <= set(re.findall(r'action id="([^"]+)"', policy.read_text()))


@pytest.mark.usefixtures("bus")
def test_the_real_mmcli_tells_two_modems_apart() -> None:
    """Of two, the one with the link's network port is read; without one, neither."""
    other = (
        "{'Ports': <[('wwan1', uint32 2)]>, 'AccessTechnologies': <uint32 2>,"
        " 'State': <int32 8>, 'UnlockRetries': <@a{uu} {}>,"
        " 'CurrentModes': <(uint32 8, uint32 8)>, 'SignalQuality': <(uint32 7, true)>,"
        " 'SupportedModes': <[(uint32 8, uint32 8)]>, 'SupportedBands': <[uint32 0]>}"
    )
    mock(MANAGER[3], "AddObject", f"{MODEM[:-1]}9", IFACE, other, "[]")
    assert look("wwan1").technology == "gsm"
    assert cause() == "modem"


@pytest.mark.usefixtures("bus")
def test_states_of_the_real_mmcli_are_causes() -> None:
    """A locked SIM, one that is missing, and a disabled modem; odd models are read."""
    mock(MODEM, "UpdateProperties", IFACE, """{'Model': <'L850 LTE Module","L850'>}""")
    mock(MODEM, "AddProperties", IFACE, "{'StateFailedReason': <uint32 0>}")
    assert look().technology == "lte"
    for changed, want in (
        ("{'State': <int32 2>, 'UnlockRequired': <uint32 2>}", "sim"),
        ("{'State': <int32 -1>, 'StateFailedReason': <uint32 2>}", "sim"),
        ("{'State': <int32 3>}", "modem"),
    ):
        mock(MODEM, "UpdateProperties", IFACE, changed)
        assert cause() == want


@pytest.mark.usefixtures("bus")
def test_a_modemmanager_that_hangs_ends_the_real_mmcli() -> None:
    """A manager whose modem has crashed never answers: mmcli is killed in time."""
    hangs = "__import__('time').sleep(60)"
    mock(MODEM, "AddMethod", IFACE, "GetCellInfo", "", "aa{sv}", hangs)
    with nothing_left(4), pytest.raises(ProbeError) as caught:
        mmcli.read(mmcli.Wanted(None, None), TimeLeft(2))
    assert caught.value.cause == "deadline"


def test_without_modemmanager_the_real_mmcli_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus without ModemManager on it is its own cause."""
    tools = all(map(shutil.which, ("mmcli", "dbus-daemon")))
    require(tools, "mmcli", "apt-get install modemmanager dbus")
    with _system_bus(tmp_path, monkeypatch):
        assert cause() == "modem_manager"


@pytest.mark.usefixtures("bus")
def test_a_strong_signal_does_not_hide_a_link_that_carries_nothing(
    lab: MakeLab,
) -> None:
    """Registered at home with all bars, and no answer to any probe: the link is bad."""
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
    (seen,), (lost,) = radio.samples, train.samples
    assert (radio.outcome, seen.fields["rsrp_dbm"]) == (Outcome.OK, -71)
    assert (seen.fields["rsrp_weak"], seen.fields["registration"]) == (0, "home")
    assert (train.outcome, lost.fields["lost"]) == (Outcome.FAILED, 20)
    judge = Judge(
        MAIN, Rules(load(None)), BaselineStore("main", MemoryLedger(FakeClock()))
    )
    for minute in range(1, 6):
        at_ns = minute * 60 * 10**9
        judge.observe(replace(radio, boot_ns=at_ns - 2))
        judge.observe(replace(train, boot_ns=at_ns - 1))
        judged = judge.cycle(at_ns, Phase.VOTING)
    assert (judged.name, judged.available) == ("bad", False)


@pytest.mark.usefixtures("bus")
def test_after_a_restart_of_the_manager_no_stale_level_is_recorded() -> None:
    """The refresh is off again and the levels are gone: it is set up, and read anew."""
    levels = f"{IFACE}.Signal"
    mock(MODEM, "AddProperties", levels, SIGNAL)
    assert look().rsrp_dbm == -101
    off = "{'Rate': <uint32 0>, 'Lte': <@a{sv} {}>, 'Nr5g': <@a{sv} {}>}"
    mock(MODEM, "UpdateProperties", levels, off)
    anew = (
        f"self.UpdateProperties('{levels}', {{'Rate': dbus.UInt32(args[0]),"
        " 'Lte': dbus.Dictionary({'rsrp': -95.0}, signature='sv')})"
    )
    mock(MODEM, "AddMethod", levels, "Setup", "u", "", anew)
    assert look().rsrp_dbm == -95
