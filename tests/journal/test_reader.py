"""The commands read a large journal without loading it into memory."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from qos_agent.journal import tables
from qos_agent.journal.reader import EVERY_SEQ, Reader, reading
from qos_agent.model.errors import OperatorError
from tests.journal.support import bodies, change, open_journal, put
from tests.support.clocks import FakeClock


def _journal(folder: Path, points: int) -> list[bytes]:
    clock, journal = FakeClock(), open_journal(folder)
    put(journal, clock, points)
    lines = bodies(journal)
    journal.close()
    return lines


def _verify(journal: Reader) -> None:
    assert journal.verify().points > 0


def _export(journal: Reader) -> None:
    assert sum(1 for _ in journal.lines(EVERY_SEQ)) > 0


def _tail(journal: Reader) -> None:
    assert sum(1 for _ in journal.lines(EVERY_SEQ, 20)) == 20


@pytest.mark.slow
@pytest.mark.parametrize("command", [_verify, _export, _tail])
def test_memory_does_not_grow_with_the_journal(
    tmp_path: Path, command: Callable[[Reader], None]
) -> None:
    """Ten times the points need the same Python memory."""
    peaks = []
    for points in (300, 3000):
        folder = tmp_path / str(points)
        _journal(folder, points)
        with reading(folder) as journal:
            command(journal)
            tracemalloc.start()
            command(journal)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 20_000


def test_export_is_read_in_the_order_of_the_table(tmp_path: Path) -> None:
    """A sort would write the whole journal into a temporary file first."""
    _journal(tmp_path, 3)
    with reading(tmp_path) as journal:
        seen: list[str] = []
        journal._db.set_trace_callback(seen.append)
        list(journal.lines(EVERY_SEQ))
        journal._db.set_trace_callback(None)
        plan = journal._db.execute(f"EXPLAIN QUERY PLAN {seen[0]}").fetchall()
    assert not [row for row in plan if "TEMP B-TREE" in row[3]]


@pytest.mark.parametrize(
    ("after", "last", "expected"),
    [
        (EVERY_SEQ, 2, slice(3, 5)),
        (4, 3, slice(4, 5)),
        (3, None, slice(3, 5)),
        (EVERY_SEQ, 9, slice(0, 5)),
        (9, 2, slice(5, 5)),
    ],
)
def test_lines_after_a_number_and_the_last_ones(
    tmp_path: Path, after: int, last: int | None, expected: slice
) -> None:
    """Both limits work, alone and together."""
    lines = _journal(tmp_path, 5)
    with reading(tmp_path) as journal:
        assert list(journal.lines(after, last)) == lines[expected]


def test_an_empty_journal_has_no_last_lines(tmp_path: Path) -> None:
    """`journal tail` may run before the first reading."""
    open_journal(tmp_path).close()
    with reading(tmp_path) as journal:
        assert list(journal.lines(EVERY_SEQ, 20)) == []


def test_missing_numbers_are_reported(tmp_path: Path) -> None:
    """They may be in the middle or at the start."""
    _journal(tmp_path, 9)
    change(tmp_path, ["DELETE FROM point WHERE seq IN (1, 2, 5)"])
    with reading(tmp_path) as journal:
        faults = journal.verify().faults
    assert faults == ("points 1 to 2: missing", "points 5 to 5: missing")


def _begun(path: Path) -> None:
    """Create the file as it is before its first table."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")


def _unnamed(path: Path) -> None:
    """Create the tables without the journal's name."""
    tables.connect(path).close()


@pytest.mark.parametrize("make", [Path.touch, _begun, _unnamed])
def test_an_incomplete_journal_is_an_error(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    """While the agent starts a command asks to try again."""
    make(tmp_path / tables.FILE_NAME)
    with (
        pytest.raises(OperatorError, match="has not finished creating"),
        reading(tmp_path),
    ):
        pass


def test_statistics_and_export_have_the_same_points(tmp_path: Path) -> None:
    """A point whose line was removed to free space counts in neither."""
    _journal(tmp_path, 5)
    change(tmp_path, ["UPDATE point SET line = NULL WHERE seq IN (2, 3)"])
    with reading(tmp_path) as journal:
        exported = list(journal.lines(EVERY_SEQ))
        statistics = journal.stats()
    assert len(exported) == statistics.points == 3
    assert sum(kind.points for kind in statistics.kinds) == 3
