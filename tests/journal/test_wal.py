"""What SQLite would leave out of a damaged log in silence is found and recovered."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import pytest

from qos_agent.journal import wal
from qos_agent.journal.tables import FILE_NAME, PAGE_BYTES
from tests.journal.support import bodies, open_journal, put
from tests.support.clocks import FakeClock

COMMITS = 12
HEAD, FRAME = 32, 24 + PAGE_BYTES
LOG_NAME = FILE_NAME + "-wal"


class Cut:
    """A journal whose readings are in the log alone, as after a power cut."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        journal = open_journal(folder / "was")
        for _ in range(COMMITS):
            put(journal, clock, 3)
        self.lines = bodies(journal)
        self.file = (folder / "was" / FILE_NAME).read_bytes()
        self.log = (folder / "was" / LOG_NAME).read_bytes()
        journal.close()
        self.folder = folder / "found"
        self.folder.mkdir()

    @property
    def ends(self) -> list[int]:
        """Where each commit's last frame ends."""
        starts = range(HEAD, len(self.log) - FRAME + 1, FRAME)
        salts = self.log[16:24]
        return [
            start + FRAME for start in starts
            if self.log[start + 8 : start + 16] == salts
            and struct.unpack_from(">I", self.log, start + 4)[0]
        ]  # fmt: skip

    def found_with(self, log: bytes) -> Path:
        """The folder as the agent finds it."""
        (self.folder / FILE_NAME).write_bytes(self.file)
        (self.folder / LOG_NAME).write_bytes(log)
        return self.folder

    def flipped(self, at: int) -> bytes:
        """The log with one bit changed."""
        return self.log[:at] + bytes([self.log[at] ^ 4]) + self.log[at + 1 :]


@pytest.fixture
def cut(tmp_path: Path, clock: FakeClock) -> Cut:
    return Cut(tmp_path, clock)


@pytest.mark.parametrize("at", [0, 9, 17, 26], ids=["magic", "page", "salt", "sum"])
def test_a_flipped_bit_in_the_head_costs_nothing(cut: Cut, at: int) -> None:
    """SQLite would take no frame; here every reading comes back, with an event."""
    journal = open_journal(cut.found_with(cut.flipped(at)))
    assert [event.kind for event in journal.take_events()] == ["damage"]
    assert bodies(journal) == cut.lines


@pytest.mark.parametrize("nth", range(COMMITS - 2))
def test_a_flipped_bit_in_a_frame_costs_its_own_page_at_most(
    cut: Cut, nth: int
) -> None:
    """All before it and all behind it is there; what came over is what was stored."""
    journal = open_journal(cut.found_with(cut.flipped(cut.ends[-COMMITS + nth] - 40)))
    assert [event.kind for event in journal.take_events()] == ["damage"]
    found = bodies(journal)
    assert set(found) <= set(cut.lines)
    assert len(found) >= len(cut.lines) - 3


def test_a_last_commit_torn_by_a_power_cut_is_no_damage(cut: Cut) -> None:
    """Whatever its frames became, nothing was promised; the journal goes on."""
    *_, last, end = cut.ends
    for torn in (
        cut.log[: end - 100],
        cut.log[: last + 50] + bytes(end - last - 50),
        cut.log[:last] + b"\xa5" * 90 + cut.log[last + 90 :],
    ):
        journal = open_journal(cut.found_with(torn))
        assert journal.take_events() == ()
        assert bodies(journal) == cut.lines[:-3]
        journal.close()


def test_a_sound_log_is_none_the_worse_for_being_looked_at(cut: Cut) -> None:
    """Nor is one that is empty, absent, or stale behind a head just written."""
    folder = cut.found_with(cut.log)
    wal.check(folder / FILE_NAME)
    stale = b"\xff" * HEAD + cut.log[HEAD:]
    (folder / LOG_NAME).write_bytes(stale)
    with pytest.raises(sqlite3.DatabaseError, match="header of the log"):
        wal.check(folder / FILE_NAME)
    cut.found_with(cut.log)
    with sqlite3.connect(folder / FILE_NAME) as done:
        done.execute("PRAGMA wal_checkpoint(FULL)")
        (folder / LOG_NAME).write_bytes(stale)
        wal.check(folder / FILE_NAME)
        (folder / LOG_NAME).write_bytes(b"")
        wal.check(folder / FILE_NAME)
    done.close()
