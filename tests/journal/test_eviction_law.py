"""No point is removed while a point of lower rank remains."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.journal import Journal, JournalLimits, Lane, eviction
from qos_agent.model import Point
from tests.journal.support import look, open_journal, point
from tests.support.clocks import FakeClock

# An empty journal uses 30 kB of it.
TIGHT = JournalLimits(size_bytes=70_000, disk_reserve_bytes=0)
KINDS = ("host", "signal", "first", "second", "verdict", "event")

Put = tuple[str, list[str]]
Deliver = tuple[str, int]
_PUTS = st.tuples(
    st.just("put"), st.lists(st.sampled_from(KINDS), min_size=1, max_size=40)
)
_DELIVERIES = st.tuples(st.sampled_from(("deliver", "reject")), st.integers(1, 60))
STEPS = st.lists(st.one_of(_PUTS, _PUTS, _DELIVERIES), min_size=8, max_size=30)


@dataclass(frozen=True)
class Held:
    """A point that could be removed."""

    seq: int
    rank: int
    undelivered: bool


def _held(folder: Path) -> dict[int, Held]:
    """Return all points with a line except the newest, which always stays."""
    rows = look(
        folder,
        "SELECT seq, rank, EXISTS (SELECT 1 FROM delivery d WHERE d.seq = point.seq)"
        " OR EXISTS (SELECT 1 FROM quarantine q WHERE q.seq = point.seq) FROM point"
        " WHERE line IS NOT NULL AND seq < (SELECT MAX(seq) FROM point)",
    )
    return {seq: Held(seq, rank, bool(queued)) for seq, rank, queued in rows}


def _removed(folder: Path) -> Counter[tuple[str, bool]]:
    """Count removed points by measurement and by True for undelivered."""
    rows = look(folder, "SELECT measurement, reason, points FROM removal")
    removed: Counter[tuple[str, bool]] = Counter()
    for measurement, reason, points in rows:
        removed[measurement, reason.startswith("undelivered")] += points
    return removed


def _points(clock: FakeClock, kinds: list[str]) -> list[Point]:
    points = []
    for kind in kinds:
        clock.advance(0.01)
        if kind in ("first", "second"):
            points.append(point(clock.boot_ns(), target=kind, layer="anchor"))
        else:
            points.append(point(clock.boot_ns(), kind))
    return points


def _deliver(journal: Journal, action: str, count: int) -> None:
    for lane in Lane:
        batch = journal.claim("collector", count, lane)
        if batch and action == "deliver":
            journal.settle(batch)
        elif batch:
            journal.quarantine(batch, "rejected")
    journal.flush()


def _check_order(before: dict[int, Held], after: dict[int, Held]) -> None:
    """Check that removed points rank lower than those that stayed."""
    gone = [point for seq, point in before.items() if seq not in after]
    stayed = [point for seq, point in before.items() if seq in after]
    undelivered = [point.rank for point in gone if point.undelivered]
    if not undelivered:
        return
    assert [point for point in stayed if not point.undelivered] == []
    assert min((p.rank for p in stayed), default=9) >= max(undelivered)
    highest = max(undelivered)
    oldest_left = min((p.seq for p in stayed if p.rank == highest), default=10**9)
    assert all(p.seq < oldest_left for p in gone if p.rank == highest and p.undelivered)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_no_point_goes_before_one_of_lower_rank(
    steps: list[Put | Deliver],
) -> None:
    """The journal is always full, and every removed point is recorded.

    Delivered points go first, oldest first. Then undelivered and quarantined points go
    by rank, and within a rank by age.
    """
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        folder, clock = Path(name), FakeClock()
        journal = open_journal(folder, TIGHT)
        put: Counter[str] = Counter()
        with mock.patch.object(eviction, "_SLICE_POINTS", 15):
            for action, value in steps:
                before = _held(folder)
                if isinstance(value, int):
                    _deliver(journal, action, value)
                    continue
                points = _points(clock, value * 2)
                journal.put(points, clock.state(), clock.boot_id)
                put.update(p.measurement for p in points)
                after = _held(folder)
                _check_order(before, after)
        _check_records(folder, journal, put)
        journal.close()


def _check_records(folder: Path, journal: Journal, put: Counter[str]) -> None:
    removed = _removed(folder)
    held = Counter(line.partition(b",")[0].decode() for _, line in journal.lines())
    for measurement, count in put.items():
        gone = removed[measurement, True] + removed[measurement, False]
        assert held[measurement] + gone == count
    undelivered = sum(n for (_, was_queued), n in removed.items() if was_queued)
    assert journal.counts().evicted == undelivered
    events = [e for e in journal.take_events() if e.kind == "eviction"]
    assert sum(e.amount or 0 for e in events) == undelivered


def _memory() -> str | None:
    """Return a folder in memory for hundreds of commits, if there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
