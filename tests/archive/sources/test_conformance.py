"""Every source returns the same readings, can be continued, and changes nothing."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.archive.sources import Source, open_sources
from qos_agent.archive.sources.journal import DeviceJournal
from qos_agent.archive.sources.lines import zstd_module
from tests.archive.support import filled_journal, journal_file

COUNT = 30
Make = Callable[[Path], tuple[list[bytes], Source]]


def _device(folder: Path) -> tuple[list[bytes], Source]:
    return filled_journal(folder, COUNT), DeviceJournal(folder)


def _field(folder: Path) -> tuple[list[bytes], Source]:
    stored = filled_journal(folder, COUNT)
    (source,) = open_sources(journal_file(folder))
    return stored, source


def _file(name: str, write: Callable[[Path, bytes], object]) -> Make:
    def make(folder: Path) -> tuple[list[bytes], Source]:
        stored = filled_journal(folder / "journal", COUNT)
        write(folder / name, b"".join(line + b"\n" for line in stored))
        (source,) = open_sources(folder / name)
        return stored, source

    return make


MAKERS: dict[str, Make] = {
    "device": _device,
    "field": _field,
    "lines": _file("a.lp", Path.write_bytes),
    "gzip": _file("a.lp.gz", lambda p, b: p.write_bytes(gzip.compress(b))),
    "zstd": _file("a.lp.zst", lambda p, b: p.write_bytes(zstd_module(p).compress(b))),
}
conforming = pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))


def _lines(source: Source, after: int | None = None) -> list[bytes]:
    return [item.line for item in source.items(after) if item.line is not None]


def _content(folder: Path, source: Source) -> dict[str, str]:
    """Return the hash of each file; SQLite keeps an index next to a live journal."""
    index = ("-shm", "-wal") if isinstance(source, DeviceJournal) else ()
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(index)
    }


@conforming
def test_all_readings_come_back_unchanged(make: Make, tmp_path: Path) -> None:
    """The bytes are those that the journal stored, each once, without a fault."""
    stored, source = make(tmp_path)
    assert sorted(_lines(source)) == sorted(stored)
    assert [item.fault for item in source.items() if item.fault] == []


@conforming
def test_reading_continues_after_every_position(make: Make, tmp_path: Path) -> None:
    """The lines up to a position and those after it are all lines."""
    stored, source = make(tmp_path)
    items = list(source.items())
    positions = [item.position or 0 for item in items]
    assert positions == sorted(positions)
    for count in (1, COUNT // 2, COUNT):
        before = [i.line for i in items[:count] if i.line is not None]
        after = _lines(source, items[count - 1].position)
        assert {*before, *after} == set(stored)
        assert len(after) <= COUNT - count + 1


@conforming
def test_the_source_is_not_changed(make: Make, tmp_path: Path) -> None:
    """Reading writes nothing, and the fingerprint stays."""
    _, source = make(tmp_path)
    before = _content(tmp_path, source)
    fingerprint = source.fingerprint()
    _lines(source)
    assert source.fingerprint() == fingerprint
    assert _content(tmp_path, source) == before


@conforming
def test_a_reader_that_stops_early_leaves_nothing(make: Make, tmp_path: Path) -> None:
    """An abandoned iteration closes its files and removes its copies."""
    stored, source = make(tmp_path)
    items = source.items()
    assert next(iter(items)).line in stored
    items.close()  # type: ignore[attr-defined]
    assert len(_lines(source)) == COUNT
