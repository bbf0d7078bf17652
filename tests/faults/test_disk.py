"""A full disk, and power cuts at every point of the log."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qos_agent.journal.tables import FILE_NAME, PAGE_BYTES
from qos_agent.model.errors import StorageError
from tests.faults.conftest import FULL, Account, tried
from tests.journal.support import change, deliver, open_journal, put, seqs
from tests.support.clocks import FakeClock
from tests.support.requirement import require
from tests.support.small_disk import small_disk

_FRAME_BYTES = 24 + PAGE_BYTES
_HEADER_BYTES = 32


def test_disk_full_at_every_write(tmp_path: Path, account: Account) -> None:
    """On a full disk a put is stored whole, or fails whole with an error."""
    tries = range(0, 400, 4) if FULL else range(0, 400, 40)
    count = readings = lost = doubled = 0
    for spare_kb in tried("full disks", tries):
        count += 1
        with small_disk(tmp_path / str(spare_kb), 2048) as folder:
            put_seqs, stored = _fill_and_continue(folder, spare_kb)
        readings += len(put_seqs)
        lost += len(set(put_seqs) - set(stored))
        doubled += len(stored) - len(set(stored)) + len(set(stored) - set(put_seqs))
    account("disk full at every write", count, readings, lost, doubled)


def _fill_and_continue(folder: Path, spare_kb: int) -> tuple[list[int], list[int]]:
    """Put until the disk is full, free it, and put again.

    Returns the numbers that were put and those that are stored.
    """
    clock, journal = FakeClock(), open_journal(folder)
    put_seqs = list(put(journal, clock, 10))
    filler = folder / "filler"
    free_bytes = shutil.disk_usage(folder).free
    filler.write_bytes(bytes(max(0, free_bytes - spare_kb * 1024)))
    failures = 0
    while failures < 3:
        try:
            put_seqs += put(journal, clock, 7)
        except StorageError as error:
            failures += "free disk space" in str(error)
        deliver(journal)
    filler.unlink()
    put_seqs += put(journal, clock, 7)
    assert not journal.in_memory
    journal.close()
    journal = open_journal(folder)
    stored = seqs(journal)
    journal.close()
    assert stored == list(range(1, len(stored) + 1))
    return put_seqs, stored


def _recorded(folder: Path) -> list[tuple[int, int]]:
    """Create a journal with many commits in its log.

    Returns the length of the log and the number of points after each commit.
    """
    journal, clock = open_journal(folder), FakeClock()
    put(journal, clock, 30)
    journal.close()
    journal = open_journal(folder)
    log = folder / f"{FILE_NAME}-wal"
    commits, total = [(0, 30)], 30
    for count in (1, 3, 12, 1, 5, 8, 1, 1, 20, 2):
        total += len(put(journal, clock, count))
        if count == 12:
            deliver(journal)
        commits.append((log.stat().st_size, total))
    for suffix in ("", "-wal"):
        shutil.copy(folder / f"{FILE_NAME}{suffix}", folder / f"cut{suffix}")
    journal.close()
    return commits


def _reopened(folder: Path, file: bytes, log: bytes) -> list[int]:
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(file)
    (folder / f"{FILE_NAME}-wal").write_bytes(log)
    journal = open_journal(folder)
    assert journal.take_events() == ()
    stored = seqs(journal)
    journal.close()
    shutil.rmtree(folder)
    return stored


@pytest.mark.slow
def test_power_cut_at_every_point_of_the_log(tmp_path: Path, account: Account) -> None:
    """Every prefix of the log opens without damage and loses no committed point."""
    commits = _recorded(tmp_path)
    file, log = (tmp_path / "cut").read_bytes(), (tmp_path / "cut-wal").read_bytes()
    frames = range(_HEADER_BYTES, len(log) + 1, _FRAME_BYTES)
    cuts = {0, *frames, *(frame + 512 for frame in frames), len(log)}
    cuts |= set(range(0, len(log), 97 if FULL else 4001))
    lost = doubled = 0
    for cut in sorted(cuts):
        committed = max(total for length, total in commits if length <= cut)
        stored = _reopened(tmp_path / "again", file, log[:cut])
        lost += len(set(range(1, committed + 1)) - set(stored))
        doubled += len(stored) - len(set(stored))
        assert stored == list(range(1, len(stored) + 1))
    account("power cut: log cut anywhere", len(cuts), commits[-1][1], lost, doubled)


@pytest.mark.slow
def test_power_cut_that_tears_the_tail_of_the_log(
    tmp_path: Path, account: Account
) -> None:
    """Sectors of the unsynced tail may be missing, zero or noise."""
    commits = _recorded(tmp_path)
    file, log = (tmp_path / "cut").read_bytes(), (tmp_path / "cut-wal").read_bytes()
    chance, tries, lost = random.Random(7), 600 if FULL else 60, 0
    for _ in range(tries):
        index = chance.randrange(len(commits) - 1)
        synced, committed = commits[index]
        tail = bytearray(log[synced : commits[index + 1][0]])
        for start in range(0, len(tail), 512):
            if chance.random() < 0.4:
                size = len(tail[start : start + 512])
                torn = chance.choice((bytes(size), chance.randbytes(size)))
                tail[start : start + 512] = torn
        stored = _reopened(tmp_path / "again", file, log[:synced] + bytes(tail))
        lost += len(set(range(1, committed + 1)) - set(stored))
    account("power cut: log's tail torn", tries, commits[-1][1], lost, 0)


@pytest.mark.slow
def test_power_cut_during_a_checkpoint(tmp_path: Path, account: Account) -> None:
    """If any subset of the pages is in the file, the log still has all of them."""
    commits = _recorded(tmp_path)
    before, log = (tmp_path / "cut").read_bytes(), (tmp_path / "cut-wal").read_bytes()
    change(tmp_path, [])
    after = (tmp_path / FILE_NAME).read_bytes()
    chance, tries, lost = random.Random(11), 400 if FULL else 40, 0
    for _ in range(tries):
        mixed = bytearray(before.ljust(len(after), b"\0"))
        for start in range(0, len(after), 512):
            if chance.random() < 0.5:
                mixed[start : start + 512] = after[start : start + 512]
        stored = _reopened(tmp_path / "again", bytes(mixed), log)
        lost += commits[-1][1] - len(stored)
    account("power cut: checkpoint torn", tries, commits[-1][1], lost, 0)


def test_sync_comes_before_the_return(tmp_path: Path) -> None:
    """A put returns only after the log was synced; strace observes it."""
    require(shutil.which("strace") is not None, "strace", "apt-get install strace")
    program = (
        "import os, pathlib, sys\n"
        "from tests.journal.support import open_journal, put\n"
        "from tests.support.clocks import FakeClock\n"
        "journal, clock = open_journal(pathlib.Path(sys.argv[1])), FakeClock()\n"
        "for _ in range(3):\n"
        "    put(journal, clock)\n"
        "    os.write(1, b'committed')\n"
    )
    trace = tmp_path / "trace"
    watch = ["strace", "-f", "-o", str(trace), "-e", "trace=fdatasync,fsync,write"]
    subprocess.run(
        [*watch, sys.executable, "-c", program, str(tmp_path / "journal")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines()]
    order = "".join(
        "S" if call.startswith(("fdatasync", "fsync")) else "C"
        for call in calls
        if call.startswith(("fdatasync", "fsync")) or "committed" in call
    )
    assert order.count("C") == 3
    assert "CC" not in order
    assert order[0] == "S"
