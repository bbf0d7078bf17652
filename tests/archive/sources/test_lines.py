"""Line files that are torn, damaged, too long or still growing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from qos_agent.archive.sources import lines
from qos_agent.archive.sources.lines import LineFile, zstd_module
from qos_agent.archive.sources.types import Item
from qos_agent.model.errors import OperatorError
from tests.archive.support import lines as readings

GOOD = readings(5)
TEXT = b"".join(line + b"\n" for line in GOOD)


def _items(path: Path, after: int | None = None) -> list[Item]:
    return list(LineFile(path).items(after))


def test_a_torn_last_line_is_named_and_read_when_it_is_whole(tmp_path: Path) -> None:
    """A cut inside the time would give another valid time, so it does not count."""
    path = tmp_path / "a.lp"
    path.write_bytes(TEXT[:-3])
    *good, torn = _items(path)
    assert [item.line for item in good] == GOOD[:4]
    assert torn.line is None
    assert "the last line is torn off" in torn.fault
    path.write_bytes(TEXT)
    assert [item.line for item in _items(path, torn.position)] == GOOD[4:]


def test_a_torn_gzip_file_gives_its_whole_lines(tmp_path: Path) -> None:
    """A gateway that lost power leaves a file without its end."""
    path = tmp_path / "a.lp.gz"
    many = b"".join(line + b"\n" for line in readings(2000))
    path.write_bytes(gzip.compress(many)[:-5000])
    items = _items(path)
    assert len(items) > 100
    assert items[-1].line is None
    assert "cannot be decompressed" in items[-1].fault
    assert {i.line for i in items[:-1]} <= set(many.split(b"\n"))


@pytest.mark.parametrize("kept_bytes", [10, 100, -1])
def test_a_torn_zstd_file_is_named(tmp_path: Path, kept_bytes: int) -> None:
    """A file that was cut gives a fault also if no line of it can be read."""
    path = tmp_path / "a.lp.zst"
    path.write_bytes(zstd_module(path).compress(TEXT)[:kept_bytes])
    *_, last = _items(path)
    assert last.line is None
    assert "cannot be decompressed" in last.fault


@pytest.mark.parametrize("suffix", [".lp.gz", ".lp.zst"])
def test_a_file_of_several_parts_is_read_whole(tmp_path: Path, suffix: str) -> None:
    """A gateway that appends writes a frame at a time."""
    path = tmp_path / f"a{suffix}"
    compress = gzip.compress if suffix == ".lp.gz" else zstd_module(path).compress
    many = readings(3000)
    parts = [b"".join(r + b"\n" for r in many[n::3]) for n in range(3)]
    path.write_bytes(b"".join(map(compress, parts)))
    assert sorted(item.line or b"" for item in _items(path)) == sorted(many)


@pytest.mark.parametrize("suffix", [".lp.gz", ".lp.zst"])
def test_a_file_that_is_not_compressed_is_named(tmp_path: Path, suffix: str) -> None:
    """A wrong name ends with a fault, not with a traceback."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(TEXT)
    (item,) = _items(path)
    assert "cannot be decompressed" in item.fault
    LineFile(path).fingerprint()


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    """A long line is skipped, and the lines around it are read."""
    path = tmp_path / "a.lp"
    path.write_bytes(GOOD[0] + b"\n" + b"x" * 300_000 + b"\n" + GOOD[1] + b"\n")
    first, long, second = _items(path)
    assert (first.line, second.line) == (GOOD[0], GOOD[1])
    assert "is longer than 65536 bytes" in long.fault


def test_zstd_without_a_library_names_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python before 3.14 has no zstd of its own."""
    monkeypatch.setattr(lines, "_ZSTD", ("no_such_library",))
    path = tmp_path / "a.lp.zst"
    path.write_bytes(b"x")
    with pytest.raises(OperatorError, match=r"zstandard"):
        _items(path)


def test_the_fingerprint_stays_while_a_file_grows(tmp_path: Path) -> None:
    """Another file under the same name has another one."""
    path = tmp_path / "a.lp"
    path.write_bytes(GOOD[0] + b"\n")
    before = LineFile(path).fingerprint()
    path.write_bytes(TEXT)
    assert LineFile(path).fingerprint() == before
    path.write_bytes(GOOD[1] + b"\n")
    assert LineFile(path).fingerprint() != before
