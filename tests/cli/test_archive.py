"""`qos-agent archive`, run as a regulator or a technician would."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from qos_agent.cli import main
from tests.archive.support import filled_journal, journal_file, line, lines
from tests.servers.database import Database
from tests.support.small_disk import small_disk

Ended = subprocess.CompletedProcess[str]


def _run(folder: Path, *arguments: str, code: str) -> Ended:
    """Run a command in its own process; `code` runs first in it."""
    program = f"{code}\nfrom qos_agent.__main__ import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", program, "archive", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Command(Protocol):
    """A function that runs `qos-agent archive` in the folder of the test."""

    def __call__(self, *arguments: str) -> Ended: ...


@pytest.fixture
def archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs the command in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["qos-agent", "archive", *arguments])
        capfd.readouterr()
        status = main.run()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, status, out, err)

    return run


def _write(path: Path, readings: list[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(reading + b"\n" for reading in readings))
    return path


def _sticks(folder: Path) -> list[bytes]:
    """Fill three USB sticks: two sound ones, and a damaged copy of one of them."""
    first = filled_journal(folder / "usb1/3171010001001", 20)
    second = filled_journal(folder / "usb2", 20)
    content = journal_file(folder / "usb2").read_bytes()
    (folder / "usb3").mkdir()
    journal_file(folder / "usb3").write_bytes(content[:-6000])
    return [*first, *second]


@pytest.mark.slow
def test_from_three_sticks_to_an_export(tmp_path: Path, archive: Command) -> None:
    """Readings on two sticks count once, and the damaged stick is named."""
    stored = _sticks(tmp_path)
    sources = ["-s", "usb1", "-s", "usb2", "-s", "usb3"]
    built = archive("build", *sources, "--out", "archive")
    assert built.returncode == 1, built.stderr
    assert "usb3/journal.sqlite3: " in built.stdout
    assert "  damaged: " in built.stdout
    assert f"Wrote archive: {len(stored)} readings in 1 files." in built.stdout
    checked = archive("check", "archive", "-s", "usb1", "-s", "usb2")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "Archive, manifest and sources agree." in checked.stdout
    for kind in ("csv", "xlsx", "lp", "geojson"):
        out = f"export-{kind}"
        exported = archive("export", "-s", "archive", "--format", kind, "--out", out)
        assert exported.returncode == 0, exported.stderr
        check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
        ended = subprocess.run(
            check, cwd=tmp_path / out, capture_output=True, check=False
        )
        assert ended.returncode == 0
        assert (tmp_path / out / "dictionary.csv").exists()
    exported_lines = (tmp_path / "export-lp/points.lp").read_bytes().splitlines()
    assert sorted(exported_lines) == sorted(stored)


def test_json_is_for_programs(tmp_path: Path, archive: Command) -> None:
    """Standard output is one JSON document for both commands."""
    _write(tmp_path / "a.lp", lines(5))
    _write(tmp_path / "b.lp", [line(2, lost=7)])
    built = archive("build", "-s", "a.lp", "-s", "b.lp", "-o", "out", "--json")
    table = json.loads(built.stdout)
    assert (built.returncode, table["is_sound"], table["conflicts"]) == (1, False, 1)
    assert table["first_conflicts"][0]["seq"] == 2
    checked = archive("check", "out", "-s", "a.lp", "-s", "b.lp", "--json")
    table = json.loads(checked.stdout)
    assert (checked.returncode, table["agrees"]) == (1, False)
    assert table["conflicts"]["count"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "-s", "nowhere", "-o", "out"], "nowhere: does not exist"),
        (["build", "-s", "empty", "-o", "out"], "empty: has no readings"),
        (["build", "-s", "a.lp", "-o", "full"], "full: is not empty and not an"),
        (["build", "-s", "foreign", "-o", "out"], "foreign: has no readings"),
        (["check", "empty"], "empty/archive.json: missing"),
        (["check", "nowhere"], "nowhere/archive.json: missing"),
        (["export", "-s", "sticks", "-o", "out"], "must be one source"),
        (["export", "-s", "a.lp", "-f", "geojson", "-o", "out"], "needs an archive"),
        (["export", "-s", "empty", "-f", "geojson", "-o", "out"], "archive.json: miss"),
        (
            ["export", "-s", "a.lp", "-o", "out", "--from", "2030-01-01T00:00:00Z"],
            "nothing to export",
        ),
        (
            ["export", "-s", "a.lp", "-o", "out", "--from", "yesterday"],
            "--from: must be a date and time with an offset",
        ),
        (
            ["build", "-s", "a.lp", "-o", "out", "--to", "9999-01-01T00:00:00Z"],
            "--to: must be a date and time with an offset, from 1970 to 2261",
        ),
        (
            [
                *["export", "-s", "a.lp", "-o", "out", "--to", "2024-01-01T00:00:00Z"],
                *["--from", "2024-01-01T00:00:00Z"],
            ],
            "--to: must be after --from",
        ),
        (["build", "-s", "influx", "-o", "out"], "collectors: missing"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    tmp_path: Path, archive: Command, arguments: list[str], message: str
) -> None:
    """The status is 2, and the line names the fix."""
    _write(tmp_path / "a.lp", lines(3))
    _write(tmp_path / "full/thesis.txt", [])
    _write(tmp_path / "foreign/part-0.parquet", [b"PAR1"])
    for name in "ab":
        _write(tmp_path / f"sticks/{name}.lp", lines(2))
    (tmp_path / "empty").mkdir()
    ended = archive(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "Fix: " in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "out" / "archive.json").exists()
    assert not (tmp_path / "out" / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "-s", "a.lp", "-o", "out"],
        ["check", "out"],
        ["export", "-s", "a.lp", "-f", "geojson", "-o", "out"],
    ],
)
def test_without_duckdb_the_fix_is_named(tmp_path: Path, arguments: list[str]) -> None:
    """The agent's own installation does not have it."""
    _write(tmp_path / "a.lp", lines(3))
    hide = "import sys; sys.modules['duckdb'] = None"
    ended = _run(tmp_path, *arguments, code=hide)
    assert ended.returncode == 2
    assert ended.stderr == (
        "duckdb: this package is missing. Fix: pip install 'qos-agent[archive]'.\n"
    )
    assert not (tmp_path / "out").exists()


def test_the_journal_of_the_device_is_exported_without_duckdb(tmp_path: Path) -> None:
    """A technician has the agent's package only; the earlier name still works."""
    stored = filled_journal(tmp_path / "journal", 5)
    config = tmp_path / "agent.toml"
    config.write_text(f'[journal]\nfolder = "{tmp_path / "journal"}"\n')
    hide = "import sys; sys.modules['duckdb'] = sys.modules['xlsxwriter'] = None"
    arguments = ("--source", "journal", "--out", "new", "-c", str(config))
    new = _run(tmp_path, "export", *arguments, code=hide)
    assert new.returncode == 0, new.stderr
    renamed = f"{hide}; sys.argv.remove('archive'); sys.argv[2:4] = []"
    old = _run(tmp_path, "export", *arguments, code=renamed)
    assert old.returncode == 0, old.stderr
    assert "this name will be removed" in old.stderr
    assert (tmp_path / "new/points.lp").read_bytes().splitlines() == stored


def test_a_live_influxdb_is_a_source(
    tmp_path: Path, influxdb: Database, archive: Command
) -> None:
    """The collectors of noc.toml are read, and the archive agrees with the gateway."""
    readings = lines(50)
    influxdb.write(b"\n".join([*readings, b"watermark complete_ms=1i 5"]))
    _write(tmp_path / "gateway.lp", readings)
    section = "\n".join(f"{k} = {json.dumps(v)}" for k, v in influxdb.section.items())
    (tmp_path / "noc.toml").write_text(f"[[collectors]]\n{section}\n")
    source = ("-s", "influx", "-c", "noc.toml")
    built = archive("build", *source, "-o", "out")
    assert built.returncode == 0, built.stderr
    checked = archive("check", "out", *source, "-s", "gateway.lp")
    assert checked.returncode == 0, checked.stdout
    influxdb.write(line(51))
    checked = archive("check", "out", *source)
    assert "missing in the archive: 1" in checked.stdout
    assert archive("build", *source, "-o", "out").returncode == 0
    assert archive("check", "out", *source).returncode == 0


_KILL = """
import os, signal, sys
left = int(sys.argv.pop())
def step():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
for name in ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir"):
    def stepped(*args, _real=getattr(os, name), **options):
        step()
        return _real(*args, **options)
    setattr(os, name, stepped)
"""


@pytest.mark.slow
def test_a_killed_export_leaves_no_half_file(tmp_path: Path, archive: Command) -> None:
    """A folder with checksums has all of its files, and the next try replaces it."""
    _write(tmp_path / "a.lp", lines(5))
    _write(tmp_path / "b.lp", lines(9))
    for step in range(1, 40, 8):
        out = f"out{step}"
        archive("export", "-s", "a.lp", "-o", out)
        killed = _run(
            tmp_path, "export", "-s", "b.lp", "-o", out, str(step), code=_KILL
        )
        sums = tmp_path / out / "SHA256SUMS"
        if sums.exists():
            check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
            subprocess.run(check, cwd=sums.parent, check=True, capture_output=True)
        for path in (tmp_path / out).glob("*.csv"):
            assert path.read_bytes().endswith(b"\n")
        assert archive("export", "-s", "b.lp", "-o", out).returncode == 0
        assert len((tmp_path / out / "points.lp").read_bytes().splitlines()) == 9
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
    assert step > 8
    assert killed.returncode == 0


@pytest.mark.lab
@pytest.mark.parametrize("size_kb", [64, 500])
@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "-s", "a.lp"],
        *(["export", "-s", "a.lp", "-f", kind] for kind in ("csv", "xlsx", "lp")),
    ],
    ids=" ".join,
)
def test_a_full_disk_is_one_line(
    tmp_path: Path, archive: Command, size_kb: int, arguments: list[str]
) -> None:
    """No file is left under its final name, and with space the command finishes."""
    _write(tmp_path / "a.lp", lines(10_000))
    with small_disk(tmp_path / "disk", size_kb) as disk:
        ended = _run(tmp_path, *arguments, "-o", "disk/out", code="")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith("cannot write disk/out")
        assert ended.stderr.endswith("Fix: free disk space\n")
        assert len(ended.stderr.splitlines()) == 1
        names = {path.name for path in disk.glob("out/*")}
        assert names <= {".build"}
        grown = ["mount", "-o", "remount,size=100m", str(disk)]
        subprocess.run(grown, check=True)
        assert archive(*arguments, "-o", "disk/out").returncode == 0
