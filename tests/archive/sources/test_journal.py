"""Journals from the field: sound, damaged, with gaps, in folders that are read-only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qos_agent.archive.sources import open_sources
from qos_agent.archive.sources.journal import DeviceJournal, FieldJournal
from qos_agent.journal.tables import MIGRATIONS
from qos_agent.model.errors import OperatorError
from tests.archive.support import filled_journal, journal_file
from tests.journal.support import change


def _found(path: Path) -> tuple[list[bytes], list[str]]:
    items = list(FieldJournal(path).items())
    lines = [item.line for item in items if item.line is not None]
    return lines, [item.fault for item in items if item.fault]


@pytest.mark.parametrize("kept_share", [0.9, 0.5])
def test_a_truncated_journal_gives_what_is_left(
    tmp_path: Path, kept_share: float
) -> None:
    """The readings in front of the cut are found, and the loss is named."""
    stored = filled_journal(tmp_path, 400)
    change(tmp_path, ["PRAGMA wal_checkpoint(TRUNCATE)"])
    path = journal_file(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept_share)])
    lines, faults = _found(path)
    assert 0 < len(lines) < len(stored)
    assert set(lines) <= set(stored)
    assert faults[0].startswith("damaged: ")
    assert f"{len(lines)} points recovered" in faults[0]


def test_an_altered_line_is_named_and_not_returned(tmp_path: Path) -> None:
    """A line that does not match its stored hash is no reading."""
    stored = filled_journal(tmp_path, 5)
    other = "CAST(replace(CAST(line AS TEXT), 'received=19i', 'received=20i') AS BLOB)"
    change(tmp_path, [f"UPDATE point SET line = {other} WHERE seq = 3"])
    lines, faults = _found(journal_file(tmp_path))
    assert lines == stored[:2] + stored[3:]
    assert faults == ["point 3: the line does not match its stored hash"]


def test_missing_numbers_are_named(tmp_path: Path) -> None:
    """Numbers that are neither stored nor removed on purpose are missing."""
    filled_journal(tmp_path, 9)
    change(tmp_path, ["DELETE FROM point WHERE seq BETWEEN 4 AND 6"])
    _, faults = _found(journal_file(tmp_path))
    assert faults == ["points 4 to 6: missing"]


def test_a_damaged_journal_on_a_read_only_stick(tmp_path: Path) -> None:
    """A folder that cannot be written is no obstacle."""
    stored = filled_journal(tmp_path / "stick", 50)
    path = journal_file(tmp_path / "stick")
    content = bytearray(path.read_bytes())
    content[:16] = bytes(16)
    path.write_bytes(content)
    (tmp_path / "stick").chmod(0o500)
    lines, faults = _found(path)
    (tmp_path / "stick").chmod(0o700)
    assert set(lines) == set(stored)
    assert "recovered" in faults[0]


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
def test_a_foreign_file_gives_a_fault_and_no_reading(
    tmp_path: Path, content: bytes
) -> None:
    """An empty or foreign file ends with a line that says so."""
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(content)
    lines, faults = _found(path)
    assert lines == []
    assert faults[0].startswith("damaged: ")


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """Its tables may mean something else."""
    filled_journal(tmp_path, 1)
    change(tmp_path, [f"PRAGMA user_version = {len(MIGRATIONS) + 1}"])
    with pytest.raises(OperatorError, match="later version of qos-agent"):
        _found(journal_file(tmp_path))


def test_a_point_that_waits_for_a_clock_is_not_skipped_later(tmp_path: Path) -> None:
    """The position stays before its number until it has a timestamp."""
    filled_journal(tmp_path, 3)
    waiting = "INSERT INTO pending VALUES (2, 'boot', 1, '{}')"
    change(tmp_path, ["DELETE FROM point WHERE seq = 2", waiting])
    items = list(DeviceJournal(tmp_path).items())
    assert [item.position for item in items] == [1, 1]


def test_a_folder_of_folders_is_searched(tmp_path: Path) -> None:
    """Each stick has a folder for each station; hidden folders do not count."""
    for name in ("usb2/b", "usb1/a", "usb1/.trash"):
        filled_journal(tmp_path / name, 1)
    shutil.copy(tmp_path / "usb2/b/journal.sqlite3", tmp_path / "usb2/other.sqlite3")
    names = [source.name for source in open_sources(tmp_path)]
    expected = [
        "usb1/a/journal.sqlite3",
        "usb2/b/journal.sqlite3",
        "usb2/other.sqlite3",
    ]
    assert names == [str(tmp_path / name) for name in expected]


def test_a_folder_without_readings_is_an_error(tmp_path: Path) -> None:
    """The message names the files that count."""
    (tmp_path / "notes.txt").write_text("nothing")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(OperatorError, match="has no readings"):
            open_sources(path)
    with pytest.raises(OperatorError, match="does not exist"):
        open_sources(tmp_path / "nowhere")
