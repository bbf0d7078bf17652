"""The journal's counters equal a count of its tables."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.journal import Journal, JournalCounts, JournalLimits, Lane, delivery
from qos_agent.journal.reader import requeue
from qos_agent.model.errors import StorageError
from tests.journal.support import look, open_journal, point, put
from tests.support.clocks import FakeClock

TIGHT = JournalLimits(size_bytes=120_000, disk_reserve_bytes=0)
COLLECTORS = ("collector", "fallback")

Step = tuple[str, int, str]
PUTS, DELIVERIES = ["put", "put", "wait"], ["settle", "settle", "release", "reject"]
ACTIONS = [*PUTS, *DELIVERIES, "requeue", "flush", "broken"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS), st.integers(1, 60), st.sampled_from(COLLECTORS)
    ),
    min_size=5,
    max_size=25,
)


def _put(journal: Journal, clock: FakeClock, count: int, *, trusted: bool) -> None:
    clock.trusted = trusted
    points = []
    for number in range(count):
        clock.advance(0.001)
        points.append(point(clock.boot_ns(), ("latency", "host")[number % 2]))
    journal.put(points, clock.state(), clock.boot_id)


def _deliver(journal: Journal, action: str, count: int, collector: str) -> None:
    for lane in Lane:
        if batch := journal.claim(collector, count, lane):
            match action:
                case "settle":
                    journal.settle(batch)
                case "release":
                    journal.release(batch)
                case _:
                    journal.quarantine(batch, "rejected")


def _take(journal: Journal, folder: Path, clock: FakeClock, step: Step) -> None:
    action, count, collector = step
    match action:
        case "put" | "wait":
            _put(journal, clock, count, trusted=action == "put")
        case "requeue":
            requeue(folder, 1, count)
        case "flush":
            journal.flush()
        case "broken":
            failing = mock.patch.object(delivery, "queue", side_effect=_fails)
            with failing, suppress(StorageError):
                _put(journal, clock, count, trusted=True)
        case _:
            _deliver(journal, action, count, collector)


def _fails(*_: object) -> None:
    raise StorageError("cannot store points in", "journal", "the disk is full")


def _counted(journal: Journal, folder: Path) -> JournalCounts:
    """Return the same counts from the file's tables, after a flush."""
    journal.flush()

    def number(sql: str) -> int:
        return int(look(folder, sql)[0][0])

    queues = look(
        folder,
        "SELECT name, COUNT(*) FROM delivery JOIN collector ON id = collector"
        " GROUP BY name",
    )
    oldest = look(
        folder,
        "SELECT time_ns FROM delivery JOIN point USING (seq)"
        " WHERE collector = 1 ORDER BY seq LIMIT 1",
    )
    evicted = (
        "SELECT COALESCE(SUM(points), 0) FROM removal WHERE reason LIKE 'undelivered%'"
    )
    return JournalCounts(
        points=number("SELECT COUNT(*) FROM point"),
        undelivered=dict.fromkeys(COLLECTORS, 0) | dict(queues),
        oldest_unsent_ns=oldest[0][0] if oldest else None,
        pending=number("SELECT COUNT(*) FROM pending"),
        quarantined=number("SELECT COUNT(*) FROM quarantine"),
        evicted=number(evicted),
        file_bytes=number("PRAGMA page_count") * number("PRAGMA page_size"),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_counts_are_those_of_the_tables(steps: list[Step]) -> None:
    """That holds after rollbacks, evictions and changes by another process too."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder, clock = Path(name), FakeClock()
        journal = open_journal(folder, TIGHT, COLLECTORS)
        for step in steps:
            _take(journal, folder, clock, step)
            counts = journal.counts()
        assert counts == _counted(journal, folder)
        assert journal.counts() == counts
        journal.close()


def test_counting_does_not_read_the_tables(tmp_path: Path) -> None:
    """A second count of a large journal takes no longer than that of a small one.

    The measure is SQLite's virtual machine steps; a table scan needs one or more for
    each row.
    """
    clock, journal = FakeClock(), open_journal(tmp_path)
    put(journal, clock, 5000)
    journal.counts()
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    connection = journal._session.file.connection
    connection.set_progress_handler(step, 1)
    journal.counts()
    connection.set_progress_handler(None, 1)
    journal.close()
    assert steps < 1000


def test_a_point_delivered_twice_is_subtracted_once(tmp_path: Path) -> None:
    """An acknowledgement by the collector also empties the fallback's queue."""
    clock, journal = FakeClock(), open_journal(tmp_path, collectors=COLLECTORS)
    put(journal, clock, 10)
    for name in ("fallback", "collector"):
        journal.settle(journal.claim(name, 10, Lane.FRESH))
        if name == "fallback":
            journal.flush()
    assert journal.counts().undelivered == {"collector": 0, "fallback": 0}
    journal.close()
