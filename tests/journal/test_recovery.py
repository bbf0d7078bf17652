"""The agent starts with any content of the folder, and keeps the readable points."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qos_agent.journal import Lane, wal
from qos_agent.journal.tables import FILE_NAME, PAGE_BYTES
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.model.line_protocol import decode
from tests.journal.support import (
    bodies,
    change,
    deliver,
    look,
    open_journal,
    put,
    seqs,
)
from tests.support.clocks import FakeClock
from tests.support.requirement import require

POINTS = 400


def _filled(folder: Path) -> list[bytes]:
    """Create a journal of many points, half of them delivered; return its lines."""
    journal = open_journal(folder)
    clock = FakeClock()
    put(journal, clock, POINTS // 2)
    deliver(journal)
    put(journal, clock, POINTS // 2)
    journal.set_state("baseline", "7")
    journal.reserve("main", "throughput", 1000, clock.boot_id, 0)
    lines = bodies(journal)
    journal.close()
    return lines


def _cut_half(data: bytearray) -> bytearray:
    return data[: len(data) // 2]


def _wipe_header(data: bytearray) -> bytearray:
    return bytearray(PAGE_BYTES) + data[PAGE_BYTES:]


def _wipe_middle(data: bytearray) -> bytearray:
    middle = len(data) // 2 // PAGE_BYTES * PAGE_BYTES
    data[middle : middle + 4096] = bytes(4096)
    return data


def _empty(_data: bytearray) -> bytearray:
    return bytearray()


def _noise(_data: bytearray) -> bytearray:
    return bytearray(random.Random(1).randbytes(50_000))


@pytest.mark.parametrize(
    ("spoil", "min_share"),
    [
        (_cut_half, 0.4),
        (_wipe_header, 1.0),
        (_wipe_middle, 0.9),
        (_empty, 0),
        (_noise, 0),
    ],
)
def test_damaged_journal_is_moved_aside_and_recovered(
    tmp_path: Path, spoil: Callable[[bytearray], bytearray], min_share: float
) -> None:
    """The damaged file is not changed; readable points are copied byte for byte."""
    lines = _filled(tmp_path)
    path = tmp_path / FILE_NAME
    spoilt = bytes(spoil(bytearray(path.read_bytes())))
    path.write_bytes(spoilt)
    journal = open_journal(tmp_path)
    recovered = bodies(journal)
    assert set(recovered) <= set(lines)
    assert len(recovered) >= min_share * POINTS
    (event,) = journal.take_events()
    assert (event.kind, event.amount) == ("damage", len(recovered))
    (aside,) = tmp_path.glob("damaged-*")
    assert (aside / FILE_NAME).read_bytes() == spoilt
    assert put(journal, FakeClock()) == range(1, 2)


def test_undelivered_points_of_a_damaged_journal_are_delivered(tmp_path: Path) -> None:
    """Without the header all points are queued again; sending twice loses nothing."""
    lines = _filled(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_bytes(_wipe_header(bytearray(path.read_bytes())))
    journal = open_journal(tmp_path)
    sent: list[bytes] = []
    while batch := journal.claim("collector", 100, Lane.BACKLOG):
        sent += batch.lines
        journal.settle(batch)
    assert sent == lines


def test_new_journal_has_a_new_name(tmp_path: Path, clock: FakeClock) -> None:
    """Numbers start again, so the name must differ; old lines keep the old one."""
    _filled(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_bytes(_wipe_middle(bytearray(path.read_bytes())))
    journal = open_journal(tmp_path)
    put(journal, clock)
    records = [decode(line) for line in bodies(journal)]
    pairs = {(r.fields["journal"], r.fields["seq"]) for r in records}
    assert len(pairs) == len(records)
    assert records[-1].fields["journal"] == journal.id
    assert records[0].fields["journal"] != journal.id


def test_points_survive_two_damages(tmp_path: Path, clock: FakeClock) -> None:
    """Recovered points are recovered again, before the points of the second journal."""
    _filled(tmp_path)
    path = tmp_path / FILE_NAME
    for _ in range(2):
        path.write_bytes(_wipe_header(bytearray(path.read_bytes())))
        journal = open_journal(tmp_path)
        put(journal, clock, 10)
        journal.close()
    journal = open_journal(tmp_path)
    assert len(seqs(journal)) == POINTS + 20
    times = [decode(line).fields["journal"] for line in bodies(journal)]
    assert len(dict.fromkeys(times)) == 3


def test_later_version_is_moved_aside(tmp_path: Path) -> None:
    """After a downgrade the agent starts and copies the readable content."""
    lines = _filled(tmp_path)
    change(tmp_path, ["PRAGMA user_version = 99"])
    journal = open_journal(tmp_path)
    assert bodies(journal) == lines
    (event,) = journal.take_events()
    assert "journal version 99 is newer" in event.detail
    assert journal.state("baseline") == "7"
    assert [k.size_bytes for k in journal.killed] == [1000]
    assert len(deliver(journal)) == POINTS // 2


def test_damage_while_running_is_repaired_while_running(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The put that meets the damage succeeds in a new journal."""
    journal = open_journal(tmp_path)
    put(journal, clock, POINTS)
    change(tmp_path, [])  # brings the log into the file
    path = tmp_path / FILE_NAME
    with path.open("r+b") as file:
        file.seek(PAGE_BYTES)
        file.write(b"\xff" * (path.stat().st_size - PAGE_BYTES))
    for _ in range(3):
        put(journal, clock, 50)
    assert {e.kind for e in journal.take_events()} == {"damage"}
    assert len([s for s in seqs(journal) if s > 0]) >= 50
    journal.close()
    open_journal(tmp_path).close()


@pytest.mark.parametrize("times", [40])
def test_flipped_bits_never_create_a_point(
    tmp_path_factory: pytest.TempPathFactory, times: int
) -> None:
    """With any bit flipped the agent starts, and every line is one it stored."""
    original = tmp_path_factory.mktemp("original")
    lines = set(_filled(original))
    data = (original / FILE_NAME).read_bytes()
    chance = random.Random(3)
    for number in range(times):
        folder = tmp_path_factory.mktemp(f"flip{number}")
        spoilt = bytearray(data)
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        (folder / FILE_NAME).write_bytes(spoilt)
        journal = open_journal(folder)
        sent: list[bytes] = []
        while batch := journal.claim("collector", 500, Lane.BACKLOG):
            sent += batch.lines
            journal.settle(batch)
        assert set(sent) <= lines
        assert len(sent) >= POINTS // 2 - 5
        journal.close()


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    mount = subprocess.run(
        ["mount", *arguments, str(folder)], check=False, capture_output=True, text=True
    )
    require(mount.returncode == 0, f"a mount ({mount.stderr})", "run the tests as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_read_only_folder_means_memory_and_an_error(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Readings continue, undelivered points are read, and the log has an error."""
    with _mounted(tmp_path, "-t", "tmpfs", "-o", "size=8m", "tmpfs") as folder:
        lines = _filled(folder)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        journal = open_journal(folder)
        assert journal.in_memory
        (event,) = journal.take_events()
        assert event.kind == "in_memory"
        assert "are lost when the agent stops" in caplog.text
        assert bodies(journal) == lines
        assert put(journal, clock) == range(1, 2)
        journal.close()


def test_file_system_turning_read_only_means_memory(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The kernel makes a worn card read-only; no committed point is lost."""
    card, folder = tmp_path / "card", tmp_path / "folder"
    folder.mkdir()
    with card.open("wb") as file:
        file.truncate(16_000_000)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(card)], check=True)
    with _mounted(folder, "-o", "loop,errors=remount-ro", str(card)):
        device = Path(
            subprocess.check_output(
                ["findmnt", "-n", "-o", "SOURCE", str(folder)], text=True
            ).strip()
        ).name
        journal = open_journal(folder)
        put(journal, clock, 10)
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("error")
        put(journal, clock, 10)
        assert journal.in_memory
        assert {e.kind for e in journal.take_events()} == {"in_memory"}
        assert len(seqs(journal)) == 20
        assert len(deliver(journal)) == 20
        journal.close()


def test_folder_that_cannot_be_made_means_memory(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A file in the folder's path is one cause."""
    (tmp_path / "file").write_text("")
    journal = open_journal(tmp_path / "file" / "journal")
    assert journal.in_memory
    put(journal, clock, 3)
    assert deliver(journal) == [1, 2, 3]


def test_folder_that_may_not_be_searched_means_memory(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of another user is one cause."""
    (tmp_path / "file").write_text("")

    def refuse(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    journal = open_journal(tmp_path / "file" / "journal")
    assert journal.in_memory
    assert put(journal, clock, 3) == range(1, 4)


def test_file_that_cannot_be_looked_at_means_memory(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dying card gives an error instead of the size of a file."""

    def fail(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(wal, "check", fail)
    journal = open_journal(tmp_path)
    assert journal.in_memory
    assert put(journal, clock, 3) == range(1, 4)


def test_lock_with_any_content_is_an_error_of_the_operator(tmp_path: Path) -> None:
    """The error shows the content of the file as far as it is text."""
    journal = open_journal(tmp_path)
    (tmp_path / "journal.lock").write_bytes(b"\xff\xfe12")
    with pytest.raises(
        OperatorError, match=r"in use by the agent with process id .*12"
    ):
        open_journal(tmp_path)
    journal.close()


@pytest.mark.slow
def test_file_locked_by_another_process_is_an_error(
    tmp_path: Path, clock: FakeClock
) -> None:
    """An open transaction of the sqlite3 shell is an error, and no number is used."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="stop the other process"):
        put(journal, clock)
    other.execute("ROLLBACK")
    other.close()
    assert put(journal, clock) == range(2, 3)


def test_migrations_run_in_order_once(tmp_path: Path) -> None:
    """The version in the file is that of the last migration."""
    open_journal(tmp_path).close()
    open_journal(tmp_path).close()
    assert look(tmp_path, "PRAGMA user_version") == [(1,)]
    assert look(tmp_path, "PRAGMA journal_mode") == [("wal",)]
