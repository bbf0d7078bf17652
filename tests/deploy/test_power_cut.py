"""A power cut at any step of dpkg leaves a device that the same command completes.

The cut stops the disk at once, so that all that was not synchronised is lost, and kills
every process of the device.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.container import Container
from tests.deploy.device import EARLIER, NEW, Packages, plug_in
from tests.support.requirement import require
from tests.support.waiting import eventually

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("device")]

FULL = os.environ.get("QOS_FAULTS") == "full"
# dpkg renames each of the 2,700 files once or twice, then the program.
RENAMES = (
    (1, 50, 700, 1400, 2100, 2600, 2670, 2680, 2690, 2700, 2750) if FULL else (1400,)
)
# dpkg deletes the files in the opposite order.
DELETIONS = (1, 2, 3, 50, 700, 1400, 2600, 2800) if FULL else ()
STEPS = range(1, 10) if FULL else ()
# The machine of a test may be busy.
LIMIT_S = 300.0
INSTALL = ("dpkg", "--install", "/media/old.deb")
DOWNGRADE = ("dpkg", "--install", "/media/earlier.deb")
UPGRADE = ("dpkg", "--install", "/media/new.deb")
REMOVE = ("dpkg", "--remove", "qos-agent")
PURGE = ("dpkg", "--purge", "qos-agent")
KEPT = (
    "/var/lib/qos-agent/journal.sqlite3",
    "/etc/qos-agent/agent.toml",
    "/etc/qos-agent/collector.token",
)
UNDELIVERED = "/etc/qos-agent/undelivered.txt"
FOLDERS = ("/var/lib/qos-agent", "/etc/qos-agent", "/usr/lib/qos-agent")


@pytest.fixture
def container(tmp_path: Path, installed: Path, accepted: Path) -> Iterator[Container]:
    """Return a device on a disk, on which the old package was set up and measured."""
    require(shutil.which("mkfs.ext4") is not None, "ext4", "apt-get install e2fsprogs")
    with Container(tmp_path / "device", (accepted, installed), on_disk=True) as device:
        found = device.run("sh", "-c", "command -v strace", check=False).returncode
        require(found == 0, "strace", "apt-get install strace")
        yield device


def _points(device: Container) -> int:
    first = device.output("qos-agent", "journal", "stats").splitlines()[1]
    return int(first.split()[1].rstrip(","))


def _cut_at_call(
    device: Container,
    calls: str,
    number: int,
    command: tuple[str, ...],
    *,
    follow: bool = False,
) -> str:
    """Kill dpkg at a system call, then cut the power. Return its output.

    With `follow`, the call may be one of a program that dpkg runs.
    """
    dpkg = device.start(
        *("strace", "--quiet=all", "-o", "/dev/null", f"--trace={calls}"),
        *(["--follow-forks"] if follow else []),
        f"--inject={calls}:signal=SIGKILL:when={number}",
        *command,
    )
    output, _ = dpkg.communicate(timeout=LIMIT_S)
    device.cut_power()
    return output.decode()


def _cut_at_step(device: Container, step: int, command: tuple[str, ...]) -> str:
    """Cut the power after a line in which dpkg reports its progress."""
    dpkg = device.start(command[0], "--status-fd=1", *command[1:])
    printed = _until_step(dpkg, step)
    device.cut_power()
    rest, _ = dpkg.communicate(timeout=LIMIT_S)
    return printed + rest.decode()


def _until_step(dpkg: subprocess.Popen[bytes], step: int) -> str:
    assert dpkg.stdout is not None
    printed = b""
    for line in dpkg.stdout:
        printed += line
        step -= line.startswith((b"processing: ", b"status: "))
        if not step:
            break
    return printed.decode()


@pytest.mark.parametrize("rename", RENAMES)
def test_a_cut_while_files_are_replaced(container: Container, rename: int) -> None:
    """After the restart the old or the new version runs, and the upgrade succeeds."""
    _cut_at_call(container, "rename,renameat,renameat2", rename, UPGRADE)
    _check_upgrade(container)


@pytest.mark.parametrize("step", STEPS)
def test_a_cut_between_two_steps(container: Container, step: int) -> None:
    """The same after each line in which dpkg reports its progress."""
    _cut_at_step(container, step, UPGRADE)
    _check_upgrade(container)


@pytest.mark.skipif(not FULL, reason="only in full")
def test_a_cut_while_bytecode_is_written(container: Container) -> None:
    """Bytecode that was not written in full is ignored, not loaded."""
    folder = container.root / "usr/lib/qos-agent" / NEW / "qos_agent/__pycache__"
    with container.start(*UPGRADE) as dpkg:
        eventually(
            lambda: dpkg.poll() is not None or len([*folder.glob("*")]) > 1, LIMIT_S
        )
        container.cut_power()
    _check_upgrade(container)


@pytest.mark.parametrize("step", STEPS)
def test_a_cut_during_a_downgrade(
    container: Container, earlier: Path, step: int
) -> None:
    """The last release can be installed again, and reads the journal."""
    container.copy(earlier, "/media/earlier.deb")
    container.run("sync")
    _cut_at_step(container, step, DOWNGRADE)
    _check_upgrade(container, DOWNGRADE, EARLIER)


def _check_upgrade(
    device: Container, command: tuple[str, ...] = UPGRADE, version: str = NEW
) -> None:
    active = device.run("systemctl", "is-active", "qos-agent", check=False).stdout
    log = device.log("-n", "50")
    assert active.strip() in {"active", "activating"}, log
    points = _points(device)
    # As the guide says, the same command again completes the upgrade.
    device.run(*command)
    device.run("systemctl", "is-active", "qos-agent")
    folders = device.output("ls", "/usr/lib/qos-agent").split()
    # The first packages left a folder with the bytecode of the other version.
    assert folders == [version] or version == EARLIER in folders
    assert device.output("dpkg", "--verify", "qos-agent") == ""
    assert _points(device) >= points


@pytest.mark.parametrize("step", STEPS)
def test_a_cut_during_the_first_installation(
    tmp_path: Path, packages: Packages, step: int
) -> None:
    """The same command again completes it, and the setup can follow."""
    with Container(tmp_path / "device", on_disk=True) as device:
        plug_in(device, packages)
        device.run("sync")
        _cut_at_step(device, step, INSTALL)
        device.run(*INSTALL)
        device.run("qos-agent", "--version")
        assert device.output("dpkg", "--verify", "qos-agent") == ""
        device.run("id", "qos-agent")


@pytest.mark.parametrize("step", range(1, 7) if FULL else (3,))
def test_a_cut_during_a_removal(container: Container, step: int) -> None:
    """Readings, settings and token stay at every step."""
    points = _points(container)
    _cut_at_step(container, step, REMOVE)
    _check_removal(container, points)


@pytest.mark.parametrize("deletion", DELETIONS)
def test_a_cut_while_files_are_deleted(container: Container, deletion: int) -> None:
    """The same after each file of the program."""
    points = _points(container)
    _cut_at_call(container, "unlink,rmdir", deletion, REMOVE)
    _check_removal(container, points)


def _check_removal(device: Container, points: int) -> None:
    _assert_kept(device)
    removed = device.run(*REMOVE)
    assert "the readings stay in /var/lib/qos-agent" in removed.stdout
    for path in ("/usr/bin/qos-agent", "/usr/lib/qos-agent"):
        assert device.run("test", "-e", path, check=False).returncode, path
    _assert_kept(device)
    assert "pending for" in device.output("cat", UNDELIVERED)
    device.run(*INSTALL)
    assert _points(device) >= points


def _assert_kept(device: Container) -> None:
    for path in KEPT:
        device.run("test", "-s", path)


@pytest.mark.parametrize("step", range(1, 10) if FULL else (5,))
def test_a_cut_during_a_purge(container: Container, step: int) -> None:
    """The same command again deletes all, and what is lost was printed."""
    output = _cut_at_step(container, step, PURGE)
    output += container.output(*PURGE)
    assert "deleting all readings" in output
    assert "pending for collector" in output
    _assert_deleted(container)


@pytest.mark.parametrize("deletion", range(1, 30, 2) if FULL else (3,))
def test_a_cut_while_a_purge_deletes(container: Container, deletion: int) -> None:
    """The counts are deleted last, so a second purge prints them too."""
    container.run(*REMOVE)
    container.run("sync")
    _cut_at_call(container, "unlinkat", deletion, PURGE, follow=True)
    found = container.run("test", "-s", UNDELIVERED, check=False).returncode == 0
    gone = container.run("test", "-e", FOLDERS[0], check=False).returncode
    assert found or gone
    output = container.output(*PURGE)
    assert not found or "pending for collector" in output
    _assert_deleted(container)


def _assert_deleted(device: Container) -> None:
    for path in FOLDERS:
        left = device.run("ls", "-lAR", path, check=False)
        assert left.returncode, left.stdout
    known = device.run("dpkg-query", "--show", "qos-agent", check=False)
    assert known.returncode
