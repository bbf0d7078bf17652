"""`qos-agent archive export --bundle` and `qos-agent verify`, as people run them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from qos_agent.archive.bundle import bag, layout
from qos_agent.cli import main
from qos_agent.evidence import notes
from qos_agent.noc.register.store import Register
from qos_agent.noc.service.witness import KEY_NAME, PUBLIC_NAME
from tests.archive.bundle.support import (
    NAME,
    STATION,
    lines_of,
    sealed_device,
    station_key,
    witnessed,
)
from tests.noc.witness.support import WITNESS, WITNESS_NAME
from tests.noc.witness.test_timestamps import _openssl
from tests.noc.witness.test_timestamps import folder as authority  # noqa: F401

Ended = subprocess.CompletedProcess[str]
WITNESS_KEY = notes.verifier_key(WITNESS_NAME, WITNESS.public_key.raw)


class Command(Protocol):
    """A function that runs `qos-agent` in the folder of the test."""

    def __call__(self, *arguments: str) -> Ended: ...


@pytest.fixture
def qos_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs the command in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["qos-agent", *arguments])
        capfd.readouterr()
        status = main.run()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, status, out, err)

    return run


def _centre(folder: Path) -> str:
    """Write the files of a centre whose witness has cosigned the device's seals."""
    device = sealed_device(folder / "device")
    device.journal.close()
    lines = lines_of(folder / "device")
    nation = witnessed(folder / "centre", [station_key(device)], lines)
    nation.bench.close()
    (folder / "centre" / PUBLIC_NAME).write_text(f"{WITNESS_KEY}\n")
    raw = WITNESS._private.private_bytes_raw()
    prefix = bytes.fromhex("302e020100300506032b657004220420")
    content = base64.b64encode(prefix + raw).decode()
    pem = f"-----BEGIN PRIVATE KEY-----\n{content}\n-----END PRIVATE KEY-----\n"
    (folder / "centre" / KEY_NAME).write_text(pem)
    (folder / "centre" / KEY_NAME).chmod(0o600)
    register = Register(folder / "centre/register.sqlite3")
    links = '[["main", "telkomsel", ""], ["spare", "xl", ""]]'
    place = ("31", "3171", None, None, -6.2, 106.8, "Asia/Jakarta")
    register.stage(
        [(STATION, "TPS 1", *place, "0812-secret", None, None, None, links, None)]
    )
    register.apply(0, close_missing=False)
    register.close()
    (folder / "noc.toml").write_text(
        f'folder = "{folder}/centre"\n[election]\ncalendar = "2024-02-14"\n'
        f'[witness]\nname = "{WITNESS_NAME}"\n'
    )
    return f"{STATION} {notes.verifier_key(NAME, device.public_key.raw)}"


def test_from_the_centre_to_a_verdict(tmp_path: Path, qos_agent: Command) -> None:
    """The bundle of the centre is valid, and one changed byte is not."""
    _centre(tmp_path)
    export = ("archive", "export", "--bundle", "-c", "noc.toml", "-s", "device")
    made = qos_agent(*export, "-o", "bundle")
    assert made.returncode == 0, made.stderr
    assert "In the record: 378 points of 1 journals." in made.stdout
    assert "Left out: 4 lines, data/left-out/not-sealed.lp" in made.stdout
    again = qos_agent(*export, "-o", "bundle")
    assert again.returncode == 2
    stations = (tmp_path / "bundle/data/register.csv").read_text()
    assert f"{STATION},TPS 1,31,3171" in stations
    assert "telkomsel xl" in stations
    assert "secret" not in stations
    root = next((tmp_path / "bundle/data/roots").glob("*.txt"))
    checked = qos_agent(
        "verify", "bundle", "--witness", WITNESS_KEY, "--root", str(root)
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "VALID: every reading in this bundle is proven." in checked.stdout
    assert "Files: signed by the centre." in checked.stdout
    assert "(as published)" in checked.stdout
    table = json.loads(qos_agent("verify", "bundle", "--json").stdout)
    assert (table["is_valid"], table["totals"]["proven"]) == (True, 378)
    points = next((tmp_path / "bundle/data/journals").glob("*/*/points.lp"))
    content = points.read_bytes()
    points.write_bytes(content.replace(b"received=19i", b"received=20i", 1))
    checked = qos_agent("verify", "bundle")
    assert checked.returncode == 1
    assert (
        "altered: 1 (points that are not the sealed ones): points 1" in checked.stdout
    )
    assert "points.lp: was changed" in checked.stdout
    assert "NOT VALID: " in checked.stdout


def test_from_sticks_with_a_file_of_keys(tmp_path: Path, qos_agent: Command) -> None:
    """Without a centre, the keys come from the files of `enrol --self`."""
    key = _centre(tmp_path)
    (tmp_path / "noc.toml").write_text("")
    (tmp_path / "device-key.pub").write_text(f"{key} 2024-01-01T00:00:00Z\n")
    export = ("archive", "export", "--bundle", "-c", "noc.toml", "-s", "device")
    assert "no reading is sealed" in qos_agent(*export, "-o", "none").stderr
    made = qos_agent(*export, "-o", "bundle", "--keys", "device-key.pub")
    assert made.returncode == 0, made.stderr
    assert "Not signed by the centre" in made.stdout
    checked = qos_agent("verify", "bundle")
    assert checked.returncode == 0
    assert "Witness: none." in checked.stdout


def test_wrong_usage_has_exit_status_2(tmp_path: Path, qos_agent: Command) -> None:
    """A folder that is no bundle, a missing file, and several sources."""
    (tmp_path / "folder").mkdir()
    for arguments in (
        ("verify", "folder"),
        ("verify", "nothing"),
        ("verify", "folder", "--root", "nothing"),
        ("archive", "export", "-s", "a.lp", "-s", "b.lp", "-o", "out"),
        ("archive", "export", "--bundle", "-s", "nothing", "-o", "out"),
    ):
        ended = qos_agent(*arguments)
        assert ended.returncode == 2, arguments
        assert "Fix: " in ended.stderr
        assert "Traceback" not in ended.stderr


def test_timestamps_of_an_authority_are_checked(
    tmp_path: Path,
    qos_agent: Command,
    authority: Path,  # noqa: F811
) -> None:
    """A timestamp of the root verifies with openssl, and a missing one does not."""
    _centre(tmp_path)
    export = ("archive", "export", "--bundle", "-c", "noc.toml", "-s", "device")
    assert qos_agent(*export, "-o", "bundle").returncode == 0
    bundle, ca = tmp_path / "bundle", str(authority / "tsa.pem")
    checked = qos_agent("verify", "bundle", "--timestamp-ca", ca)
    assert checked.returncode == 1
    assert "txt.tsr: No such file or directory" in checked.stdout.replace(
        "[Errno 2] ", ""
    )
    (root,) = (bundle / "data/roots").glob("*.txt")
    query, stamp = tmp_path / "query", Path(f"{root}.tsr")
    _openssl("ts", "-query", "-data", str(root), "-sha256", "-cert", "-out", str(query))
    config = ("-config", str(authority / "ts.cnf"), "-queryfile", str(query))
    _openssl("ts", "-reply", *config, "-out", str(stamp))
    (bundle / layout.SIGNATURE).unlink()
    bag.write_manifest(bundle)
    bag.finish(bundle, [])
    checked = qos_agent("verify", "bundle", "--timestamp-ca", ca)
    assert checked.returncode == 0, checked.stdout
    assert "Timestamps of national roots that verify: 1" in checked.stdout
