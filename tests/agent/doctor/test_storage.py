"""Checks of the disk and the card."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qos_agent.agent.doctor import storage
from qos_agent.agent.doctor.check import Health
from tests.agent.doctor.support import of


def _sysfs(root: Path, folder: Path, **files: str) -> Path:
    """Write what the kernel reports about the device of a folder; return its root."""
    device = folder.stat().st_dev
    block = root / "sys/devices/mmc0/mmcblk0"
    (block / "device").mkdir(parents=True)
    (block / "mmcblk0p2").mkdir()
    link = root / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(block / "mmcblk0p2")
    ext4 = root / "sys/fs/ext4/mmcblk0p2"
    ext4.mkdir(parents=True)
    for name, text in files.items():
        target = ext4 if name == "errors_count" else block / "device"
        (target / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "health", "text"),
    [
        ({"errors_count": "0\n"}, Health.OK, "no errors"),
        ({"errors_count": "7\n"}, Health.WARN, "7 errors"),
        ({"life_time": "0x01 0x02\n"}, Health.OK, "no errors"),
        ({"life_time": "0x01 0x0b\n"}, Health.WARN, "worn out"),
        ({"pre_eol_info": "0x03\n"}, Health.WARN, "worn out"),
        ({"life_time": "nonsense 0xzz\n"}, Health.OK, "no errors"),
        ({"errors_count": "\xff"}, Health.OK, "no errors"),
    ],
)
def test_wear_and_errors_of_the_card(
    files: dict[str, str], health: Health, text: str, tmp_path: Path
) -> None:
    """The kernel's counters of errors and of wear are results."""
    root = _sysfs(tmp_path / "root", tmp_path, **files)
    check = storage.card(of(tmp_path), root)
    assert (check.health, text in check.result) == (health, True), check


def test_a_disk_below_the_reserve_is_bad(tmp_path: Path) -> None:
    """The journal cannot grow any more; the fix frees space."""
    journal = {"folder": tmp_path, "disk_reserve": "900GB"}
    check = storage.disk(of(tmp_path, journal=journal))
    assert check.health is Health.BAD
    assert check.fix.startswith("sudo journalctl --vacuum-size=")
