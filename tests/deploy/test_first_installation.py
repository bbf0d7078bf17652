"""The package is installed and set up on a fresh device, offline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy.device import SETUP, TOKEN, Device, Packages, booted, plug_in
from tests.support.requirement import require

# Another group than the tests that share an installed device, for another processor.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("fresh-device")]


def test_from_package_to_acceptance(tmp_path: Path, packages: Packages) -> None:
    """The setup accepts the device, and all of it is on disk when ACCEPTED is printed.

    A technician may move the device then, so the power is cut at once.
    """
    require(shutil.which("mkfs.ext4") is not None, "ext4", "apt-get install e2fsprogs")
    with booted(tmp_path, on_disk=True) as device:
        container = device.container
        plug_in(container, packages)
        device.install()
        result = container.run(*SETUP, stdin=f"{TOKEN}\n")
        container.cut_power()
        lines = result.stdout.splitlines()
        assert lines[-2] == "ACCEPTED", result.stdout
        assert TOKEN not in result.stdout
        first = [line for line in lines if line.startswith("  latency main ")]
        assert any(" ok " in line for line in first)
        container.run("systemctl", "is-active", "qos-agent")
        token = container.output("cat", "/etc/qos-agent/collector.token")
        assert token == f"{TOKEN}\n"
        tail = container.output("qos-agent", "journal", "tail", "-n", "1000")
        receipt = lines[-1].removeprefix("Receipt code: ")
        assert f"accepted, receipt {receipt}" in tail
        assert TOKEN not in container.log()


def test_the_state_of_a_dynamic_user_is_kept(device: Device) -> None:
    """The folder that an earlier installation had below /var/lib/private is moved."""
    container = device.container
    container.run("mkdir", "-p", "-m", "700", "/var/lib/private/qos-agent")
    container.write("/var/lib/private/qos-agent/journal.sqlite3", "")
    container.run("ln", "-s", "private/qos-agent", "/var/lib/qos-agent")
    container.write(
        "/etc/systemd/system/qos-agent.service",
        "[Service]\nExecStart=/opt/qos-agent/bin/qos-agent run\n",
    )
    device.install()
    owner = container.output(
        "stat", "-c", "%U %F", "/var/lib/qos-agent/journal.sqlite3"
    )
    assert owner.startswith("qos-agent regular")
    path = container.output("systemctl", "show", "qos-agent", "-P", "FragmentPath")
    assert path.strip().endswith("lib/systemd/system/qos-agent.service")
