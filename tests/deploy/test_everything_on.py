"""The installed service with everything on: each part works within the sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.container import Container
from tests.deploy.device import NAME, booted
from tests.lab.network import SERVER
from tests.probes.signal.manager import (
    IFACE,
    MODEM,
    SIGNAL,
    manager,
)
from tests.probes.signal.manager import (
    NAME as MODEM_MANAGER,
)
from tests.support.requirement import require
from tests.support.waiting import eventually

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("device")]

CONFIG = f"""
[schedule.idle]
latency = "10s"
throughput = "10s"

[throughput]
backends = ["iperf3"]
iperf3_server = "{SERVER}"
download_limit = "1.0MB"
upload_limit = "1.0MB"

[[signal.modems]]
link = "main"

[[targets]]
name = "named"
host = "{NAME}"
layer = "anchor"
"""
PARTS = {"host", "latency", "signal", "throughput"}
DROP_INS = "/etc/systemd/system/qos-agent.service.d"
# This machine may have no sensor. The folder is that of a thermal zone in sysfs.
ZONE = "/srv/thermal/thermal_zone0"
SENSOR = "[Service]\nBindReadOnlyPaths=/srv/thermal:/sys/class/thermal\n"
# Debian starts it on real machines only.
ANYWHERE = "[Unit]\nConditionVirtualization=\n"
ACTIONS = (f"{MODEM_MANAGER}.Device.Control", f"{MODEM_MANAGER}.Location")
# The machine of a test may be busy.
LIMIT_S = 240.0


@pytest.fixture(scope="module")
def container(
    accepted: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """Return a device with a measurement server, names and a temperature sensor."""
    folder = tmp_path_factory.mktemp("everything")
    require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    with booted(folder, accepted, installed) as device:
        container, silent = device.container, subprocess.DEVNULL
        device.lab.popen(["iperf3", "--server"], "server", stdout=silent, stderr=silent)
        text = container.output("cat", "/etc/qos-agent/agent.toml")
        container.write("/etc/qos-agent/agent.toml", text + CONFIG)
        container.write(f"{ZONE}/type", "cpu-thermal\n")
        container.write(f"{ZONE}/temp", "51000\n")
        container.write(f"{DROP_INS}/sensor.conf", SENSOR)
        yield container


@pytest.fixture(scope="module")
def complete(
    container: Container, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """Return the same device with a modem. Only the modem is a simulation."""
    # The real one would own the name.
    container.run("systemctl", "mask", "--now", "ModemManager")
    bus = f"unix:path=/proc/{container.leader}/root/run/dbus/system_bus_socket"
    with manager(tmp_path_factory.mktemp("modem"), bus) as modem:
        modem.mock(MODEM, "AddProperties", f"{IFACE}.Signal", SIGNAL)
        container.run("systemctl", "daemon-reload")
        container.run("systemctl", "restart", "qos-agent")
        yield container


def _status(container: Container) -> dict[str, Any]:
    shown = container.run("qos-agent", "status", "--json", check=False)
    found: dict[str, Any] = {"latest": []}
    return json.loads(shown.stdout) if shown.returncode == 0 else found


def _latest(container: Container, measurement: str) -> list[dict[str, Any]]:
    latest = _status(container)["latest"]
    return [entry for entry in latest if entry["measurement"] == measurement]


def test_debians_modem_manager_answers_the_service(container: Container) -> None:
    """The sandbox, the bus and polkit let the agent's user read modems, and others not.

    There is no modem here, so the answer of the real program is that it has none.
    """
    require(shutil.which("pkcheck") is not None, "polkit", "apt-get install polkitd")
    unit = "/etc/systemd/system/ModemManager.service.d/anywhere.conf"
    container.write(unit, ANYWHERE)
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "start", "ModemManager")
    container.run("systemctl", "restart", "qos-agent")
    listed = container.output("runuser", "-u", "qos-agent", "--", "mmcli", "-L")
    assert listed.strip() == "No modems were found"
    eventually(lambda: "modem" in _reasons(container), LIMIT_S)
    agent = container.output("systemctl", "show", "qos-agent", "-P", "MainPID").strip()
    container.run("useradd", "siti", check=False)
    other = container.start("runuser", "-u", "siti", "--", "sleep", "1000")
    for action in ACTIONS:
        check = ("pkcheck", "--action-id", action, "--process")
        container.run(*check, agent)
        pid = container.output("pgrep", "--uid", "siti", "sleep").strip()
        assert container.run(*check, pid, check=False).returncode, action
    container.run("pkill", "--uid", "siti")
    other.communicate(timeout=30)


def _reasons(container: Container) -> set[str]:
    return {entry["reason"] for entry in _latest(container, "signal")}


def _measured(container: Container) -> set[str]:
    """Return the measurements of which the latest reading is good."""
    latest = _status(container)["latest"]
    return {e["measurement"] for e in latest if e["outcome"] == "ok"}


def _log(container: Container) -> str:
    return container.log("-u", "qos-agent", "-o", "cat")


def test_every_part_measures(complete: Container) -> None:
    """Pings by name, iperf3 and mmcli as children, and the bus are reachable."""
    eventually(lambda: _measured(complete) >= PARTS, LIMIT_S)
    # A stop commits the readings, and each becomes a line of the log.
    complete.run("systemctl", "restart", "qos-agent")
    assert "signal main lte rsrp_dbm=-101" in _log(complete)
    tail = complete.output("qos-agent", "journal", "tail", "-n", "1000")
    assert "temperature_c=51" in tail


# A minute and a half; `make faults` runs it.
@pytest.mark.skipif(os.environ.get("QOS_FAULTS") != "full", reason="only in full")
def test_pings_by_a_capability(complete: Container) -> None:
    """The drop-in for kernels without ping sockets lets the service measure."""
    complete.run("sh", "-c", "echo 1 0 >/proc/sys/net/ipv4/ping_group_range")
    complete.run("systemctl", "restart", "qos-agent")
    eventually(lambda: "host" in _measured(complete), LIMIT_S)
    assert "latency" not in _measured(complete)
    complete.run("install", "-d", DROP_INS)
    drop_in = "/usr/share/qos-agent/drop-ins/cap-net-raw.conf"
    complete.run("cp", drop_in, DROP_INS)
    complete.run("systemctl", "daemon-reload")
    complete.run("systemctl", "restart", "qos-agent")
    eventually(lambda: _measured(complete) >= PARTS, LIMIT_S)
