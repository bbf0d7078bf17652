"""Frames of a damaged log that SQLite would skip without an error are recovered."""

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
    """A journal with its readings only in the log, as after a power cut."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        journal = open_journal(folder / "original")
        for _ in range(COMMITS):
            put(journal, clock, 3)
        self.lines = bodies(journal)
        self.file = (folder / "original" / FILE_NAME).read_bytes()
        self.log = (folder / "original" / LOG_NAME).read_bytes()
        journal.close()
        self.folder = folder / "after"
        self.folder.mkdir()

    @property
    def ends(self) -> list[int]:
        """The offset of the end of each commit's last frame."""
        starts = range(HEAD, len(self.log) - FRAME + 1, FRAME)
        salts = self.log[16:24]
        return [
            start + FRAME
            for start in starts
            if self.log[start + 8 : start + 16] == salts
            and struct.unpack_from(">I", self.log, start + 4)[0]
        ]

    def folder_with(self, log: bytes) -> Path:
        """Write file and log into the folder and return it."""
        (self.folder / FILE_NAME).write_bytes(self.file)
        (self.folder / LOG_NAME).write_bytes(log)
        return self.folder

    def flipped(self, at: int) -> bytes:
        """Return the log with one bit flipped."""
        return self.log[:at] + bytes([self.log[at] ^ 4]) + self.log[at + 1 :]


@pytest.fixture
def cut(tmp_path: Path, clock: FakeClock) -> Cut:
    return Cut(tmp_path, clock)


@pytest.mark.parametrize("at", [0, 9, 17, 26], ids=["magic", "page", "salt", "sum"])
def test_a_flipped_bit_in_the_header_loses_nothing(cut: Cut, at: int) -> None:
    """SQLite would use no frame; all readings are recovered, with an event."""
    journal = open_journal(cut.folder_with(cut.flipped(at)))
    assert [event.kind for event in journal.take_events()] == ["damage"]
    assert bodies(journal) == cut.lines


@pytest.mark.parametrize("nth", range(COMMITS - 2))
def test_a_flipped_bit_in_a_frame_loses_at_most_its_page(cut: Cut, nth: int) -> None:
    """All frames before and after it are used, and no line is altered."""
    journal = open_journal(cut.folder_with(cut.flipped(cut.ends[-COMMITS + nth] - 40)))
    assert [event.kind for event in journal.take_events()] == ["damage"]
    recovered = bodies(journal)
    assert set(recovered) <= set(cut.lines)
    assert len(recovered) >= len(cut.lines) - 3


def test_a_last_commit_torn_by_a_power_cut_is_no_damage(cut: Cut) -> None:
    """The torn commit had not returned, so no reading is lost."""
    *_, last, end = cut.ends
    for torn in (
        cut.log[: end - 100],
        cut.log[: last + 50] + bytes(end - last - 50),
        cut.log[:last] + b"\xa5" * 90 + cut.log[last + 90 :],
    ):
        journal = open_journal(cut.folder_with(torn))
        assert journal.take_events() == ()
        assert bodies(journal) == cut.lines[:-3]
        journal.close()


def test_sound_logs_pass_the_check(cut: Cut) -> None:
    """That includes empty and missing logs, and old frames after a new header."""
    folder = cut.folder_with(cut.log)
    wal.check(folder / FILE_NAME)
    stale = b"\xff" * HEAD + cut.log[HEAD:]
    (folder / LOG_NAME).write_bytes(stale)
    with pytest.raises(sqlite3.DatabaseError, match="header of the log"):
        wal.check(folder / FILE_NAME)
    cut.folder_with(cut.log)
    with sqlite3.connect(folder / FILE_NAME) as done:
        done.execute("PRAGMA wal_checkpoint(FULL)")
        (folder / LOG_NAME).write_bytes(stale)
        wal.check(folder / FILE_NAME)
        (folder / LOG_NAME).write_bytes(b"")
        wal.check(folder / FILE_NAME)
    done.close()


def test_noise_in_the_size_of_a_torn_frame_is_no_second_commit(cut: Cut) -> None:
    """A sector may end within a frame's header, so that only its salts are whole."""
    before, end = cut.ends[-2:]
    assert end - before >= 2 * FRAME
    noise = bytes.fromhex("9d41c2f7b3a80e65")
    torn = cut.log[:before] + noise + cut.log[before + len(noise) :]
    wal.check(cut.folder_with(torn) / FILE_NAME)
