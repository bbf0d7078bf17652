"""The journal stores, numbers, stamps, claims and settles points."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal import JournalLimits, Lane
from qos_agent.model import Phase, Point
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode
from tests.journal.support import (
    LIMITS,
    PLACE,
    bodies,
    change,
    deliver,
    look,
    open_journal,
    point,
    put,
    seqs,
)
from tests.support.clocks import FakeClock


def test_points_are_numbered_without_gaps(tmp_path: Path, clock: FakeClock) -> None:
    """Numbers begin at 1 and continue after puts and restarts."""
    journal = open_journal(tmp_path)
    put(journal, clock, 3)
    put(journal, clock, 2)
    journal.close()
    journal = open_journal(tmp_path)
    assert put(journal, clock) == range(6, 7)
    assert seqs(journal) == [1, 2, 3, 4, 5, 6]


def test_line_carries_provenance(tmp_path: Path, clock: FakeClock) -> None:
    """Every point has number, device, journal, schema, clock and phase."""
    journal = open_journal(tmp_path, phase_at=lambda _: Phase.VOTING)
    put(journal, clock)
    record = decode(bodies(journal)[0])
    assert record.tags["phase"] == "voting"
    assert record.time_ns == clock.wall_ns()
    provenance = {"seq": 1, "device": "pi-1", "journal": journal.id, "schema": 1}
    assert {name: record.fields[name] for name in provenance} == provenance
    assert (record.fields["clock_synced"], record.fields["clock_error_ms"]) == (1, 1.5)
    assert "clock_held" not in record.fields


def test_leaf_is_the_hash_of_the_line(tmp_path: Path, clock: FakeClock) -> None:
    """Each line is stored with its leaf hash of RFC 6962."""
    journal = open_journal(tmp_path)
    put(journal, clock, 2)
    rows = look(tmp_path, "SELECT line, leaf FROM point")
    assert [leaf_hash(line) for line, _ in rows] == [leaf for _, leaf in rows]


def test_bytes_do_not_change_between_storing_and_sending(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A claim after a restart returns the stored bytes."""
    journal = open_journal(tmp_path)
    put(journal, clock, 5)
    stored = bodies(journal)
    journal.close()
    journal = open_journal(tmp_path)
    assert list(journal.claim("collector", 10, Lane.BACKLOG).lines) == stored


def test_same_time_in_a_series_moves_by_a_microsecond(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Later points of the same time are moved, so that none is overwritten."""
    journal = open_journal(tmp_path)
    now = clock.boot_ns()
    same = [point(now), point(now), point(now, target="other"), point(now)]
    journal.put(same, clock.state(), clock.boot_id)
    times = [decode(line).time_ns - clock.wall_ns() for line in bodies(journal)]
    assert times == [0, 1000, 0, 2000]


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_no_two_points_share_series_and_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    """Steps of the wall clock never give two points the same series and time."""
    clock = FakeClock()
    journal = open_journal(tmp_path_factory.mktemp("steps"))
    for step in steps:
        clock.now_boot_ns += 1000
        clock.offset_ns += step * 1000
        journal.put([point(clock.boot_ns())], clock.state(), clock.boot_id)
    records = [decode(line) for line in bodies(journal)]
    journal.close()
    assert len({(*sorted(r.tags.items()), r.time_ns) for r in records}) == len(steps)
    assert [r.fields["seq"] for r in records] == list(range(1, len(steps) + 1))


def test_delivered_points_are_not_claimed_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    """After a settle and a commit the queue is empty, also after a restart."""
    journal = open_journal(tmp_path)
    put(journal, clock, 4)
    assert deliver(journal) == [1, 2, 3, 4]
    assert journal.counts().undelivered == {"collector": 0}
    journal.close()
    assert deliver(open_journal(tmp_path)) == []


def test_claimed_points_are_not_claimed_again(tmp_path: Path, clock: FakeClock) -> None:
    """A claim is valid until it is released."""
    journal = open_journal(tmp_path)
    put(journal, clock, 3)
    first = journal.claim("collector", 2, Lane.FRESH)
    second = journal.claim("collector", 2, Lane.FRESH)
    assert (first.seqs, second.seqs) == ((1, 2), (3,))
    journal.release(first)
    assert journal.claim("collector", 9, Lane.FRESH).seqs == (1, 2)


def test_claim_ends_with_the_process(tmp_path: Path, clock: FakeClock) -> None:
    """Points that were claimed and not settled are queued at the next start."""
    journal = open_journal(tmp_path)
    put(journal, clock, 3)
    journal.claim("collector", 3, Lane.FRESH)
    journal.close()
    assert deliver(open_journal(tmp_path)) == [1, 2, 3]


def test_settled_points_reach_the_disk_with_the_next_commit(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A settle writes nothing; the next put writes it."""
    journal = open_journal(tmp_path)
    put(journal, clock, 2)
    journal.settle(journal.claim("collector", 2, Lane.FRESH))
    assert look(tmp_path, "SELECT COUNT(*) FROM delivery") == [(2,)]
    put(journal, clock)
    assert look(tmp_path, "SELECT seq FROM delivery") == [(3,)]


def test_lanes_do_not_overlap(tmp_path: Path, clock: FakeClock) -> None:
    """Points of the last two minutes are fresh; the others are backlog."""
    journal = open_journal(tmp_path)
    put(journal, clock, 3)
    clock.advance(300)
    put(journal, clock, 2)
    assert journal.claim("collector", 9, Lane.FRESH).seqs == (4, 5)
    assert journal.claim("collector", 9, Lane.BACKLOG).seqs == (1, 2, 3)


def test_points_of_an_earlier_run_are_backlog(tmp_path: Path, clock: FakeClock) -> None:
    """They are sent after the fresh ones."""
    journal = open_journal(tmp_path)
    put(journal, clock, 2)
    journal.close()
    journal = open_journal(tmp_path)
    put(journal, clock)
    assert journal.claim("collector", 9, Lane.FRESH).seqs == (3,)


def test_the_fallback_does_not_settle_for_the_collector(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Only an acknowledgement by the collector empties both queues."""
    journal = open_journal(tmp_path, collectors=("collector", "fallback"))
    put(journal, clock, 2)
    journal.settle(journal.claim("fallback", 1, Lane.FRESH))
    assert journal.counts().undelivered == {"collector": 2, "fallback": 1}
    journal.settle(journal.claim("collector", 2, Lane.FRESH))
    assert journal.counts().undelivered == {"collector": 0, "fallback": 0}


def test_quarantine_keeps_the_point_and_the_message(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A rejected point leaves the queue, is reported, and stays stored."""
    journal = open_journal(tmp_path)
    put(journal, clock, 2)
    journal.quarantine(journal.claim("collector", 1, Lane.FRESH), "field type conflict")
    assert deliver(journal) == [2]
    assert journal.counts().quarantined == 1
    assert [(e.kind, e.detail, e.first_seq) for e in journal.take_events()] == [
        ("quarantine", "field type conflict", 1)
    ]
    assert journal.take_events() == ()
    assert seqs(journal) == [1, 2]


def test_altered_bytes_are_not_delivered(tmp_path: Path, clock: FakeClock) -> None:
    """The hash shows a changed bit before the line is sent."""
    journal = open_journal(tmp_path)
    put(journal, clock, 3)
    journal.close()
    altered = "CAST(replace(CAST(line AS TEXT), 'sent=20i', 'sent=21i') AS BLOB)"
    change(tmp_path, [f"UPDATE point SET line = {altered} WHERE seq = 2"])
    journal = open_journal(tmp_path)
    assert deliver(journal) == [1, 3]
    assert [(e.kind, e.first_seq) for e in journal.take_events()] == [("damage", 2)]


@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        (
            Point(
                "latency", {**PLACE, "target": "t"}, {"sent": math.nan, "slots": 3}, 5
            ),
            ("latency", {"failed": 3, "ok": 0, "cause": "internal"}),
        ),
        (
            Point("latency", {**PLACE, "nonsense": "x"}, {"slots": 1}, 5),
            ("latency", {"failed": 1, "cause": "internal"}),
        ),
        (Point("no_such", PLACE, {"sent": 1}, 5), ("event", {"count": 1})),
    ],
    ids=["value", "tag", "measurement"],
)
def test_a_point_that_the_schema_rejects_is_replaced(
    tmp_path: Path,
    clock: FakeClock,
    rejected: Point,
    expected: tuple[str, dict[str, object]],
) -> None:
    """The replacement is a failed reading, and the next point is stored normally."""
    journal = open_journal(tmp_path)
    both = [rejected, point(clock.boot_ns())]
    assert len(journal.put(both, clock.state(), clock.boot_id)) == 2
    record = decode(bodies(journal)[0])
    name, fields = expected
    assert record.measurement == name
    assert {k: record.fields[k] for k in fields} == fields


def test_second_agent_is_rejected(tmp_path: Path) -> None:
    """The error names the process that uses the journal."""
    journal = open_journal(tmp_path)
    with pytest.raises(OperatorError, match=r"in use by the agent with process id \d+"):
        open_journal(tmp_path)
    journal.close()
    open_journal(tmp_path).close()


def test_unsettled_reservation_is_killed_and_counts_in_full(tmp_path: Path) -> None:
    """A task that ran at a kill is reported at the next start, with all its bytes."""
    clock = FakeClock()
    journal = open_journal(tmp_path)
    put(journal, clock)
    done = journal.reserve("main", "throughput", 8000, clock.boot_id, clock.boot_ns())
    journal.settle_reservation(done, 5000)
    journal.reserve("main", "throughput", 9000, clock.boot_id, clock.boot_ns())
    journal.close()
    journal = open_journal(tmp_path)
    assert [(k.probe, k.size_bytes) for k in journal.killed] == [("throughput", 9000)]
    assert [(u.day, u.spent_bytes) for u in journal.usage("main", "2024-01-01")] == [
        ("2024-02-14", 14000)
    ]
    journal.close()
    assert open_journal(tmp_path).killed == ()


def test_bytes_without_reservation_are_counted(tmp_path: Path) -> None:
    """Bytes count at once and are on disk after the next commit."""
    clock = FakeClock()
    journal = open_journal(tmp_path)
    put(journal, clock)
    for _ in range(2):
        journal.spend("main", "uplink", 700, clock.boot_id, clock.boot_ns())
        assert journal.usage("main", "2024-02-14")[0].spent_bytes in (700, 1400)
    put(journal, clock)
    journal.spend("main", "uplink", 50, clock.boot_id, clock.boot_ns())
    today = (clock.boot_id, clock.boot_ns())
    assert journal.spent_today("main", "uplink", *today) == 1450
    journal.close()
    assert look(tmp_path, "SELECT probe, spent_bytes FROM reservation") == [
        ("uplink", 1450)
    ]


def test_named_values_are_stored(tmp_path: Path) -> None:
    """A value is there at the next start; a missing value is None."""
    journal = open_journal(tmp_path)
    journal.set_state("baseline", "[1, 2]")
    journal.close()
    journal = open_journal(tmp_path)
    assert (journal.state("baseline"), journal.state("other")) == ("[1, 2]", None)


def test_threads_share_the_journal(tmp_path: Path) -> None:
    """Puts and deliveries at the same time neither lose nor double points."""
    journal = open_journal(tmp_path)
    clock = FakeClock()
    delivered: list[int] = []
    putting = threading.Event()

    def put_many() -> None:
        for _ in range(50):
            put(journal, clock, 5)
        putting.set()

    def send() -> None:
        while not putting.is_set():
            delivered.extend(deliver(journal))

    threads = [threading.Thread(target=work) for work in (put_many, send, send)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delivered.extend(deliver(journal))
    assert sorted(delivered) == list(range(1, 251))


def test_counts(tmp_path: Path, clock: FakeClock) -> None:
    """Stored, undelivered and pending points are counted separately."""
    journal = open_journal(tmp_path, JournalLimits(disk_reserve_bytes=0))
    put(journal, clock, 3)
    journal.settle(journal.claim("collector", 1, Lane.FRESH))
    clock.trusted = False
    put(journal, clock)
    counts = journal.counts()
    second = decode(bodies(journal)[1]).time_ns
    assert (counts.points, counts.pending, counts.oldest_unsent_ns) == (3, 1, second)
    assert counts.undelivered == {"collector": 2}
    assert counts.file_bytes > 0
    assert LIMITS.size_bytes == JournalLimits().size_bytes
