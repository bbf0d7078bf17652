"""The real mmcli, on a bus of its own, with a ModemManager that dbusmock plays."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qos_agent.probes.modems import mmcli
from tests.probes.time_left import TimeLeft
from tests.requirement import require

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
    address = f"unix:path={tmp_path}/bus"
    (tmp_path / "bus.conf").write_text(CONFIGURATION.format(address=address))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    daemon = ["dbus-daemon", f"--config-file={tmp_path}/bus.conf", "--nofork"]
    mock = [PYTHON, "-m", "dbusmock", "--template", "modemmanager"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(daemon, stderr=subprocess.DEVNULL) as first:
        _await((tmp_path / "bus").exists)
        with subprocess.Popen(
            mock, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as second:
            _await(_modem_added)
            yield
            second.kill()
        first.kill()


def _await(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end_s, f"{condition} did not come"
        time.sleep(0.05)


def _modem_added() -> bool:
    method = "org.freedesktop.DBus.Mock.AddSimpleModem"
    call = ["gdbus", "call", "--system", *MANAGER, "-m", method]
    return subprocess.run(call, capture_output=True, check=False).returncode == 0


@pytest.mark.usefixtures("bus")
def test_the_real_mmcli_is_understood() -> None:
    """What the installed mmcli prints of a modem without extended signal is read."""
    radio = mmcli.read(mmcli.Wanted(None, None), TimeLeft(15))
    assert (radio.technology, radio.plmn, radio.reader) == ("lte", "00101", "mmcli")
    assert (radio.rsrp_dbm, radio.cell) == (None, None)
    assert "doesnotmatter" not in str(radio)
