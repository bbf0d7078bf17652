"""The recorder commits readings together and keeps them if a commit fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qos_agent.agent.ledger import Ledger
from qos_agent.agent.recorder import Recorder
from qos_agent.model import ClockState, Point, Reading
from qos_agent.model.errors import StorageError
from tests.support.clocks import FakeClock
from tests.support.readings import IDENTITY, latency


@dataclass
class Disk:
    """A store that may be full."""

    full: bool = False
    rows: list[Point] = field(default_factory=list)
    commits: int = 0

    def put(self, points: Sequence[Point], clock: ClockState, boot_id: str) -> range:
        """Store the points, or raise StorageError if the disk is full."""
        if self.full:
            raise StorageError("write", "journal.db", "no space left")
        self.commits += 1
        first = len(self.rows)
        self.rows += points
        return range(first, len(self.rows))


def _recorder(disk: Disk, ledger: Ledger, committed: list[Reading]) -> Recorder:
    return Recorder(disk, IDENTITY, FakeClock(), ledger, committed.extend)


def test_readings_share_one_commit() -> None:
    """Six readings need one write, and the ledger counts them at the commit."""
    disk, ledger, committed = Disk(), Ledger(), list[Reading]()
    recorder = _recorder(disk, ledger, committed)
    for _ in range(6):
        recorder.add(latency())
    assert ledger.tally().due == 0
    assert recorder.commit() == 6
    assert (disk.commits, ledger.tally().due, len(committed)) == (1, 6, 6)
    assert recorder.commit() == 0
    assert disk.commits == 1


def test_a_full_disk_keeps_the_readings() -> None:
    """Readings that could not be written are written once, by a later commit."""
    disk, ledger, committed = Disk(full=True), Ledger(), list[Reading]()
    recorder = _recorder(disk, ledger, committed)
    recorder.add(latency())
    assert recorder.commit() == 0
    assert ledger.tally().due == 0
    recorder.add(latency(received=0))
    disk.full = False
    assert recorder.commit() == 2
    assert [row.fields["received"] for row in disk.rows] == [20, 0]
    assert recorder.commit() == 0
