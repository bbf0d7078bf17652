"""A centre on an empty machine: the package, one command, and the units of systemd."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.deploy.container import Container
from tests.deploy.device import Device
from tests.noc.register.registers import GOOD, csv_of
from tests.noc.remote.centre import make_centre
from tests.servers.influxd import Influxd
from tests.support.waiting import eventually

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("device")]

NAME = "collector.example.id"
TRUSTED = "/etc/qos-agent/ca/trusted.pem"


def test_one_command_starts_a_centre(
    installed_device: Device, influxd_program: Influxd, tmp_path: Path
) -> None:
    """All units run in their sandboxes, and a device enrols and delivers."""
    container = installed_device.container
    _empty_machine(container, influxd_program)
    container.run("qos-agent", "noc", "setup", NAME, "--certificates", "--start")
    eventually(lambda: _problems(container) == ["keys"], 60)
    container.run("mkdir", "/media/usb")
    container.run("qos-agent", "noc", "ca", "recovery", "/media/usb/recovery.pem")
    container.run("systemctl", "start", "qos-noc-backup", "qos-noc-certificates")
    assert _problems(container) == []
    container.copy(csv_of(tmp_path, GOOD), "/root/stations.csv")
    noc = ("qos-agent", "noc")
    container.run(*noc, "register", "import", "/root/stations.csv", "--apply")
    keys = make_centre(tmp_path / "keys")
    container.copy(keys.key("config-1"), "/etc/qos-agent/config-key.pem")
    container.run("chmod", "600", "/etc/qos-agent/config-key.pem")
    container.copy(keys.folder / "set-1.note", "/root/set-1.note")
    container.run(*noc, "config", "add-set", "/root/set-1.note")
    container.run(*noc, "config", "publish")
    # They wait for a first version, and each takes the lock of the state.
    for unit in ("qos-noc-rollout", "qos-noc-renewal", "qos-noc-backup"):
        container.run("systemctl", "start", unit)
    assert "version: 2," in container.output(*noc, "config", "show")
    container.run(*noc, "provision")
    again = container.output(*noc, "provision", "--reissue", GOOD["station"])
    code = again.rpartition("code ")[2].partition(",")[0]
    centre = ("--centre", f"https://{NAME}", "--ca-file", TRUSTED)
    enrolled = container.output("qos-agent", "enrol", code, *centre)
    assert "service: started" in enrolled
    # The service of the agent reads the key and the certificate as its own user.
    container.run("systemctl", "stop", "qos-agent")
    assert "event" in _measurements(container)
    assert container.output("systemctl", "--failed", "--no-legend") == ""
    assert code not in container.log()


def _empty_machine(container: Container, program: Influxd) -> None:
    """Install InfluxDB 1.8 in place of Debian's, and give this machine a name."""
    container.copy(program.path, "/usr/bin/influxd")
    container.run("rm", "-rf", "/var/lib/influxdb")
    hosts = container.root / "etc/hosts"
    hosts.write_text(f"127.0.0.1 localhost {NAME}\n")
    assert os.access(container.root / "usr/sbin/nginx", os.X_OK)


def _measurements(container: Container) -> str:
    token = container.output("cat", "/etc/qos-agent/admin.token").strip()
    query = "http://127.0.0.1:8086/query?db=qos&q=SHOW+MEASUREMENTS"
    return container.output("curl", "-sS", "-u", token, query)


def _problems(container: Container) -> list[str]:
    """Return the parts that need someone, except the full disk of this machine."""
    command = ("qos-agent", "noc", "health", "--json")
    result = container.run(*command, check=False)
    parts = json.loads(result.stdout or "[]")
    if not parts:
        return ["nothing"]
    return [p["name"] for p in parts if not p["ok"] and p["part"] != "disk"]
