"""Recovery copies all sound points of a damaged journal and no altered ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.journal import JournalLimits
from qos_agent.journal.carving import carve
from qos_agent.journal.tables import FILE_NAME, PAGE_BYTES
from qos_agent.model.schema import MEASUREMENTS
from tests.journal.support import bodies, change, look, open_journal, point, put
from tests.support.clocks import FakeClock

LATER = "PRAGMA user_version = 99"
LOG_NAME = FILE_NAME + "-wal"


def test_an_altered_line_is_not_recovered(tmp_path: Path, clock: FakeClock) -> None:
    """A line that does not match its hash is not copied by either way of reading."""
    journal = open_journal(tmp_path)
    put(journal, clock, 20)
    lines = bodies(journal)
    journal.close()
    forged = b"received=20i"
    where = "CAST(REPLACE(line, 'received=19i', 'received=20i') AS BLOB)"
    change(tmp_path, [f"UPDATE point SET line = {where} WHERE seq = 7", LATER])
    pages = (tmp_path / FILE_NAME).read_bytes()
    assert pages.count(forged) == 1
    carved = [point.line for point in carve(tmp_path / FILE_NAME)]
    whole = [line for number, line in enumerate(lines, 1) if number != 7]
    assert carved == whole
    assert bodies(open_journal(tmp_path)) == whole


def _without_magic(log: bytes) -> bytes:
    """Return a log without its magic number, which SQLite ignores."""
    return b"\xff" * 4 + log[4:]


@pytest.mark.parametrize("page", [b"", b"\xff" * PAGE_BYTES], ids=["empty", "noise"])
@pytest.mark.parametrize(
    "spoil", [bytes, _without_magic], ids=["log sound", "log without magic"]
)
def test_the_log_of_a_damaged_journal_is_moved_and_read(
    tmp_path: Path, clock: FakeClock, page: bytes, spoil: Callable[[bytes], bytes]
) -> None:
    """After a power cut points are only in the log, which is kept unchanged."""
    journal = open_journal(tmp_path / "cut")
    put(journal, clock, 50)
    lines = bodies(journal)
    log = spoil((tmp_path / "cut" / LOG_NAME).read_bytes())
    journal.close()
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(page)
    (folder / LOG_NAME).write_bytes(log)
    again = open_journal(folder)
    assert bodies(again) == lines
    (aside,) = folder.glob("damaged-*")
    assert (aside / LOG_NAME).read_bytes() == log
    again.close()
    assert {path.name for path in folder.glob(FILE_NAME + "*")} == {FILE_NAME}


def test_lines_longer_than_a_page_are_recovered(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A point with all its fields needs overflow pages, which are read."""
    fields = {f.name: 0.5 for f in MEASUREMENTS["latency"].fields if f.type == "float"}
    fields |= {f.name: 1 for f in MEASUREMENTS["latency"].fields if f.type == "int"}
    journal = open_journal(tmp_path)
    short = point(clock.boot_ns())
    long = replace(short, fields=fields | {"detail": "x" * 200}, boot_ns=1)
    journal.put([short, long], clock.state(), clock.boot_id)
    lines = bodies(journal)
    journal.close()
    assert len(lines[1]) > PAGE_BYTES
    assert [point.line for point in carve(tmp_path / FILE_NAME)] == lines


def test_pending_points_are_recovered(tmp_path: Path, clock: FakeClock) -> None:
    """Pending points are copied and stamped with their true time."""
    journal = open_journal(tmp_path)
    right_offset_ns, clock.trusted, clock.offset_ns = clock.offset_ns, False, 0
    put(journal, clock, 3)
    measured_boot_ns = clock.boot_ns()
    journal.close()
    change(tmp_path, [LATER])
    again = open_journal(tmp_path)
    clock.trusted, clock.offset_ns = True, right_offset_ns
    now = (clock.state(), clock.boot_id, clock.boot_ns())
    assert again.stamp_pending(*now) == 3
    times = [int(line.rpartition(b" ")[2]) for line in bodies(again)]
    assert times[-1] == measured_boot_ns + right_offset_ns


def test_the_records_of_removals_are_recovered(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Evicted points stay recorded after the file was damaged."""
    limits = JournalLimits(size_bytes=200_000, disk_reserve_bytes=0)
    journal = open_journal(tmp_path, limits)
    for _ in range(20):
        put(journal, clock, 50)
    journal.close()
    removals = _removals(tmp_path)
    assert removals
    change(tmp_path, [LATER])
    open_journal(tmp_path).close()
    assert _removals(tmp_path) == removals


def _removals(folder: Path) -> list[tuple[object, ...]]:
    return look(folder, "SELECT * FROM removal ORDER BY id")
