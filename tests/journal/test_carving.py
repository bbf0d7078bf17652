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
FIRST_PAGE_BYTES = 1024
_TABLE_LEAF = 0x0D


def _stored_by_first_version(folder: Path) -> list[bytes]:
    """Return the lines of a journal with two points in each page."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        db.execute(f"PRAGMA page_size = {FIRST_PAGE_BYTES:d}")
        db.execute("PRAGMA application_id = 1")
    journal = open_journal(folder)
    put(journal, FakeClock(), POINTS)
    lines = bodies(journal)
    journal.close()
    return lines


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
    tmp_path: Path, pointer: bytes
) -> None:
    """The first cell pointer of every leaf page is wrong; the others are found."""
    stored = _stored_by_first_version(tmp_path)
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    for start in range(FIRST_PAGE_BYTES, len(data), FIRST_PAGE_BYTES):
        if data[start] == _TABLE_LEAF:
            data[start + 8 : start + 10] = pointer
    path.write_bytes(data)
    carved = _carved(tmp_path)
    assert POINTS // 3 < len(carved) < POINTS
    assert set(carved) <= set(stored)


@pytest.mark.parametrize("header", ["sound", "damaged"])
def test_pages_of_the_first_version_are_read(tmp_path: Path, header: str) -> None:
    """A file with pages of 1,024 bytes is carved, also without its header."""
    lines = _stored_by_first_version(tmp_path)
    path = tmp_path / FILE_NAME
    data = path.read_bytes()
    assert data[16:18] == FIRST_PAGE_BYTES.to_bytes(2, "big")
    if header == "damaged":
        path.write_bytes(bytes(FIRST_PAGE_BYTES) + data[FIRST_PAGE_BYTES:])
    found = {p.seq: p.line for p in carve(path)}
    assert [found[seq] for seq in sorted(found)] == lines
