"""The installed service: its users, its log, its keys and its sandbox."""

from __future__ import annotations

import json

import pytest

from tests.deploy.container import Container
from tests.support.waiting import eventually

# One worker builds the packages once.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("device")]

LIMIT_S = 60.0


def _state(device: Container, key: str) -> str:
    return device.output("systemctl", "show", "qos-agent", "-P", key).strip()


def test_an_administrator_of_the_group_needs_no_root(
    accepted_device: Container,
) -> None:
    """Members of the group read status and journal and pause; others get a fix."""
    accepted_device.run("useradd", "--groups", "qos-agent", "budi")
    accepted_device.run("useradd", "siti")
    for command in (("status",), ("journal", "stats"), ("config", "check")):
        accepted_device.run("qos-agent", *command, user="budi")
    accepted_device.run("qos-agent", "pause", "throughput", user="budi")
    accepted_device.run("qos-agent", "resume", user="budi")
    refused = accepted_device.run("qos-agent", "status", user="siti", check=False)
    assert refused.returncode == 2
    assert "usermod -aG qos-agent" in refused.stdout
    for line in ("setup", "maintenance --allow 30m"):
        arguments = ("qos-agent", *line.split())
        denied = accepted_device.run(*arguments, user="budi", check=False)
        assert denied.returncode == 2
        assert "sudo qos-agent" in denied.stdout


def test_the_service_starts_without_a_token_and_reloads(
    accepted_device: Container,
) -> None:
    """A missing token file stops no measurement, and a wrong file no agent."""
    accepted_device.run("rm", "/etc/qos-agent/collector.token")
    accepted_device.run("systemctl", "restart", "qos-agent")
    assert _state(accepted_device, "ActiveState") == "active"
    log = accepted_device.log("-u", "qos-agent")
    assert "/etc/qos-agent/collector.token" in log
    started = _state(accepted_device, "MainPID")
    accepted_device.run("systemctl", "reload", "qos-agent")
    path = "/etc/qos-agent/agent.toml"
    config = accepted_device.output("cat", path)
    accepted_device.write(path, config + "[latency]\ncount = 0\n")
    refused = accepted_device.run("systemctl", "reload", "qos-agent", check=False)
    assert refused.returncode
    assert _state(accepted_device, "MainPID") == started
    assert _state(accepted_device, "ActiveState") == "active"
    accepted_device.write(path, config)


def test_the_log_has_fields(accepted_device: Container) -> None:
    """A reading is found by its measurement and outcome, not only by its text."""
    status = ("qos-agent", "status", "--json")
    eventually(lambda: '"latency"' in accepted_device.output(*status), LIMIT_S)
    # A stop commits what is in memory, and logs it.
    accepted_device.run("systemctl", "stop", "qos-agent")
    newest = ("-n", "1", "QOS_MEASUREMENT=latency")
    line = accepted_device.log("-u", "qos-agent", "-o", "json", *newest)
    entry = json.loads(line)
    assert entry["QOS_LINK"] == "main"
    assert entry["QOS_OUTCOME"] in {"ok", "failed", "skipped"}
    assert entry["MESSAGE"].startswith("latency main ")


def test_keys_from_systemd_are_used_and_not_shown(accepted_device: Container) -> None:
    """A STAMP key reaches the service by LoadCredential and is never in the log."""
    key = "0123456789abcdef0123456789abcdef"
    accepted_device.write("/etc/qos-agent/stamp.key", f"{key}\n")
    accepted_device.write(
        "/etc/systemd/system/qos-agent.service.d/stamp.conf",
        "[Service]\nLoadCredential=latency.stamp_key_file:/etc/qos-agent/stamp.key\n",
    )
    accepted_device.run("systemctl", "daemon-reload")
    accepted_device.run("systemctl", "restart", "qos-agent")
    assert _state(accepted_device, "ActiveState") == "active"
    assert key not in accepted_device.log()
    accepted_device.write("/etc/qos-agent/stamp.key", "short")
    accepted_device.run("systemctl", "restart", "qos-agent", check=False, timeout_s=20)
    log = accepted_device.log("-u", "qos-agent")
    assert "hidden, 5 characters" in log


def test_the_sandbox_lets_the_clock_be_read(accepted_device: Container) -> None:
    """With every directive of the unit, adjtimex works and no capability is left."""
    accepted_device.write(
        "/etc/systemd/system/qos-agent.service.d/probe.conf",
        "[Service]\nType=oneshot\nRestart=no\nExecStart=\n"
        "ExecStart=/usr/bin/python3 -c "
        "'import ctypes; c = ctypes.CDLL(None);"
        ' print("adjtimex", c.adjtimex(ctypes.create_string_buffer(512)) >= 0);'
        ' print(open("/proc/self/status").read())\'\n',
    )
    accepted_device.run("systemctl", "daemon-reload")
    accepted_device.run("systemctl", "start", "qos-agent")
    log = accepted_device.log("-o", "cat", "-u", "qos-agent")
    assert "adjtimex True" in log
    for name in ("CapEff", "CapBnd", "CapAmb"):
        assert f"{name}:\t0000000000000000" in log
