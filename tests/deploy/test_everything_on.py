"""The installed service with everything on: each part works within the sandbox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.container import Container
from tests.deploy.device import NAME, booted
from tests.lab.network import SERVER
from tests.probes.signal.manager import IFACE, MODEM, SIGNAL, manager
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
# The machine of a test may be busy.
LIMIT_S = 240.0


@pytest.fixture(scope="module")
def container(
    accepted: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """Return a device with a modem, a measurement server and names."""
    folder = tmp_path_factory.mktemp("everything")
    require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    with booted(folder, accepted, installed) as device:
        container, silent = device.container, subprocess.DEVNULL
        device.lab.popen(["iperf3", "--server"], "server", stdout=silent, stderr=silent)
        # The real one would own the name.
        container.run("systemctl", "mask", "--now", "ModemManager")
        text = container.output("cat", "/etc/qos-agent/agent.toml")
        container.write("/etc/qos-agent/agent.toml", text + CONFIG)
        bus = f"unix:path=/proc/{container.leader}/root/run/dbus/system_bus_socket"
        with manager(folder, bus) as modem:
            modem.mock(MODEM, "AddProperties", f"{IFACE}.Signal", SIGNAL)
            container.run("systemctl", "restart", "qos-agent")
            yield container


def _measured(container: Container) -> set[str]:
    """Return the measurements of which the latest reading is good."""
    shown = container.run("qos-agent", "status", "--json", check=False)
    if shown.returncode:
        return set()
    latest = json.loads(shown.stdout)["latest"]
    return {e["measurement"] for e in latest if e["outcome"] == "ok"}


def _log(container: Container) -> str:
    return container.log("-u", "qos-agent", "-o", "cat")


def test_every_part_measures(container: Container) -> None:
    """Pings by name, iperf3 and mmcli as children, and the bus are reachable."""
    eventually(lambda: _measured(container) >= PARTS, LIMIT_S)
    # A stop commits the readings, and each becomes a line of the log.
    container.run("systemctl", "restart", "qos-agent")
    assert "signal main lte rsrp_dbm=-101" in _log(container)


# A minute and a half; `make faults` runs it.
@pytest.mark.skipif(os.environ.get("QOS_FAULTS") != "full", reason="only in full")
def test_pings_by_a_capability(container: Container) -> None:
    """The drop-in for kernels without ping sockets lets the service measure."""
    container.run("sh", "-c", "echo 1 0 >/proc/sys/net/ipv4/ping_group_range")
    container.run("systemctl", "restart", "qos-agent")
    eventually(lambda: "host" in _measured(container), LIMIT_S)
    assert "latency" not in _measured(container)
    container.run("install", "-d", DROP_INS)
    drop_in = "/usr/share/qos-agent/drop-ins/cap-net-raw.conf"
    container.run("cp", drop_in, DROP_INS)
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "restart", "qos-agent")
    eventually(lambda: _measured(container) >= PARTS, LIMIT_S)
