"""Parts of the centre that need someone, each with its fix."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qos_agent.model.line_protocol import decode
from qos_agent.noc import authority as authorities
from qos_agent.noc.authority import Authority
from qos_agent.noc.health.checks import checked
from qos_agent.noc.health.part import Part
from qos_agent.noc.settings import NocSettings

_DAY_S = 86_400


def _checked(folder: Path, **tables: object) -> dict[str, Part]:
    settings = NocSettings.model_validate(
        {"folder": folder, "health": {"disk_share": 0.999}, **tables}
    )
    return {f"{part.part} {part.name}": part for part in checked(settings)}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return an authority in the folder of the centre."""
    made = Authority(tmp_path / "ca")
    authorities.create(made)
    authorities.issue_server(made, ["noc.example.id"])
    return made


def test_a_certificate_that_ends_is_reported(
    authority: Authority, tmp_path: Path
) -> None:
    """The time that is left is a figure, and the command to renew is in the text."""
    assert all(part.is_ok for part in _checked(tmp_path).values())
    parts = _checked(tmp_path, ca={"warn": "400d"})
    server = parts["certificate server"]
    assert not server.is_ok
    assert server.problem.endswith("Fix: qos-agent noc ca renew")
    assert 396 * _DAY_S < float(server.figures["left_s"]) < 398 * _DAY_S
    assert parts["certificate ca"].is_ok
    authority.server_certificate.write_text("damaged")
    assert "can be read" in _checked(tmp_path)["certificate server"].problem


def test_a_full_disk_and_a_missing_folder_are_reported(tmp_path: Path) -> None:
    """The point has the share in use."""
    missing = tmp_path / "missing"
    health = {"disk_share": 0.000001, "disks": [missing]}
    parts = _checked(tmp_path, health=health).values()
    full, absent = (part for part in parts if part.part == "disk")
    assert "of the disk is in use. Fix: enlarge it" in full.problem
    assert 0 < float(full.figures["used_share"]) < 1
    assert "No such file" in absent.problem


def test_an_old_backup_is_reported(tmp_path: Path) -> None:
    """The age of the newest file counts, of each kind."""
    folder = tmp_path / "backups"
    (folder / "influxdb").mkdir(parents=True)
    table = {"folder": folder, "influxdb": ["qos"]}
    assert (
        "there is no backup"
        in _checked(tmp_path, backup=table)["backup centre"].problem
    )
    now_s = time.time()
    for name, age_s in (
        ("centre-1.tar.gz", 3 * _DAY_S),
        ("centre-2.tar.gz", 3600),
        ("influxdb/1.manifest", 2 * _DAY_S),
    ):
        (folder / name).touch()
        os.utime(folder / name, (now_s - age_s, now_s - age_s))
    parts = _checked(tmp_path, backup=table)
    assert parts["backup centre"].is_ok
    old = parts["backup influxdb"]
    assert "is 48 h old. Fix: journalctl -u qos-noc-backup" in old.problem


def test_a_part_is_a_point() -> None:
    """Tags are bounded, and the text is one line."""
    part = Part("disk", "var/lib:x y", "a\nb", {"free_bytes": 5})
    record = decode(part.line(7))
    assert record.measurement == "platform"
    assert record.tags["part"] == "disk"
    assert record.fields == {"ok": 0, "detail": "a b", "free_bytes": 5}
