"""A power cut at any step of an upgrade leaves an agent that runs.

The cut kills every process of the device at once. Writes that were not synchronised
survive it, because the device's disk is this machine's memory.
"""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.deploy.container import Container
from tests.deploy.device import SETUP, TOKEN, Device
from tests.support.requirement import require

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.xdist_group("device")]

FULL = os.environ.get("QOS_FAULTS") == "full"
# dpkg renames each of the 2,700 files once or twice, then the program.
RENAMES = (
    (1, 50, 700, 1400, 2100, 2600, 2670, 2680, 2690, 2700, 2750) if FULL else (1400,)
)
STEPS = range(1, 10) if FULL else (4,)


@pytest.mark.parametrize("rename", RENAMES)
def test_a_cut_while_files_are_replaced(installed_device: Device, rename: int) -> None:
    """After the restart the old or the new version runs, and the upgrade succeeds."""
    container = installed_device.container
    found = container.run("sh", "-c", "command -v strace", check=False).returncode == 0
    require(found, "strace", "apt-get install strace")
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    calls = "rename,renameat,renameat2"
    upgrade = container.start(
        *("strace", "--quiet=all", "-o", "/dev/null", f"--trace={calls}"),
        f"--inject={calls}:signal=SIGKILL:when={rename}",
        *("dpkg", "--install", "/media/new.deb"),
    )
    upgrade.communicate(timeout=120)
    _cut_and_check(container)


@pytest.mark.parametrize("step", STEPS)
def test_a_cut_between_two_steps(installed_device: Device, step: int) -> None:
    """The same after each line in which dpkg reports its progress."""
    container = installed_device.container
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    upgrade = container.start("dpkg", "--status-fd=1", "--install", "/media/new.deb")
    _wait_for_step(upgrade, step)
    container.kill()
    upgrade.communicate(timeout=120)
    _cut_and_check(container)


def _wait_for_step(upgrade: subprocess.Popen[bytes], step: int) -> None:
    assert upgrade.stdout is not None
    for line in upgrade.stdout:
        step -= line.startswith((b"processing: ", b"status: "))
        if not step:
            return


def _cut_and_check(container: Container) -> None:
    container.kill()
    container.boot()
    active = container.run("systemctl", "is-active", "qos-agent", check=False).stdout
    assert active.strip() in {"active", "activating"}, container.output(
        "journalctl", "--no-pager", "-n", "50"
    )
    stats = container.output("qos-agent", "journal", "stats")
    assert "points" in stats
    # As the guide says, the same command again completes the upgrade.
    container.run("dpkg", "--install", "/media/new.deb")
    container.run("systemctl", "is-active", "qos-agent")
    (folder,) = container.output("ls", "/usr/lib/qos-agent").split()
    assert folder == "0.9.0"
