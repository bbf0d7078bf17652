"""Carving finds all sound points in the pages, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from qos_agent.journal.carving import carve
from qos_agent.journal.tables import FILE_NAME, PAGE_BYTES
from tests.journal.support import bodies, open_journal, point, put
from tests.support.clocks import FakeClock

POINTS = 200
# A tag so long that its point needs several overflow pages.
LONG = "x" * 3 * PAGE_BYTES
_TABLE_LEAF = 0x0D


@pytest.fixture
def stored(tmp_path: Path) -> list[bytes]:
    """Return the lines of a journal of many short and some long points, in order."""
    journal, clock = open_journal(tmp_path), FakeClock()
    put(journal, clock, POINTS // 2)
    long = [point(clock.boot_ns() + n, target=f"{LONG}{n}") for n in range(1, 5)]
    journal.put(long, clock.state(), clock.boot_id)
    put(journal, clock, POINTS // 2)
    lines = bodies(journal)
    assert max(map(len, lines)) > len(LONG)
    journal.close()
    return lines


def _carved(folder: Path) -> list[bytes]:
    points = sorted(carve(folder / FILE_NAME), key=lambda point: point.seq)
    return [point.line for point in points if point.line is not None]


def test_all_points_of_a_sound_journal_are_found(
    tmp_path: Path, stored: list[bytes]
) -> None:
    """That includes points with overflow pages; none is doubled or altered."""
    assert _carved(tmp_path) == stored


@pytest.mark.parametrize("pointer", [b"\xff\xff", b"\x00\x00"])
def test_an_unreadable_cell_does_not_hide_the_others(
    tmp_path: Path, stored: list[bytes], pointer: bytes
) -> None:
    """The first cell pointer of every leaf page is wrong; the others are found."""
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    for start in range(PAGE_BYTES, len(data), PAGE_BYTES):
        if data[start] == _TABLE_LEAF:
            data[start + 8 : start + 10] = pointer
    path.write_bytes(data)
    carved = _carved(tmp_path)
    assert POINTS // 2 < len(carved) < POINTS
    assert set(carved) <= set(stored)


@pytest.mark.parametrize("header", ["sound", "damaged"])
def test_pages_of_the_first_version_are_read(tmp_path: Path, header: str) -> None:
    """A file with pages of 1,024 bytes is carved, also without its header."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute("PRAGMA page_size = 1024")
        db.execute("PRAGMA application_id = 1")
    journal, clock = open_journal(tmp_path), FakeClock()
    put(journal, clock, POINTS)
    lines = bodies(journal)
    journal.close()
    path = tmp_path / FILE_NAME
    data = path.read_bytes()
    assert data[16:18] == (1024).to_bytes(2, "big")
    if header == "damaged":
        path.write_bytes(bytes(1024) + data[1024:])
    found = {p.seq: p.line for p in carve(path)}
    assert [found[seq] for seq in sorted(found)] == lines
