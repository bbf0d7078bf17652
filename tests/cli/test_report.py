"""`qos-agent report`, run as a regulator would."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.archive.manifest import read_manifest
from qos_agent.cli import main
from tests.report.support import archive_of, train

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Return a function that runs the command on the archive of the test."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        formats = () if "--format" in arguments else ("--format", "csv")
        paths = ("--source", "archive", "--out", "out")
        known = ("report", *paths, *formats, *arguments)
        monkeypatch.setattr(sys, "argv", ["qos-agent", *known])
        capfd.readouterr()
        return main.run(), *capfd.readouterr()

    return run


def test_a_report_is_written_and_counted(report: Run, tmp_path: Path) -> None:
    """The exit status is 0 also with insufficient data, which is a result."""
    archive_of(tmp_path, [train(1, [10] * 300), train(2, [], lost=9, operator="xl")])
    status, out, _ = report("--from", "2024-02-14T00:00:00+00:00", "--random")
    assert status == 0
    assert "Stations with readings: 1." in out
    assert "with insufficient data" in out
    assert (tmp_path / "out" / "SHA256SUMS").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--area", "3179"], "--area: is not the code of a province"),
        (["--area", "3"], "--area: is not the code of a province"),
        (["--operator", "o'x"], "no readings in this period, area and operator"),
        (["--from", "2030-01-01T00:00:00Z"], "no readings in this period"),
        (["--from", "yesterday"], "must be a date and time with an offset"),
        (
            ["--election", "2024-11-27"],
            "has no readings in this archive, whose days are 2024-02-14 to 2024-02-14",
        ),
        (["--election", "2019"], "2019: cannot be read"),
        (
            ["--election", "2024-02-14", "--to", "2024-01-01T00:00:00Z"],
            "--election: has no time between --from and --to",
        ),
        (["--format", "pdf,doc"], "--format: is not a format (found: 'doc')"),
        (["--lang", "jv"], "--lang: is not a language of the report"),
        (["--template", "none.toml"], "none.toml: cannot be read"),
        (["--verification", "none.json"], "--verification: cannot be read"),
        (["--incident", "x"], "--incident: is not in this report"),
    ],
)
def test_a_wrong_scope_is_one_clear_line(
    report: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """The status is 2, and nothing is written."""
    archive_of(tmp_path, [train(1, [10])])
    status, out, err = report(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_archive_is_refused(report: Run, tmp_path: Path) -> None:
    """The message names the missing file."""
    (tmp_path / "archive").mkdir()
    status, _, err = report()
    assert status == 2
    assert "archive.json: missing, so this folder is not an archive" in err


def test_a_damaged_file_is_named(report: Run, tmp_path: Path) -> None:
    """No figure comes from an altered file."""
    archive = archive_of(tmp_path, [train(1, [10])])
    file = next(f for f in read_manifest(archive).files if f.readings)
    (archive / file.path).write_bytes(b"altered")
    status, _, err = report()
    assert status == 1
    assert f"{file.path}: differs from the manifest" in err
    assert not (tmp_path / "out").exists()


def test_an_operator_may_have_its_usual_name(report: Run, tmp_path: Path) -> None:
    """The name is that of the configuration, which stores the code."""
    archive_of(tmp_path, [train(1, [10] * 300), train(2, [10], operator="xl")])
    status, out, _ = report("--operator", "PT Telkomsel")
    assert status == 0
    assert "Stations with readings: 1." in out
