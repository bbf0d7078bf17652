"""The self-extracting file: installation, upgrade and removal, each with power cuts.

The cut stops the disk after a line of the script, so that all that was not synchronised
is lost, and kills every process of the device.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.packages.self_extracting import self_extracting
from deploy.packages.tree import tree
from deploy.packages.wheels import own_wheel, wheels
from tests.deploy.container import Container
from tests.deploy.device import (
    CACHE,
    NEW,
    OLD,
    STATION,
    Packages,
    booted,
    plug_in,
    this_architecture,
)
from tests.support.requirement import require

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.xdist_group("fresh-device"),
]

FULL = os.environ.get("QOS_FAULTS") == "full"
FILE, OLD_FILE = "/media/agent.run", "/media/old.run"
# Files of an attempt that a power cut has stopped.
LEFT = """
ls -d /usr/lib/qos-agent.?????? /usr/bin/qos-agent.new 2>/dev/null
find /usr/lib/systemd /usr/share/qos-agent -name '*.qos-new'
"""
JOURNAL = "/var/lib/qos-agent/journal.sqlite3"
# The script has 24 lines that run, of which 14 follow the checks.
STEPS = range(1, 28) if FULL else ()
CONFIG = f"""
[station]
id = "{STATION}"
province = "31"
regency = "3171"

[[links]]
name = "main"
interface = "eth0"
"""


@pytest.fixture(scope="module")
def old_run(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the self-extracting file of the old version."""
    folder, architecture = tmp_path_factory.mktemp("run"), this_architecture()
    files = tree(OLD, [*wheels(architecture, CACHE), own_wheel(folder)])
    path = folder / "old.run"
    path.write_bytes(self_extracting(files, OLD, architecture, 0, fast=True))
    return path


@pytest.fixture
def container(tmp_path: Path, packages: Packages) -> Iterator[Container]:
    """Return a fresh device on a disk, with the file."""
    require(shutil.which("mkfs.ext4") is not None, "ext4", "apt-get install e2fsprogs")
    with booted(tmp_path, on_disk=True) as device:
        plug_in(device.container, packages)
        device.container.run("sync")
        yield device.container


def _cut_after_line(device: Container, number: int, *arguments: str) -> None:
    """Cut the power after a line of the script has begun."""
    script = device.start("sh", "-x", FILE, *arguments)
    with script:
        _until_line(script, number)
        device.cut_power()


def _until_line(script: subprocess.Popen[bytes], number: int) -> None:
    assert script.stdout is not None
    for line in script.stdout:
        number -= line.startswith(b"+ ")
        if not number:
            return


def _configure(device: Container) -> None:
    device.write("/etc/qos-agent/agent.toml", CONFIG)
    device.run("systemctl", "enable", "--now", "qos-agent")
    device.run("sync")


def _check_upgrade(device: Container) -> None:
    """Check that some version measures, and that the same command completes it."""
    device.run("systemctl", "is-active", "qos-agent")
    device.run("qos-agent", "journal", "stats")
    again = device.run("sh", FILE)
    assert "setup" not in again.stdout
    device.run("systemctl", "is-active", "qos-agent")
    assert device.output("ls", "/usr/lib/qos-agent") == f"{NEW}\n"
    assert device.output("sh", "-c", LEFT) == ""


def _check_removal(device: Container) -> None:
    removed = device.run("sh", FILE, "--remove")
    assert "removed. The readings stay in /var/lib/qos-agent" in removed.stdout
    device.run("test", "-s", JOURNAL)
    device.run("test", "-s", "/etc/qos-agent/agent.toml")
    for path in ("/usr/bin/qos-agent", "/usr/lib/qos-agent"):
        assert device.run("test", "-e", path, check=False).returncode, path


def test_without_dpkg_one_file_installs_and_removes_the_agent(
    container: Container,
) -> None:
    """The same file repairs an installation that a power cut has stopped."""
    installed = container.run("sh", FILE)
    assert "sudo qos-agent setup" in installed.stdout
    _configure(container)
    _cut_after_line(container, 20)
    _check_upgrade(container)
    _check_removal(container)


@pytest.mark.parametrize("line", STEPS)
def test_a_cut_during_an_upgrade(
    container: Container, old_run: Path, line: int
) -> None:
    """After the restart the old or the new version measures."""
    container.copy(old_run, OLD_FILE)
    container.run("sh", OLD_FILE)
    _configure(container)
    _cut_after_line(container, line)
    _check_upgrade(container)


@pytest.mark.parametrize("line", STEPS)
def test_a_cut_during_the_first_installation(container: Container, line: int) -> None:
    """The same command again completes it."""
    _cut_after_line(container, line)
    container.run("sh", FILE)
    assert container.output("ls", "/usr/lib/qos-agent") == f"{NEW}\n"
    container.run("qos-agent", "--version")


@pytest.mark.parametrize("line", range(1, 9) if FULL else ())
def test_a_cut_during_a_removal(container: Container, line: int) -> None:
    """Readings and settings stay, and the same command again completes it."""
    container.run("sh", FILE)
    _configure(container)
    _cut_after_line(container, line, "--remove")
    container.run("test", "-s", JOURNAL)
    _check_removal(container)
