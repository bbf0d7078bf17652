"""The law of eviction: nothing goes while there is something less valuable."""

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

# What an empty journal takes is 30 kB of it.
TIGHT = JournalLimits(size_bytes=70_000, disk_reserve_bytes=0)
KINDS = ("host", "signal", "first", "second", "verdict", "event")

Put = tuple[str, list[str]]
Deliver = tuple[str, int]
_PUTS = st.tuples(
    st.just("put"), st.lists(st.sampled_from(KINDS), min_size=1, max_size=40)
)
_DELIVERIES = st.tuples(st.sampled_from(("deliver", "refuse")), st.integers(1, 60))
STEPS = st.lists(st.one_of(_PUTS, _PUTS, _DELIVERIES), min_size=8, max_size=30)


@dataclass(frozen=True)
class Held:
    """A point that could be removed: its rank, and whether it is owed to somebody."""

    seq: int
    rank: int
    owed: bool


def _held(folder: Path) -> dict[int, Held]:
    """All points with a line but the newest, which always stays."""
    rows = look(
        folder,
        "SELECT seq, rank, EXISTS (SELECT 1 FROM delivery d WHERE d.seq = point.seq)"
        " OR EXISTS (SELECT 1 FROM quarantine q WHERE q.seq = point.seq) FROM point"
        " WHERE line IS NOT NULL AND seq < (SELECT MAX(seq) FROM point)",
    )
    return {seq: Held(seq, rank, bool(owed)) for seq, rank, owed in rows}


def _account(folder: Path) -> Counter[tuple[str, bool]]:
    """Points ever removed, by measurement, and whether they were undelivered."""
    rows = look(folder, "SELECT measurement, reason, points FROM removal")
    found: Counter[tuple[str, bool]] = Counter()
    for measurement, reason, points in rows:
        found[measurement, reason.startswith("undelivered")] += points
    return found


def _points(clock: FakeClock, kinds: list[str]) -> list[Point]:
    made = []
    for kind in kinds:
        clock.advance(0.01)
        if kind in ("first", "second"):
            made.append(point(clock.boot_ns(), target=kind, layer="anchor"))
        else:
            made.append(point(clock.boot_ns(), kind))
    return made


def _deliver(journal: Journal, how: str, count: int) -> None:
    for lane in Lane:
        batch = journal.claim("collector", count, lane)
        if batch and how == "deliver":
            journal.settle(batch)
        elif batch:
            journal.quarantine(batch, "refused")
    journal.flush()


def _holds(before: dict[int, Held], after: dict[int, Held]) -> None:
    """What went is less valuable than all that was there before and stayed."""
    gone = [point for seq, point in before.items() if seq not in after]
    stayed = [point for seq, point in before.items() if seq in after]
    undelivered = [point.rank for point in gone if point.owed]
    if not undelivered:
        return
    assert [point for point in stayed if not point.owed] == []
    assert min((p.rank for p in stayed), default=9) >= max(undelivered)
    dearest = max(undelivered)
    oldest_left = min((p.seq for p in stayed if p.rank == dearest), default=10**9)
    assert all(p.seq < oldest_left for p in gone if p.rank == dearest and p.owed)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_nothing_goes_while_something_less_valuable_is_there(
    steps: list[Put | Deliver],
) -> None:
    """Under lasting pressure: delivered, host, signal, duplicates, and on; all counted.

    Delivered points go first, oldest first; then undelivered ones (what a collector
    refused is one), by rank and within it by age. Every one that went is in the
    account, by its kind and as what it was.
    """
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        folder, clock = Path(name), FakeClock()
        journal = open_journal(folder, TIGHT)
        put: Counter[str] = Counter()
        with mock.patch.object(eviction, "_SLICE_POINTS", 15):
            for what, how in steps:
                before = _held(folder)
                if isinstance(how, int):
                    _deliver(journal, what, how)
                    continue
                points = _points(clock, how * 2)
                journal.put(points, clock.state(), clock.boot_id)
                put.update(p.measurement for p in points)
                after = _held(folder)
                _holds(before, after)
        _is_accounted(folder, journal, put)
        journal.close()


def _is_accounted(folder: Path, journal: Journal, put: Counter[str]) -> None:
    account = _account(folder)
    held = Counter(line.partition(b",")[0].decode() for _, line in journal.lines())
    for measurement, count in put.items():
        gone = account[measurement, True] + account[measurement, False]
        assert held[measurement] + gone == count
    undelivered = sum(n for (_, was_owed), n in account.items() if was_owed)
    assert journal.counts().evicted == undelivered
    told = [e for e in journal.take_events() if e.kind == "eviction"]
    assert sum(e.amount or 0 for e in told) == undelivered


def _memory() -> str | None:
    """Hundreds of commits: in memory where there is such a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
