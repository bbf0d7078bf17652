"""A package is installed, set up, upgraded and removed on a booted device, offline."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.deploy.container import Container
from tests.deploy.device import SETUP, TOKEN, Device

# One worker builds the packages once.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("device")]

ELECTION = """
[election]
calendar = "/etc/qos-agent/calendar.toml"
"""


def _state(device: Container, key: str) -> str:
    return device.output("systemctl", "show", "qos-agent", "-P", key).strip()


def _points(device: Container) -> int:
    stats = json.loads(device.output("qos-agent", "journal", "stats", "--json"))
    return int(stats["points"])


def test_from_package_to_acceptance(device: Device) -> None:
    """The setup accepts the device, and the agent stores the result as an event."""
    container = device.container
    device.install()
    result = container.run(*SETUP, stdin=f"{TOKEN}\n")
    lines = result.stdout.splitlines()
    assert lines[-2] == "ACCEPTED", result.stdout
    receipt = lines[-1].removeprefix("Receipt code: ")
    assert any(line.startswith("  latency main ") and " ok " in line for line in lines)
    assert TOKEN not in result.stdout
    # A stop commits what is in memory.
    container.run("systemctl", "stop", "qos-agent")
    tail = container.output("qos-agent", "journal", "tail", "-n", "1000")
    assert f"accepted, receipt {receipt}" in tail
    log = container.log("-u", "qos-agent")
    assert TOKEN not in log


def test_an_administrator_of_the_group_needs_no_root(installed_device: Device) -> None:
    """Members of the group read status and journal and pause; others get a fix."""
    container = installed_device.container
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    container.run("useradd", "--groups", "qos-agent", "budi")
    container.run("useradd", "siti")
    for command in (("status",), ("journal", "stats"), ("config", "check")):
        container.run("qos-agent", *command, user="budi")
    container.run("qos-agent", "pause", "throughput", user="budi")
    container.run("qos-agent", "resume", user="budi")
    refused = container.run("qos-agent", "status", user="siti", check=False)
    assert refused.returncode == 2
    assert "usermod -aG qos-agent" in refused.stdout
    for line in ("setup", "maintenance --allow 30m"):
        arguments = ("qos-agent", *line.split())
        denied = container.run(*arguments, user="budi", check=False)
        assert denied.returncode == 2
        assert "sudo qos-agent" in denied.stdout


def test_the_service_starts_without_a_token_and_reloads(
    installed_device: Device,
) -> None:
    """A missing token file stops no measurement, and a wrong file no agent."""
    container = installed_device.container
    container.run(*SETUP[:-4], "--language", "en", check=False)
    assert _state(container, "ActiveState") == "active"
    assert not (container.root / "etc/qos-agent/collector.token").exists()
    log = container.log("-u", "qos-agent")
    assert "/etc/qos-agent/collector.token" in log
    started = _state(container, "MainPID")
    container.run("systemctl", "reload", "qos-agent")
    config = container.output("cat", "/etc/qos-agent/agent.toml")
    container.write("/etc/qos-agent/agent.toml", config + "[latency]\ncount = 0\n")
    assert container.run("systemctl", "reload", "qos-agent", check=False).returncode
    assert _state(container, "MainPID") == started
    assert _state(container, "ActiveState") == "active"


def test_the_log_has_fields(installed_device: Device) -> None:
    """A reading is found by its measurement and outcome, not only by its text."""
    container = installed_device.container
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    container.run("systemctl", "stop", "qos-agent")
    newest = ("-n", "1", "QOS_MEASUREMENT=latency")
    line = container.log("-u", "qos-agent", "-o", "json", *newest)
    entry = json.loads(line)
    assert entry["QOS_LINK"] == "main"
    assert entry["QOS_OUTCOME"] in {"ok", "failed", "skipped"}
    assert entry["MESSAGE"].startswith("latency main ")


def test_keys_from_systemd_are_used_and_not_shown(installed_device: Device) -> None:
    """A STAMP key reaches the service by LoadCredential and is never in the log."""
    container = installed_device.container
    key = "0123456789abcdef0123456789abcdef"
    container.write("/etc/qos-agent/stamp.key", f"{key}\n")
    container.write(
        "/etc/systemd/system/qos-agent.service.d/stamp.conf",
        "[Service]\nLoadCredential=latency.stamp_key_file:/etc/qos-agent/stamp.key\n",
    )
    container.run("systemctl", "daemon-reload")
    container.run(*SETUP, stdin=f"{TOKEN}\n", check=False)
    assert _state(container, "ActiveState") == "active"
    assert key not in container.log()
    container.write("/etc/qos-agent/stamp.key", "short")
    container.run("systemctl", "restart", "qos-agent", check=False, timeout_s=20)
    log = container.log("-u", "qos-agent")
    assert "hidden, 5 characters" in log


def test_the_sandbox_lets_the_clock_be_read(installed_device: Device) -> None:
    """With every directive of the unit, adjtimex works and no capability is left."""
    container = installed_device.container
    container.write(
        "/etc/systemd/system/qos-agent.service.d/probe.conf",
        "[Service]\nType=oneshot\nRestart=no\nExecStart=\n"
        "ExecStart=/usr/bin/python3 -c "
        "'import ctypes; c = ctypes.CDLL(None);"
        ' print("adjtimex", c.adjtimex(ctypes.create_string_buffer(512)) >= 0);'
        ' print(open("/proc/self/status").read())\'\n',
    )
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "start", "qos-agent")
    log = container.log("-o", "cat", "-u", "qos-agent")
    assert "adjtimex True" in log
    for name in ("CapEff", "CapBnd", "CapAmb"):
        assert f"{name}:\t0000000000000000" in log


def test_upgrade_and_downgrade_keep_the_journal(installed_device: Device) -> None:
    """The service runs the other version afterwards, with its settings and readings."""
    container = installed_device.container
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    container.run("systemctl", "restart", "qos-agent")
    config = container.output("cat", "/etc/qos-agent/agent.toml")
    before = _points(container)
    assert before > 0
    for name in ("new.deb", "old.deb"):
        container.run("qos-agent", "config", "check")  # stores bytecode in the folder
        upgraded = container.run("dpkg", "--install", f"/media/{name}")
        assert "unable to delete" not in upgraded.stdout
        assert _state(container, "ActiveState") == "active"
        assert container.output("cat", "/etc/qos-agent/agent.toml") == config
        assert _points(container) >= before
        (folder,) = container.output("ls", "/usr/lib/qos-agent").split()
        assert folder == {"new.deb": "0.9.0", "old.deb": "0.8.0"}[name]


def test_an_upgrade_while_votes_are_cast_is_refused(installed_device: Device) -> None:
    """The old version keeps running; root can allow the upgrade for a time."""
    container = installed_device.container
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    _vote(container)
    pid = _state(container, "MainPID")
    refused = container.run("dpkg", "--install", "/media/new.deb", check=False)
    assert refused.returncode
    assert "qos-agent maintenance --allow 30m" in refused.stdout
    assert _state(container, "MainPID") == pid
    status = container.output(
        "dpkg-query", "-W", "-f", "${Status} ${Version}", "qos-agent"
    )
    assert status == "install ok installed 0.8.0"
    container.run("qos-agent", "maintenance", "--allow", "30m")
    container.run("dpkg", "--install", "/media/new.deb")
    assert _state(container, "MainPID") != pid


def test_a_failed_upgrade_leaves_the_old_version_running(
    accepted: Path, installed: Path, tmp_path: Path
) -> None:
    """On a full disk dpkg fails. With free space the same command succeeds."""
    with Container(tmp_path / "device", (accepted, installed)) as container:
        pid = _state(container, "MainPID")
        free = container.output("df", "--output=avail", "-B1", "/var").split()[1]
        full = ("fallocate", "-l", str(int(free) - 8_000_000), "/var/full")
        container.run(*full)
        failed = container.run("dpkg", "--install", "/media/new.deb", check=False)
        assert failed.returncode
        assert "No space left" in failed.stdout
        container.run("rm", "/var/full")
        assert _state(container, "MainPID") == pid
        assert _points(container)
        bytecode = "find /usr/lib/qos-agent/0.8.0 -name '*.opt-2.pyc' | head -1"
        assert container.output("sh", "-c", bytecode)
        container.run("dpkg", "--install", "/media/new.deb")
        assert container.output("ls", "/usr/lib/qos-agent") == "0.9.0\n"
        assert _state(container, "MainPID") not in {pid, "0"}


def _vote(container: Container) -> None:
    """Give the device a calendar by which its station votes now."""
    local = datetime.now(UTC) + timedelta(hours=7)
    kinds = ("pre", "voting", "counting", "post")
    days = (-10, -0.1, 0.1, 1, 10)
    text = '[[election]]\nname = "test"\n'
    for kind, (start, end) in zip(kinds, pairwise(days), strict=True):
        period = (local + timedelta(days=start), local + timedelta(days=end))
        first, last = (f"{moment:%Y-%m-%dT%H:%M:00}" for moment in period)
        text += f'[[election.period]]\nkind = "{kind}"\nstart = {first}\nend = {last}\n'
    container.write("/etc/qos-agent/calendar.toml", text)
    config = container.output("cat", "/etc/qos-agent/agent.toml")
    container.write("/etc/qos-agent/agent.toml", config + ELECTION)
    container.run("systemctl", "restart", "qos-agent")
    asked = container.run("qos-agent", "maintenance", check=False)
    assert asked.stdout.startswith("refused: "), asked.stdout


def test_removal_keeps_the_readings_and_purge_reports_them(
    installed_device: Device,
) -> None:
    """A removal leaves journal and settings; a purge names what was not delivered."""
    container = installed_device.container
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    removed = container.run("dpkg", "--remove", "qos-agent")
    assert "/var/lib/qos-agent" in removed.stdout
    assert not (container.root / "usr/lib/qos-agent").exists()
    assert container.output("ls", "/var/lib/qos-agent/journal.sqlite3")
    assert container.output("cat", "/etc/qos-agent/agent.toml")
    installed_device.install("new.deb")
    purged = container.run("dpkg", "--purge", "qos-agent")
    assert "pending for collector" in purged.stdout
    for path in ("/var/lib/qos-agent", "/etc/qos-agent", "/usr/lib/qos-agent"):
        assert container.run("test", "-e", path, check=False).returncode


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


def test_the_self_extracting_file_installs_the_same_tree(device: Device) -> None:
    """Without dpkg one file installs the agent and removes it again."""
    container = device.container
    installed = container.run("sh", "/media/agent.run")
    assert "sudo qos-agent setup" in installed.stdout
    container.run(*SETUP, stdin=f"{TOKEN}\n")
    again = container.run("sh", "/media/agent.run")
    assert "setup" not in again.stdout
    assert _state(container, "ActiveState") == "active"
    container.run("sh", "/media/agent.run", "--remove")
    assert container.output("ls", "/var/lib/qos-agent/journal.sqlite3")
    assert container.run("test", "-e", "/usr/bin/qos-agent", check=False).returncode
