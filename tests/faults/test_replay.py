"""Power cuts at every point of a journal's recorded writes."""

from __future__ import annotations

import shutil
from bisect import bisect_right
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from qos_agent.journal import Batch, Journal, JournalLimits, Lane, tables
from qos_agent.journal.reader import requeue
from qos_agent.journal.tables import connect_to_read
from qos_agent.journal.verification import tree_faults
from tests.faults.conftest import FULL, Account, tried
from tests.faults.ledger import check_ledger, ledger
from tests.faults.recording import Call, Disk, recording
from tests.journal.support import look, open_journal, put
from tests.support.clocks import FakeClock

SEED = 8
# These values are so small that logs restart, points expire and space runs out.
CHECKPOINT_PAGES = 60
LIMITS = JournalLimits(size_bytes=100_000, disk_reserve_bytes=0, keep_s=7200.0)
STEPS, SESSIONS = (50, 4)
TORN_EACH = 2 if FULL else 1
CUT_SHARE = 1.0 if FULL else 0.05
LIMIT_S = 420.0
_HELD = (
    "SELECT seq, line FROM point WHERE line IS NOT NULL"
    " UNION ALL SELECT seq, CAST(content AS BLOB) FROM pending"
)
_UNSENT = "SELECT seq FROM delivery UNION SELECT seq FROM quarantine"


@dataclass(frozen=True, slots=True)
class _Mark:
    """The content of the journal when an operation returned after `calls` calls."""

    calls: int
    held: dict[int, bytes]
    acknowledged: frozenset[int]


@dataclass
class _Script:
    """All operations of a journal in a random order."""

    folder: Path
    calls: list[Call]
    chance: Random = field(default_factory=lambda: Random(SEED))
    clock: FakeClock = field(default_factory=FakeClock)
    acknowledged: set[int] = field(default_factory=set)
    sent: list[Batch] = field(default_factory=list)
    marks: list[_Mark] = field(default_factory=lambda: [_Mark(0, {}, frozenset())])

    def play(self) -> None:
        """Run several sessions of the agent."""
        for session in range(SESSIONS):
            journal = open_journal(self.folder, LIMITS)
            self._mark()
            for _ in range(STEPS):
                self._step(journal, has_network=session % 2 == 0)
                self._mark()
            journal.close()
            self.sent.clear()

    def _step(self, journal: Journal, *, has_network: bool) -> None:
        match self.chance.randrange(12):
            case 0 | 1 if has_network:
                self._claim(journal)
            case 2 | 3 | 4 if self.sent:
                self._respond(journal)
            case 8:
                self.clock.advance(self.chance.choice((1, 300, 1800)))
            case 9:
                self.clock.trusted = not self.clock.trusted
                put(journal, self.clock)
            case 10:
                journal.flush()
            case 11 if has_network:
                requeue(self.folder)
            case _:
                put(journal, self.clock, self.chance.randint(1, 8))

    def _claim(self, journal: Journal) -> None:
        lane = self.chance.choice(list(Lane))
        batch = journal.claim("collector", self.chance.randint(1, 12), lane)
        if len(batch):
            self.sent.append(batch)

    def _respond(self, journal: Journal) -> None:
        """Settle, release or quarantine a batch, perhaps after other writes."""
        batch = self.sent.pop(self.chance.randrange(len(self.sent)))
        match self.chance.randrange(6):
            case 0:
                journal.release(batch)
            case 1:
                journal.quarantine(batch, "rejected")
            case _:
                self.acknowledged |= set(batch.seqs)
                journal.settle(batch)

    def _mark(self) -> None:
        held = dict(look(self.folder, _HELD))
        mark = _Mark(len(self.calls), held, frozenset(self.acknowledged))
        self.marks.append(mark)


def _around(marks: list[_Mark], calls: int) -> tuple[_Mark, _Mark]:
    """Return the states before and after the operation that made a call."""
    index = bisect_right(marks, calls, key=lambda mark: mark.calls)
    return marks[index - 1], marks[min(index, len(marks) - 1)]


def _cut(folder: Path, files: dict[str, bytes], states: tuple[_Mark, _Mark]) -> int:
    """Open the files after a power cut and return the number of lost points."""
    before, after = states
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    journal = open_journal(folder, LIMITS)
    # Before the first commit an empty file may be moved aside as damaged.
    assert not journal.in_memory
    assert not (before.held and journal.take_events())
    held = dict(look(folder, _HELD))
    unsent = {seq for (seq,) in look(folder, _UNSENT)}
    pending = {seq for (seq,) in look(folder, "SELECT seq FROM pending")}
    assert all(line in _either(states, seq) for seq, line in held.items())
    with closing(connect_to_read(folder / tables.FILE_NAME)) as db:
        assert [*tree_faults(db)] == []
    check_ledger(folder, set(range(1, max(held, default=0) + 1)) - held.keys())
    journal.close()
    shutil.rmtree(folder)
    lost = before.held.keys() & after.held.keys() - held.keys()
    not_queued = held.keys() - unsent - pending - after.acknowledged
    return len(lost | not_queued)


def _either(states: tuple[_Mark, _Mark], seq: int) -> set[bytes | None]:
    return {mark.held.get(seq) for mark in states}


@pytest.mark.slow
def test_power_cut_at_every_point_of_the_recorded_writes(
    quick_disk: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each call the unsynced writes are complete or torn; no point is lost."""
    monkeypatch.setattr(tables, "CHECKPOINT_PAGES", CHECKPOINT_PAGES)
    with recording() as calls:
        script = _Script(quick_disk / "whole", calls)
        script.play()
    reasons = {entry.reason for entry in ledger(quick_disk / "whole")}
    print(f"\n  {len(calls)} calls recorded; removed: {', '.join(sorted(reasons))}")
    assert reasons == {"kept its time", "delivered, no room", "undelivered, no room"}
    disk, chance, tries, lost = Disk(), Random(SEED), 0, 0
    for number, call in enumerate(tried("recorded calls", calls, LIMIT_S), 1):
        disk.apply(call)
        if chance.random() > CUT_SHARE and number < len(calls):
            continue
        states = _around(script.marks, number)
        torn = (disk.torn(chance) for _ in range(TORN_EACH))
        for files in (disk.written(), *torn):
            lost += _cut(quick_disk / "cut", files, states)
            tries += 1
    readings = max(script.marks[-1].held)
    account("power cut: recorded writes replayed", tries, readings, lost, 0)
