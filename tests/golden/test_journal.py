"""A journal written by an earlier version opens, drains and exports unchanged."""

from __future__ import annotations

import csv
import gzip
import re
from pathlib import Path

import pytest

from qos_agent.archive.csv import export_csv
from qos_agent.evidence.merkle import CompactRange, leaf_hash
from qos_agent.journal import Journal, JournalLimits, Lane
from qos_agent.journal.tables import MIGRATIONS
from qos_agent.journal.tree import absent_leaf
from qos_agent.model import Phase
from tests.support.clocks import FakeClock
from tests.support.readings import IDENTITY

GOLDEN = Path(__file__).parent
LINES = (GOLDEN / "journal.lp").read_bytes().splitlines()
# The file has 30 stored points (5 delivered, 1 quarantined), 4 points that wait for a
# trusted clock, one unsettled reservation and 1,234 bytes of delivery traffic.
PENDING, QUARANTINED, DELIVERED = 4, 1, 5


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Open a copy of the earlier version's journal."""
    packed = (GOLDEN / "journal.sqlite3.gz").read_bytes()
    (tmp_path / "journal.sqlite3").write_bytes(gzip.decompress(packed))
    limits = JournalLimits(disk_reserve_bytes=0)
    collectors = ("collector", "fallback")
    return Journal.open(tmp_path, IDENTITY, collectors, _phase_at, limits)


def _as_first_schema(line: bytes) -> bytes:
    """Return a line with the schema version of the golden file.

    Points that wait for a clock are encoded by the version that stamps them.
    """
    return re.sub(rb"(?<=,schema=)\d+i", b"1i", line)


def _phase_at(wall_ns: int) -> Phase:
    return Phase.VOTING if wall_ns % 2 else Phase.PRE


def _stamp_pending(journal: Journal) -> int:
    clock = FakeClock(boot_id="boot-2", now_boot_ns=2 * 10**10)
    return journal.stamp_pending(clock.state(), clock.boot_id, clock.boot_ns())


def test_it_opens_with_the_same_lines(journal: Journal) -> None:
    """Every stored line is the same, and pending points get the same lines."""
    assert _stamp_pending(journal) == PENDING
    assert [_as_first_schema(line) for _, line in journal.lines()] == LINES
    assert journal.take_events() == ()


def test_it_keeps_the_allowance_account(journal: Journal) -> None:
    """The killed task's reservation and the delivery traffic are still counted."""
    assert [task.size_bytes for task in journal.killed] == [11_000_000]
    usage = {use.probe: use.spent_bytes for use in journal.usage("main", "2024-01-01")}
    assert usage == {"throughput": 11_000_000, "uplink": 1234}


def test_it_drains(journal: Journal) -> None:
    """All points that are neither delivered nor quarantined are claimed once."""
    _stamp_pending(journal)
    claimed: list[int] = []
    for lane in Lane:
        while batch := journal.claim("collector", 100, lane):
            journal.settle(batch)
            claimed += batch.seqs
    assert len(claimed) == len(LINES) - DELIVERED - QUARANTINED
    assert len(set(claimed)) == len(claimed)
    assert journal.counts().undelivered["collector"] == 0
    assert journal.counts().quarantined == QUARANTINED


def test_it_gets_a_tree(journal: Journal) -> None:
    """All points are leaves, and the version before can still open the file."""
    _stamp_pending(journal)
    stored = dict(journal.lines())
    leaves = [
        leaf_hash(stored[seq]) if seq in stored else absent_leaf(seq)
        for seq in range(1, max(stored) + 1)
    ]
    assert journal.tree().root() == CompactRange().extended(leaves).root()
    assert len(MIGRATIONS) == 1


def test_it_exports(journal: Journal, tmp_path: Path) -> None:
    """The export holds the golden lines, and a CSV row for each of them."""
    _stamp_pending(journal)
    lines = (line for _, line in journal.lines())
    exported = export_csv(lines, tmp_path / "export")
    written = (exported.folder / "points.lp").read_bytes().splitlines()
    assert [_as_first_schema(line) for line in written] == LINES
    rows = 0
    for name in exported.points:
        with (exported.folder / f"{name}.csv").open(newline="") as stream:
            rows += sum(1 for _ in csv.DictReader(stream))
    assert rows == len(LINES)
