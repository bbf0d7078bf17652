"""The CSV export, its manifest and its unchanged lines."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.archive.csv import export_csv, write_csv
from qos_agent.archive.exporting import export
from qos_agent.model import Record
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import encode, points
from tests.support.readings import IDENTITY, latency


def _lines() -> list[bytes]:
    """Return two latency readings, one of them with full loss."""
    lines = []
    for number, reading in enumerate((latency(), latency(received=0)), start=1):
        (point,) = points(reading, IDENTITY)
        fields = {**point.fields, "seq": number}
        record = Record("latency", point.tags, fields, 10**18 + number)
        lines.append(encode(record))
    return lines


def test_the_csv_has_the_values_of_the_lines(tmp_path: Path) -> None:
    """Times, tags and fields are columns; a missing value is empty, not 0."""
    exported = export_csv(_lines(), tmp_path)
    with (tmp_path / "latency.csv").open() as stream:
        good, lost = csv.DictReader(stream)
    assert exported.points == {"latency": 2}
    assert good["rtt_p50_ms"] == "20.0"
    assert good["station"] == "3171010001001"
    assert (lost["rtt_p50_ms"], lost["cause"], lost["received"]) == ("", "timeout", "0")
    raw = (tmp_path / "points.lp").read_bytes().splitlines()
    assert raw == _lines()


def test_the_manifest_is_checked_by_sha256sum(tmp_path: Path) -> None:
    """The files can be checked with a tool that every system has."""
    export_csv(_lines(), tmp_path)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    digest = hashlib.sha256((tmp_path / "latency.csv").read_bytes()).hexdigest()
    assert manifest["sha256"]["latency.csv"] == digest
    (tmp_path / "latency.csv").write_text("altered")
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 1


def test_the_same_journal_gives_the_same_bytes(tmp_path: Path) -> None:
    """An export can be repeated and compared."""
    first = export_csv(_lines(), tmp_path / "a")
    second = export_csv(_lines(), tmp_path / "b")
    assert first.sha256 == second.sha256


def test_an_export_replaces_an_earlier_one(tmp_path: Path) -> None:
    """Files that the new export does not have are removed; other files stay."""
    host = b'host cpu_share=0.5,journal="a",seq=9i 1'
    export_csv([*_lines(), host], tmp_path)
    (tmp_path / "notes.txt").write_text("own")
    again = export_csv(_lines(), tmp_path)
    expected = {*again.sha256, "manifest.json", "SHA256SUMS", "notes.txt"}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_a_folder_with_other_files_stays_as_it_is(tmp_path: Path) -> None:
    """Readings among other files, such as those of a journal, help nobody."""
    (tmp_path / "manifest.json").write_text('{"name": "my page"}')
    (tmp_path / "latency.csv").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OperatorError, match=r"not an export \(found: latency\.csv"):
        export_csv(_lines(), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_export_does_not_replace_a_file_of_another(tmp_path: Path) -> None:
    """A file that was put next to an earlier export stays, and so does the export."""
    export_csv(_lines(), tmp_path)
    (tmp_path / "host.csv").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    host = b'host cpu_share=0.5,journal="a",seq=9i 1'
    with pytest.raises(OperatorError, match="is not a file of the earlier export"):
        export_csv([*_lines(), host], tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    """A source that fails midway leaves neither files nor a folder."""

    def failing() -> Iterator[bytes]:
        yield _lines()[0]
        raise OSError("the stick was removed")

    with pytest.raises(OSError, match="removed"):
        export_csv(failing(), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    export_csv(_lines(), tmp_path / "old")
    before = {p.name: p.read_bytes() for p in (tmp_path / "old").iterdir()}
    with pytest.raises(OSError, match="removed"):
        export_csv(failing(), tmp_path / "old")
    assert {p.name: p.read_bytes() for p in (tmp_path / "old").iterdir()} == before


def test_nothing_to_export_is_an_error(tmp_path: Path) -> None:
    """An empty folder would look like a result."""
    with pytest.raises(OperatorError, match="nothing to export"):
        export(lambda work: write_csv([], work), tmp_path / "out")
    assert not (tmp_path / "out").exists()
