"""Readings wait for their commit, and are not lost when it fails."""

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
    """A store that can be full."""

    full: bool = False
    rows: list[Point] = field(default_factory=list)
    commits: int = 0

    def put(self, points: Sequence[Point], clock: ClockState, boot_id: str) -> range:
        """Store, unless full."""
        if self.full:
            raise StorageError("write", "journal.db", "no space left")
        self.commits += 1
        first = len(self.rows)
        self.rows += points
        return range(first, len(self.rows))


def _recorder(disk: Disk, ledger: Ledger, seen: list[Reading]) -> Recorder:
    return Recorder(disk, IDENTITY, FakeClock(), ledger, seen.extend)


def test_a_cycle_is_one_commit() -> None:
    """Six readings, one write; the ledger counts them then and not before."""
    disk, ledger, seen = Disk(), Ledger(), list[Reading]()
    recorder = _recorder(disk, ledger, seen)
    for _ in range(6):
        recorder.add(latency())
    assert ledger.tally().due == 0
    assert recorder.commit() == 6
    assert (disk.commits, ledger.tally().due, len(seen)) == (1, 6, 6)
    assert recorder.commit() == 0
    assert disk.commits == 1


def test_a_full_disk_keeps_the_readings_waiting() -> None:
    """What could not be written is written by the next commit that can, once."""
    disk, ledger, seen = Disk(full=True), Ledger(), list[Reading]()
    recorder = _recorder(disk, ledger, seen)
    recorder.add(latency())
    assert recorder.commit() == 0
    assert ledger.tally().due == 0
    recorder.add(latency(received=0))
    disk.full = False
    assert recorder.commit() == 2
    assert [row.fields["received"] for row in disk.rows] == [20, 0]
    assert recorder.commit() == 0
