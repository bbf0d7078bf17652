"""Upgrades and downgrades of one booted device, between packages of different code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.deploy.container import Container
from tests.deploy.device import EARLIER, NEW, OLD

# One worker builds the packages once.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("device")]

CONFIG = "/etc/qos-agent/agent.toml"
ELECTION = """
[election]
calendar = "/etc/qos-agent/calendar.toml"
"""


def _state(device: Container, key: str) -> str:
    return device.output("systemctl", "show", "qos-agent", "-P", key).strip()


def _points(device: Container) -> int:
    stats = json.loads(device.output("qos-agent", "journal", "stats", "--json"))
    return int(stats["points"])


def _version(device: Container) -> str:
    shown = ("dpkg-query", "-W", "-f", "${Status} ${Version}", "qos-agent")
    return device.output(*shown)


def test_a_failed_upgrade_leaves_the_old_version_running(
    accepted_device: Container,
) -> None:
    """On a full disk dpkg fails. The old version keeps its bytecode."""
    pid = _state(accepted_device, "MainPID")
    free = accepted_device.output("df", "--output=avail", "-B1", "/var").split()[1]
    full = ("fallocate", "-l", str(int(free) - 8_000_000), "/var/full")
    accepted_device.run(*full)
    failed = accepted_device.run("dpkg", "--install", "/media/new.deb", check=False)
    assert failed.returncode
    assert "No space left" in failed.stdout
    accepted_device.run("rm", "/var/full")
    assert _state(accepted_device, "MainPID") == pid
    assert _points(accepted_device)
    bytecode = f"find /usr/lib/qos-agent/{OLD} -name '*.opt-2.pyc' | head -1"
    assert accepted_device.output("sh", "-c", bytecode)


@pytest.fixture
def voting(accepted_device: Container) -> Iterator[Container]:
    """Return the device with a calendar by which its station votes now."""
    config = accepted_device.output("cat", CONFIG)
    accepted_device.write("/etc/qos-agent/calendar.toml", _calendar())
    accepted_device.write(CONFIG, config + ELECTION)
    accepted_device.run("systemctl", "restart", "qos-agent")
    yield accepted_device
    accepted_device.write(CONFIG, config)
    accepted_device.run("systemctl", "restart", "qos-agent")


def _calendar() -> str:
    local = datetime.now(UTC) + timedelta(hours=7)
    kinds = ("pre", "voting", "counting", "post")
    days = (-10, -0.1, 0.1, 1, 10)
    text = '[[election]]\nname = "test"\n'
    for kind, (start, end) in zip(kinds, pairwise(days), strict=True):
        period = (local + timedelta(days=start), local + timedelta(days=end))
        first, last = (f"{moment:%Y-%m-%dT%H:%M:00}" for moment in period)
        text += f'[[election.period]]\nkind = "{kind}"\nstart = {first}\nend = {last}\n'
    return text


def test_an_upgrade_while_votes_are_cast_is_refused(voting: Container) -> None:
    """The old version keeps running; root can allow the upgrade for a time."""
    pid = _state(voting, "MainPID")
    refused = voting.run("dpkg", "--install", "/media/new.deb", check=False)
    assert refused.returncode
    assert "qos-agent: refused: " in refused.stdout
    assert "qos-agent maintenance --allow 30m" in refused.stdout
    assert _state(voting, "MainPID") == pid
    assert _version(voting) == f"install ok installed {OLD}"
    voting.run("qos-agent", "maintenance", "--allow", "30m")
    # The last test has left a failed upgrade.
    voting.run("dpkg", "--install", "/media/new.deb")
    assert _state(voting, "MainPID") not in {pid, "0"}
    assert _version(voting) == f"install ok installed {NEW}"


def test_the_version_before_reads_the_journal_and_so_does_the_next(
    accepted_device: Container, earlier: Path
) -> None:
    """A downgrade to the last release and an upgrade from it keep all readings.

    Its code is another: the journal of the present version has more tables.
    """
    device, before = accepted_device, _points(accepted_device)
    config = device.output("cat", CONFIG)
    device.copy(earlier, "/media/earlier.deb")
    assert before > 0
    for file, version in (("earlier.deb", EARLIER), ("new.deb", NEW)):
        device.run("qos-agent", "config", "check")  # stores bytecode in the folder
        output = device.run("dpkg", "--install", f"/media/{file}").stdout
        assert _state(device, "ActiveState") == "active"
        assert _version(device) == f"install ok installed {version}"
        assert device.output("cat", CONFIG) == config
        # A stop commits the readings that this version has taken.
        device.run("systemctl", "restart", "qos-agent")
        assert _points(device) > before
        before = _points(device)
        assert "damaged-" not in device.output("ls", "/var/lib/qos-agent")
    # The first packages left folders with bytecode behind.
    assert "unable to delete" not in output
    assert device.output("ls", "/usr/lib/qos-agent") == f"{NEW}\n"
    device.run("systemctl", "stop", "qos-agent")
    device.run("qos-agent", "journal", "verify")
