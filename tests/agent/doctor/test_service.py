"""Checks of the service, its permissions and its ping sockets."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.agent.doctor import service
from qos_agent.agent.doctor.check import Health
from qos_agent.agent.doctor.subject import User
from tests.agent.doctor.support import of
from tests.lab.fixtures import CAP_SYS_ADMIN, has_capability
from tests.support.requirement import require

START = "sudo systemctl enable --now qos-agent"


@pytest.mark.parametrize(
    ("unit", "health", "text", "fix"),
    [
        ({"NRestarts": "0"}, Health.OK, "restarts: 0", ""),
        ({"ActiveState": "inactive"}, Health.BAD, "does not run (inactive)", START),
        (
            {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "2"},
            Health.BAD,
            "failed: exit-code, status 2",
            "sudo systemctl restart qos-agent",
        ),
        (
            {"ActiveState": "inactive", "LoadState": "masked"},
            Health.BAD,
            "mask",
            f"sudo systemctl unmask qos-agent && {START}",
        ),
        ({"ActiveState": "", "LoadState": "not-found"}, Health.BAD, "installed", START),
        ({}, Health.BAD, "systemd does not answer", "sudo systemctl reboot"),
        (
            {"UnitFileState": "disabled"},
            Health.WARN,
            "next boot",
            "sudo systemctl enable qos-agent",
        ),
    ],
)
def test_the_state_of_the_unit_has_a_fix(
    unit: dict[str, str], health: Health, text: str, fix: str, tmp_path: Path
) -> None:
    """Each state that systemd reports is a result, and the fix lasts over a reboot."""
    check = service.state(of(tmp_path, unit))
    assert check.health is health
    assert text in check.result
    assert fix in check.fix


def test_recent_restarts_are_a_warning(tmp_path: Path) -> None:
    """A service that systemd restarted a moment ago is not all right."""
    now_us = f"{time.monotonic() * 1e6:.0f}"
    unit = {"NRestarts": "3", "ActiveEnterTimestampMonotonic": now_us}
    check = service.state(of(tmp_path, unit))
    assert check.health is Health.WARN
    assert "3 restarts" in check.result


def test_a_silent_agent_is_found_though_systemd_calls_it_active(tmp_path: Path) -> None:
    """Without a fresh status file the agent makes no progress."""
    check = service.watchdog(of(tmp_path, {"NRestarts": "0"}))
    assert check.health is Health.BAD
    assert check.fix == "sudo systemctl restart qos-agent"


def test_permissions_are_those_of_the_service_not_of_root(tmp_path: Path) -> None:
    """Root may write everything, and the service's user may not."""
    require(has_capability(CAP_SYS_ADMIN), "root", "run as root")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    folder = tmp_path / "journal"
    folder.mkdir(mode=0o750)
    user = User("nobody", 65534, frozenset({65534}))
    examined = replace(of(folder), user=user)
    check = service.permissions(examined)
    assert check.health is Health.BAD
    assert check.fix.startswith(f"sudo chown -R nobody: {folder}")
    os.chown(folder, 65534, 65534)
    assert service.permissions(examined).health is Health.OK
    (folder / "journal.sqlite3").write_bytes(b"")
    assert service.permissions(examined).health is Health.BAD


def test_no_fix_changes_the_owner_of_a_folder_of_the_system(tmp_path: Path) -> None:
    """A folder that is missing is created, and systemd creates those of the service."""
    missing = tmp_path / "closed/journal"
    (tmp_path / "closed").mkdir(mode=0o700)
    user = User("nobody", 65534, frozenset({65534}))
    by_hand = replace(of(missing), user=user)
    fix = service.permissions(by_hand).fix
    assert fix == f"sudo install -d -o nobody {missing}"
    installed = replace(of(missing, {"MainPID": "1"}), user=user)
    assert service.permissions(installed).health is Health.OK


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("0\t2147483647\n", True),
        ("1\t0\n", False),
        ("997\t997\n", True),
        ("", False),
        ("nonsense", False),
        ("0 996", False),
    ],
)
def test_ping_groups_are_read_as_the_kernel_does(text: str, allowed: bool) -> None:
    """One of the user's groups must be in the range."""
    assert service.in_ping_groups(frozenset({997}), text) is allowed
