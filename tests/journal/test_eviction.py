"""The journal keeps its limits, removes in the right order and records removals."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from qos_agent.journal import JournalLimits, Lane, Removal, eviction, tables
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model import Point
from tests.journal.support import (
    EVICTION_RANKS,
    bodies,
    deliver,
    look,
    open_journal,
    point,
    put,
    seqs,
)
from tests.support.clocks import FakeClock

SMALL = JournalLimits(size_bytes=600_000, disk_reserve_bytes=0)
DAY_S = 86400.0
# SQLite calls back after this number of steps.
_STEPS = 100


def _mixed(clock: FakeClock) -> list[Point]:
    """Return one point of each rank."""
    clock.advance(1)
    now = clock.boot_ns()
    return [
        point(now, "host"),
        point(now, "signal"),
        point(now, target="first", layer="anchor"),
        point(now, target="second", layer="anchor"),
        point(now, "event"),
    ]


def _removals(folder: Path) -> list[tuple[str, str]]:
    rows = look(folder, "SELECT DISTINCT reason, measurement FROM removal ORDER BY id")
    return [(reason, measurement) for reason, measurement in rows]


@pytest.mark.slow
def test_file_stays_within_its_bytes(tmp_path: Path, clock: FakeClock) -> None:
    """Ten times the points that fit are stored, and the file keeps its limit."""
    journal = open_journal(tmp_path, SMALL)
    for _ in range(100):
        put(journal, clock, 100)
    journal.close()
    slack_bytes = 300_000  # one put between two checks of the size
    assert (tmp_path / FILE_NAME).stat().st_size < SMALL.size_bytes + slack_bytes
    assert max(seqs(open_journal(tmp_path, SMALL))) == 10_000


def test_delivered_points_go_first(tmp_path: Path, clock: FakeClock) -> None:
    """No undelivered point is removed while there are delivered ones."""
    journal = open_journal(tmp_path, SMALL)
    for _ in range(40):
        put(journal, clock, 100)
        deliver(journal)
    put(journal, clock, 100)
    assert _removals(tmp_path) == [("delivered, no room", "latency")]
    assert journal.counts().undelivered == {"collector": 100}
    assert journal.counts().evicted == 0


@pytest.mark.slow
def test_undelivered_points_go_by_rank(tmp_path: Path, clock: FakeClock) -> None:
    """Host goes first, then signal, then further targets of a layer; events stay."""
    journal = open_journal(tmp_path, SMALL)
    for _ in range(130):
        for _ in range(4):
            journal.put(_mixed(clock), clock.state(), clock.boot_id)
    order = [measurement for _, measurement in _removals(tmp_path)]
    assert order[:2] == ["host", "signal"]
    assert "event" not in order
    # The second target is the fourth point of each five, the first the third.
    latency = look(
        tmp_path, "SELECT first_seq FROM removal WHERE measurement = 'latency'"
    )
    assert latency[0][0] % 5 == 4
    seconds = sum(b"target=second" in line for line in bodies(journal))
    firsts = sum(b"target=first" in line for line in bodies(journal))
    assert seconds <= firsts


def test_every_removal_is_recorded_and_reported(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Removed points have a record with measurement and span; no others are gone."""
    journal = open_journal(tmp_path, SMALL)
    for _ in range(60):
        put(journal, clock, 100)
    (removed, first_ns, last_ns), *_ = look(
        tmp_path, "SELECT SUM(points), MIN(first_ns), MAX(last_ns) FROM removal"
    )
    assert removed + len(seqs(journal)) == 6000
    assert journal.counts().evicted == removed
    assert first_ns < last_ns < clock.wall_ns()
    events = [event for event in journal.take_events() if event.kind == "eviction"]
    assert sum(event.amount or 0 for event in events) == removed
    assert "latency: undelivered, no room; a span of" in events[0].detail


def test_evicted_undelivered_point_leaves_its_leaf(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The Merkle tree is complete although lines are removed."""
    journal = open_journal(tmp_path, SMALL)
    for _ in range(20):
        put(journal, clock, 100)
    rows = look(tmp_path, "SELECT COUNT(*), COUNT(line), COUNT(leaf) FROM point")
    points, lines, leaves = rows[0]
    assert leaves == points > lines
    assert points > 1500


def test_newest_number_is_never_used_again(tmp_path: Path, clock: FakeClock) -> None:
    """All points are delivered and expired; the next number follows the last one."""
    journal = open_journal(tmp_path, JournalLimits(keep_s=60, disk_reserve_bytes=0))
    put(journal, clock, 5)
    deliver(journal)
    journal.flush()
    clock.advance(2 * 3600)
    put(journal, clock)
    assert seqs(journal) == [5, 6]


def test_delivered_points_stay_for_the_configured_time(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Local evidence stays for `keep_s` and is removed after that."""
    limits = JournalLimits(keep_s=2 * DAY_S, disk_reserve_bytes=0)
    journal = open_journal(tmp_path, limits)
    put(journal, clock, 3)
    deliver(journal)
    clock.advance(DAY_S)
    put(journal, clock)
    assert seqs(journal) == [1, 2, 3, 4]
    clock.advance(1.5 * DAY_S)
    put(journal, clock)
    assert seqs(journal) == [4, 5]
    assert _removals(tmp_path) == [("kept its time", "latency")]


def test_undelivered_points_expire_too(tmp_path: Path, clock: FakeClock) -> None:
    """An agent that never reaches its collector does not keep points permanently."""
    journal = open_journal(tmp_path, JournalLimits(age_s=DAY_S, disk_reserve_bytes=0))
    put(journal, clock, 3)
    clock.advance(2 * DAY_S)
    put(journal, clock)
    assert seqs(journal) == [3, 4]
    assert _removals(tmp_path) == [("undelivered, too old", "latency")]
    assert [event.kind for event in journal.take_events()] == ["eviction"]


def test_quarantined_points_do_not_count_as_delivered(
    tmp_path: Path, clock: FakeClock
) -> None:
    """They stay longer than delivered points."""
    limits = JournalLimits(keep_s=60, disk_reserve_bytes=0)
    journal = open_journal(tmp_path, limits)
    put(journal, clock, 3)
    batch = journal.claim("collector", 1, Lane.FRESH)
    journal.quarantine(batch, "rejected")
    deliver(journal)
    journal.flush()
    clock.advance(2 * 3600)
    put(journal, clock)
    assert seqs(journal) == [1, 3, 4]


def test_old_reservations_are_removed(tmp_path: Path, clock: FakeClock) -> None:
    """The data account does not grow permanently, and this month stays."""
    journal = open_journal(tmp_path)
    for days in (0, 40, 40):
        clock.advance(days * DAY_S)
        put(journal, clock)
        journal.spend("main", "uplink", 100, clock.boot_id, clock.boot_ns())
    clock.advance(2 * 3600)
    put(journal, clock)
    days_left = [use.day for use in journal.usage("main", "2024-01-01")]
    assert days_left == ["2024-03-25", "2024-05-04"]


def test_untrusted_clock_removes_nothing(tmp_path: Path, clock: FakeClock) -> None:
    """A clock that is ten years ahead must not expire all points at once."""
    journal = open_journal(tmp_path, JournalLimits(keep_s=60, disk_reserve_bytes=0))
    put(journal, clock, 3)
    deliver(journal)
    clock.step(10 * 365 * DAY_S)
    clock.trusted = False
    clock.advance(2 * 3600)
    put(journal, clock)
    assert seqs(journal) == [1, 2, 3]


@pytest.mark.slow
def test_the_disk_reserve_stays_free(tmp_path: Path, clock: FakeClock) -> None:
    """On a disk that is short of space the journal does not grow."""
    everything = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    limits = JournalLimits(disk_reserve_bytes=everything)
    journal = open_journal(tmp_path, limits)
    for _ in range(110):
        put(journal, clock, 100)
    journal.close()
    assert (tmp_path / FILE_NAME).stat().st_size < 4_600_000
    assert look(tmp_path, "SELECT 1 FROM removal WHERE reason LIKE 'undelivered%'")


@pytest.mark.parametrize("count", [1, 7])
def test_rank_of_a_target_is_that_of_the_first_seen(count: int) -> None:
    """The first target of each layer on each link ranks above the others."""
    ranking = eviction.Ranking({})
    anchors = [point(1, target=f"a{n}", layer="anchor") for n in range(count)]
    ranks = [ranking.rank(p) for p in anchors]
    assert ranks == [3] + [2] * (count - 1)
    other = point(1, target="a1", layer="anchor", link="second")
    assert ranking.rank(other) == 3


def _cost(
    folder: Path, removal: Callable[[sqlite3.Connection], list[Removal]]
) -> tuple[int, int]:
    """Return SQLite's steps, of which a row takes several, and the points removed."""
    steps: list[None] = []
    with closing(tables.connect(folder / FILE_NAME)) as db:
        db.set_progress_handler(lambda: steps.append(None), _STEPS)
        removed = removal(db)
    return len(steps) * _STEPS, sum(entry.points for entry in removed)


def test_hourly_expiry_reads_only_expired_points(
    tmp_path: Path, clock: FakeClock
) -> None:
    """It does not scan the journal for each rank while other threads wait."""
    journal = open_journal(tmp_path)
    start_ns = clock.wall_ns()
    put(journal, clock, 3000)
    journal.close()
    ages = eviction.Expiry(start_ns, start_ns, start_ns)
    steps, removed = _cost(tmp_path, lambda db: eviction.remove_expired(db, ages))
    assert steps < 1000
    assert removed == 0


@pytest.mark.slow
def test_expiry_does_not_read_the_backlog_for_every_point(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Removing expired points costs the same with a backlog of 300 or 3,000."""

    def cost(backlog: int) -> int:
        folder = tmp_path / str(backlog)
        journal = open_journal(folder)
        put(journal, clock, 500)
        deliver(journal)
        end_ns = clock.wall_ns()
        clock.advance(1)
        put(journal, clock, backlog)
        journal.close()
        ages = eviction.Expiry(end_ns, end_ns, 0)
        steps, removed = _cost(folder, lambda db: eviction.remove_expired(db, ages))
        assert removed == 499
        return steps

    assert cost(3000) < 1.5 * cost(300)


@pytest.mark.slow
def test_freeing_space_does_not_read_the_backlog_for_every_point(
    tmp_path: Path, clock: FakeClock
) -> None:
    """In an outage ten times the points take ten times the steps, not more."""

    def cost(backlog: int) -> int:
        folder = tmp_path / str(backlog)
        journal = open_journal(folder)
        put(journal, clock, backlog)
        journal.close()
        steps, removed = _cost(
            folder, lambda db: eviction.remove_for_space(db, 60_000, 0)
        )
        assert removed >= 499
        return steps

    assert cost(5000) < 12 * cost(500)


def test_verdicts_and_events_rank_highest() -> None:
    """Readings go before verdicts, and verdicts before events, incidents and seals."""
    order = ("host", "signal", "web", "verdict", "event")
    ranking = eviction.Ranking(EVICTION_RANKS)
    ranks = [ranking.rank(Point(name, {}, {}, 0)) for name in order]
    assert ranks == sorted(set(ranks))
    for name in ("incident", "seal"):
        assert ranking.rank(Point(name, {}, {}, 0)) == ranks[-1]


def test_of_delivered_points_the_oldest_go_first(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The newest part of the local evidence is left, without a gap."""
    journal = open_journal(tmp_path, SMALL)
    for _ in range(60):
        put(journal, clock, 100)
        deliver(journal)
    left = seqs(journal)
    assert left[0] > 1
    assert left == list(range(left[0], 6001))
