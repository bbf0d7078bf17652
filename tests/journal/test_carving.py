"""Points are found in the pages alone: all that are whole, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.journal.carving import carve
from qos_agent.journal.tables import FILE_NAME, PAGE_BYTES
from tests.journal.support import bodies, open_journal, point, put
from tests.support.clocks import FakeClock

POINTS = 200
# A tag so long that its point goes on in several pages.
LONG = "x" * 3 * PAGE_BYTES
_TABLE_LEAF = 0x0D


@pytest.fixture
def stored(tmp_path: Path) -> list[bytes]:
    """The lines of a journal of many points and some long ones, in order."""
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
    """Those that go on in other pages among them; none twice, none altered."""
    assert _carved(tmp_path) == stored


@pytest.mark.parametrize("pointer", [b"\xff\xff", b"\x00\x00"])
def test_a_cell_that_cannot_be_read_costs_no_other(
    tmp_path: Path, stored: list[bytes], pointer: bytes
) -> None:
    """The first pointer of every leaf leads astray: the cells behind it are found."""
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    for start in range(PAGE_BYTES, len(data), PAGE_BYTES):
        if data[start] == _TABLE_LEAF:
            data[start + 8 : start + 10] = pointer
    path.write_bytes(data)
    found = _carved(tmp_path)
    assert POINTS // 2 < len(found) < POINTS
    assert set(found) <= set(stored)
