"""`qos-agent journal`, used by a technician and by a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.journal import app
from qos_agent.journal import Journal, JournalLimits, Lane
from qos_agent.model.errors import ConfigError, OperatorError
from tests.journal.support import bodies, change, deliver, open_journal, put
from tests.support.clocks import FakeClock


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a configuration with a journal in the test's folder."""
    path = tmp_path / "agent.toml"
    path.write_text(f'[journal]\nfolder = "{tmp_path}"\n')
    return path


@pytest.fixture
def journal(tmp_path: Path, clock: FakeClock) -> Journal:
    """Open a journal with five points: one delivered, one refused, three pending."""
    opened = open_journal(tmp_path, JournalLimits(disk_reserve_bytes=0))
    put(opened, clock, 5)
    opened.settle(opened.claim("collector", 1, Lane.FRESH))
    opened.quarantine(opened.claim("collector", 1, Lane.FRESH), "field type conflict")
    opened.flush()
    return opened


def _run(config: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "-c", str(config)])
    assert result.exception is None, result.exception
    return result.output


def test_stats(config: Path, journal: Journal) -> None:
    """Stored, pending and refused points are printed as text and as JSON."""
    text = _run(config, "stats")
    assert "pending for collector: 3" in text
    assert "refused by collector: point 2: field type conflict" in text
    statistics = json.loads(_run(config, "stats", "--json"))
    assert (statistics["journal"], statistics["points"]) == (journal.id, 5)
    assert statistics["undelivered"] == {"collector": 3}
    assert statistics["kinds"][0]["measurement"] == "latency"


def test_tail(config: Path, journal: Journal) -> None:
    """The newest points are printed as stored, or as JSON."""
    lines = [line.decode() for line in bodies(journal)]
    assert _run(config, "tail", "-n", "2").splitlines() == lines[-2:]
    (record,) = _run(config, "tail", "-n", "1", "--json").splitlines()
    assert json.loads(record)["fields"]["seq"] == 5


def test_export_is_byte_for_byte(
    config: Path, journal: Journal, tmp_path: Path
) -> None:
    """A file has all lines; --after leaves out the lines up to a number."""
    file = tmp_path / "export.lp"
    _run(config, "export", str(file))
    assert file.read_bytes().splitlines() == bodies(journal)
    assert len(_run(config, "export", "--after", "3").splitlines()) == 2


def test_verify_finds_altered_and_missing_points(
    config: Path, journal: Journal, tmp_path: Path
) -> None:
    """An altered line and removed ones are named, and the status is 1."""
    assert _run(config, "verify") == "ok: 5 points\n"
    journal.close()
    altered = "CAST(replace(CAST(line AS TEXT), 'sent=20i', 'sent=21i') AS BLOB)"
    statements = [
        f"UPDATE point SET line = {altered} WHERE seq = 2",
        "DELETE FROM point WHERE seq IN (3, 4)",
    ]
    change(tmp_path, statements)
    result = CliRunner().invoke(
        app, ["verify", "--json", "-c", str(config)], standalone_mode=False
    )
    assert result.return_value == 1
    faults = json.loads(result.output)["faults"]
    assert faults[0].startswith("point 2: altered")
    assert "points 3 to 4: missing" in faults


def test_requeue_of_refused_points(config: Path, journal: Journal) -> None:
    """After a fix at the collector, refused points are pending again, live."""
    assert _run(config, "requeue") == "queued again: 1\n"
    assert deliver(journal) == [2, 3, 4, 5]


def test_requeue_of_a_range(config: Path, journal: Journal) -> None:
    """Points that a collector lost are sent again from the journal."""
    deliver(journal)
    journal.flush()
    output = _run(config, "requeue", "--from", "1", "--to", "3", "--json")
    assert json.loads(output) == {"points": 3}
    assert deliver(journal) == [1, 2, 3]


def test_without_a_journal(config: Path) -> None:
    """The error names the missing file and the fix."""
    result = CliRunner().invoke(app, ["stats", "-c", str(config)])
    assert isinstance(result.exception, OperatorError)
    assert "no journal file. Fix: set journal.folder" in str(result.exception)


@pytest.mark.parametrize(
    "name", ["journal.sqlite3", "journal.sqlite3-wal", "link", "device-key.pem"]
)
def test_an_export_never_replaces_the_journal(
    config: Path, journal: Journal, tmp_path: Path, name: str
) -> None:
    """Its files, also by another name, are refused, and the readings stay."""
    (tmp_path / "device-key.pem").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "journal.sqlite3")
    before = bodies(journal)
    result = CliRunner().invoke(
        app, ["export", str(tmp_path / name), "-c", str(config)]
    )
    assert isinstance(result.exception, ConfigError)
    assert "is a file of the journal" in str(result.exception)
    assert bodies(journal) == before


def test_a_full_disk_is_named(config: Path, journal: Journal) -> None:
    """An error of writing names the file, which SQLite and Python leave out."""
    result = CliRunner().invoke(app, ["export", "/dev/full", "-c", str(config)])
    assert isinstance(result.exception, OSError)
    assert result.exception.filename == "/dev/full"


def test_a_failed_export_leaves_the_file_before(
    config: Path, journal: Journal, tmp_path: Path
) -> None:
    """The file gets its name when all points are in it."""
    file = tmp_path / "points.lp"
    file.write_text("before")
    (tmp_path / "points.lp.part").mkdir()
    result = CliRunner().invoke(app, ["export", str(file), "-c", str(config)])
    assert isinstance(result.exception, OSError)
    assert file.read_text() == "before"
