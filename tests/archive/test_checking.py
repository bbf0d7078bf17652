"""`archive check` finds every way in which an archive can differ from its sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from qos_agent.archive.build import build
from qos_agent.archive.checking import Checked, check
from qos_agent.archive.manifest import read_manifest, sha256_of
from qos_agent.archive.sources import open_sources
from qos_agent.model.errors import OperatorError, StorageError
from tests.archive.support import DAY_NS, VOTING_NS, filled_journal, line, lines


def _write(path: Path, readings: list[bytes]) -> Path:
    path.write_bytes(b"".join(reading + b"\n" for reading in readings))
    return path


def _checked(folder: Path, *paths: Path) -> Checked:
    sources = [source for path in paths for source in open_sources(path)]
    return check(sources, folder)


def _counts(checked: Checked) -> dict[str, int]:
    """Return the numbers of cases, without the kinds that have none."""
    return {name: f.count for name, f in checked.findings().items() if f.count}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a line file with readings of two days."""
    later = [line(n, "j2", time_ns=VOTING_NS + DAY_NS + n) for n in range(1, 6)]
    return _write(tmp_path / "a.lp", [*lines(20), *later])


@pytest.fixture
def archive(tmp_path: Path, source: Path) -> Path:
    """Return the archive of the file."""
    build(open_sources(source), tmp_path / "out")
    return tmp_path / "out"


def test_an_archive_agrees_with_its_sources(archive: Path, source: Path) -> None:
    """Nothing is missing, extra or different."""
    checked = _checked(archive, source)
    assert checked.agrees
    assert (checked.readings, checked.sources) == (25, 1)


def test_several_sources_count_together(tmp_path: Path) -> None:
    """Each source has a part, and the parts overlap."""
    stored = filled_journal(tmp_path / "usb", 20)
    more = _write(tmp_path / "gateway.lp", [*stored[10:], *lines(3, "other")])
    paths = (tmp_path / "usb", more)
    build([s for p in paths for s in open_sources(p)], tmp_path / "out")
    assert _checked(tmp_path / "out", *paths).agrees
    assert _counts(_checked(tmp_path / "out", more)) == {"missing in the sources": 10}


def test_without_sources_only_the_files_are_checked(archive: Path) -> None:
    """That needs nothing but the archive."""
    checked = _checked(archive)
    assert (checked.agrees, checked.sources) == (True, 0)


def test_a_reading_that_came_later_is_missing(archive: Path, source: Path) -> None:
    """It is named by journal and number, with its source."""
    _write(source, [*source.read_bytes().splitlines(), line(99, "j7")])
    checked = _checked(archive, source)
    assert _counts(checked) == {"missing in the archive": 1}
    assert checked.missing.first == (f"journal j7, point 99: {source}",)


def test_a_reading_that_no_source_has_is_named(archive: Path, source: Path) -> None:
    """The archive must not have more than the sources."""
    _write(source, source.read_bytes().splitlines()[1:])
    checked = _checked(archive, source)
    assert _counts(checked) == {"missing in the sources": 1}
    assert checked.extra.first == ("journal j1, point 1: archive",)


def test_an_altered_source_differs(archive: Path, source: Path) -> None:
    """One digit is enough."""
    altered = source.read_bytes().replace(b"rtt_sum_us=380007i", b"rtt_sum_us=380006i")
    source.write_bytes(altered)
    checked = _checked(archive, source)
    assert _counts(checked) == {"differing": 1}
    assert checked.differing.first == (f"journal j1, point 7: {source}, archive",)


def test_conflicts_stay_visible(tmp_path: Path, archive: Path, source: Path) -> None:
    """An archive with a conflict does not agree with its sources."""
    other = _write(tmp_path / "b.lp", [line(3, received=18, lost=2)])
    build([*open_sources(source), *open_sources(other)], archive)
    checked = _checked(archive, source, other)
    assert _counts(checked) == {"conflicts": 1}


def _first(folder: Path) -> Path:
    return folder / next(f.path for f in read_manifest(folder).files if f.readings)


def _rewrite(folder: Path, select: str) -> None:
    """Replace the first file by a query of itself, also in the manifest."""
    path = _first(folder)
    with duckdb.connect() as db:
        query = f"COPY ({select.format(path=path)}) TO '{path}.new' (FORMAT parquet)"
        (rows,) = db.execute(query).fetchall()[0]
    path.with_name(path.name + ".new").replace(path)
    table = json.loads((folder / "archive.json").read_text())
    for entry in table["files"]:
        if folder / entry["path"] == path:
            table["readings"]["latency"] += rows - entry["readings"]
            entry |= {"sha256": sha256_of(path), "readings": rows}
    (folder / "archive.json").write_text(json.dumps(table))


def _flip(folder: Path) -> None:
    content = bytearray(_first(folder).read_bytes())
    content[len(content) // 2] ^= 1
    _first(folder).write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "flipped bit": (_flip, {"files", "missing in the archive"}),
    "deleted": (lambda f: _first(f).unlink(), {"files", "missing in the archive"}),
    "truncated": (
        lambda f: _first(f).write_bytes(_first(f).read_bytes()[:-9]),
        {"files", "missing in the archive"},
    ),
    "extra file": (
        lambda f: (f / "latency/more.parquet").write_bytes(b"x"),
        {"files"},
    ),
    "row removed": (
        lambda f: _rewrite(f, "SELECT * FROM '{path}' WHERE seq <> 2"),
        {"missing in the archive"},
    ),
    "row twice": (
        lambda f: _rewrite(
            f, "SELECT * FROM '{path}' UNION ALL SELECT * FROM '{path}' WHERE seq = 2"
        ),
        {"differing"},
    ),
    "value altered": (
        lambda f: _rewrite(
            f, "SELECT * REPLACE (lost + (seq = 2)::INT AS lost) FROM '{path}'"
        ),
        {"files", "missing in the archive"},
    ),
    "type altered": (
        lambda f: _rewrite(f, "SELECT * REPLACE (seq::VARCHAR AS seq) FROM '{path}'"),
        {"files", "missing in the archive"},
    ),
    "column lost": (
        lambda f: _rewrite(f, "SELECT * EXCLUDE (leaf) FROM '{path}'"),
        {"files", "missing in the archive"},
    ),
}


@pytest.mark.parametrize(("damage", "expected"), DAMAGES.values(), ids=list(DAMAGES))
def test_every_damage_is_found(
    archive: Path, source: Path, damage: Callable[[Path], object], expected: set[str]
) -> None:
    """Also if the manifest was changed to match the damaged file."""
    damage(archive)
    checked = _checked(archive, source)
    assert {*_counts(checked)} == expected


def test_a_foreign_file_in_the_manifest_is_a_fault(archive: Path) -> None:
    """A file that is not Parquet ends with a line, not with a traceback."""
    path = _first(archive)
    path.write_bytes(b"PAR1 but not really")
    table = json.loads((archive / "archive.json").read_text())
    for entry in table["files"]:
        if archive / entry["path"] == path:
            entry["sha256"] = sha256_of(path)
    (archive / "archive.json").write_text(json.dumps(table))
    assert "files" in _counts(_checked(archive))


def test_a_damaged_archive_is_not_extended(archive: Path, source: Path) -> None:
    """A build names the file instead of copying its content."""
    _flip(archive)
    day_ns = int(_first(archive).parent.parent.name == "2024-02-15") * DAY_NS
    _write(source, [line(77, "j5", time_ns=VOTING_NS + day_ns + 77)])
    with pytest.raises(StorageError, match="differs from the manifest"):
        build(open_sources(source), archive)


@pytest.mark.parametrize(
    "content", [None, b"", b"[]", b"{}", b'{"format": "qos-agent archive"}', b"\xff"]
)
def test_a_foreign_folder_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """The message says that the folder is not an archive."""
    if content is not None:
        (tmp_path / "archive.json").write_bytes(content)
    with pytest.raises(OperatorError, match=r"archive\.json: "):
        _checked(tmp_path)
