"""Timestamps with an untrusted clock and after clock steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.journal import Journal, Lane
from qos_agent.model import Phase, Record
from qos_agent.model.line_protocol import decode
from tests.journal.support import bodies, open_journal, point, put
from tests.support.clocks import FakeClock

HOUR_S = 3600.0
YEAR_S = 365.25 * 86400


def _records(folder: Path) -> list[Record]:
    journal = open_journal(folder)
    try:
        return [decode(line) for line in bodies(journal)]
    finally:
        journal.close()


def test_pending_points_keep_their_number_and_get_their_time(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Points from before the clock was set get their true time and phase later."""
    journal = open_journal(
        tmp_path, phase_at=lambda ns: Phase.VOTING if ns > 10**18 else Phase.IDLE
    )
    right_offset_ns = clock.offset_ns
    clock.trusted, clock.synced, clock.offset_ns = False, False, 0
    put(journal, clock, 2)
    measured_boot_ns = clock.boot_ns()
    assert (bodies(journal), journal.counts().pending) == ([], 2)
    assert not journal.claim("collector", 9, Lane.FRESH)
    clock.advance(60)
    clock.trusted, clock.synced, clock.offset_ns = True, True, right_offset_ns
    assert put(journal, clock) == range(3, 4)
    records = [decode(line) for line in bodies(journal)]
    assert [r.fields["seq"] for r in records] == [1, 2, 3]
    assert records[1].time_ns == measured_boot_ns + right_offset_ns
    assert {r.tags["phase"] for r in records} == {"voting"}
    assert all("clock_held" not in r.fields for r in records)


def test_hold_time_ends_with_a_flagged_stamp(tmp_path: Path, clock: FakeClock) -> None:
    """Without a clock in the hold time it is the last wall time plus the uptime."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    last_ns = clock.wall_ns()
    clock.boot_id, clock.now_boot_ns, clock.trusted = "boot-2", 30 * 10**9, False
    put(journal, clock)
    measured_boot_ns = clock.boot_ns()
    clock.advance(599)
    state = (clock.state(), clock.boot_id)
    assert journal.stamp_pending(*state, clock.boot_ns()) == 0
    clock.advance(2)
    assert journal.stamp_pending(*state, clock.boot_ns()) == 1
    record = decode(bodies(journal)[1])
    assert record.time_ns == last_ns + measured_boot_ns
    assert (record.fields["clock_held"], record.fields["clock_synced"]) == (1, 0)


def test_held_points_of_a_boot_stay_in_order(tmp_path: Path, clock: FakeClock) -> None:
    """One base for the whole boot, so that no time is added twice."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    clock.boot_id, clock.now_boot_ns, clock.trusted = "boot-2", 30 * 10**9, False
    moments = []
    for _ in range(3):
        put(journal, clock)
        moments.append(clock.boot_ns())
        clock.advance(700)
        journal.stamp_pending(clock.state(), clock.boot_id, clock.boot_ns())
    times = [decode(line).time_ns for line in bodies(journal)][1:]
    assert [t - times[0] for t in times] == [m - moments[0] for m in moments]


def test_pending_of_an_earlier_boot_is_stamped_and_flagged(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A boot without a trusted clock gets times after those of the boot before it."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    before_ns = clock.wall_ns()
    clock.boot_id, clock.now_boot_ns, clock.trusted = "boot-2", 10**10, False
    put(journal, clock)
    clock.boot_id, clock.trusted = "boot-3", True
    clock.advance(86400)
    put(journal, clock)
    lost, fresh = [decode(line) for line in bodies(journal)][1:]
    assert lost.fields["clock_held"] == 1
    assert before_ns < lost.time_ns < fresh.time_ns


def _put_ten_years_back(journal: Journal, clock: FakeClock) -> int:
    """Put a point with the clock ten years back, wait, and return its boot time."""
    clock.step(-10 * YEAR_S)
    clock.trusted = False
    put(journal, clock)
    measured_boot_ns = clock.boot_ns()
    clock.advance(601)
    journal.stamp_pending(clock.state(), clock.boot_id, clock.boot_ns())
    return measured_boot_ns


def test_trusted_offset_of_the_same_boot_is_used_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    """After a step back of ten years the boot's trusted offset gives the time."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    true_offset_ns = clock.offset_ns
    measured_boot_ns = _put_ten_years_back(journal, clock)
    record = decode(bodies(journal)[1])
    assert record.time_ns == measured_boot_ns + true_offset_ns
    assert record.fields["clock_held"] == 1


def test_newest_trusted_offset_is_the_one_used(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A clock corrected by an hour and then lost: the corrected offset counts."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    clock.step(HOUR_S)
    put(journal, clock)
    right_offset_ns = clock.offset_ns
    measured_boot_ns = _put_ten_years_back(journal, clock)
    assert decode(bodies(journal)[-1]).time_ns == measured_boot_ns + right_offset_ns


def test_each_point_of_a_commit_has_its_own_time(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A point measured half a minute before the commit has that time."""
    journal = open_journal(tmp_path)
    now_ns = clock.boot_ns()
    moments = [now_ns - 30 * 10**9, now_ns - 7, now_ns]
    journal.put([point(moment) for moment in moments], clock.state(), clock.boot_id)
    times = [decode(line).time_ns for line in bodies(journal)]
    assert times == [moment + clock.offset_ns for moment in moments]


@pytest.mark.parametrize(
    "step_s", [HOUR_S, -HOUR_S, 10 * YEAR_S, -10 * YEAR_S, 0.4, -0.4, 1e-6, -1e-6]
)
def test_step_while_running_neither_reorders_doubles_nor_loses(
    tmp_path: Path, clock: FakeClock, step_s: float
) -> None:
    """After any step every point is there once, in the order of its number."""
    journal = open_journal(tmp_path)
    put(journal, clock, 10)
    clock.step(step_s)
    put(journal, clock, 10)
    clock.step(-step_s)
    put(journal, clock, 10)
    journal.close()
    records = _records(tmp_path)
    assert [r.fields["seq"] for r in records] == list(range(1, 31))
    assert len({r.time_ns for r in records}) == 30


def test_midnight_divides_the_days_of_the_allowance(tmp_path: Path) -> None:
    """Bytes used after midnight in the station's time zone count for the next day."""
    clock = FakeClock()
    journal = open_journal(tmp_path)
    clock.advance(17 * HOUR_S - 1)  # 07:00 in Jakarta, and on to 23:59:59
    put(journal, clock)
    for size in (100, 200):
        journal.spend("main", "uplink", size, clock.boot_id, clock.boot_ns())
        clock.advance(2)
    days = [(u.day, u.spent_bytes) for u in journal.usage("main", "2024-02-01")]
    assert days == [("2024-02-14", 100), ("2024-02-15", 200)]


def test_suspend_counts_as_time(tmp_path: Path, clock: FakeClock) -> None:
    """Boot time continues during suspend, so later points have later times."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    clock.advance(6 * HOUR_S)
    journal.put([point(clock.boot_ns())], clock.state(), clock.boot_id)
    first, second = [decode(line).time_ns for line in bodies(journal)]
    assert second - first == 6 * 3600 * 10**9


def test_a_record_of_a_far_future_is_not_the_newest(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A clock that was once wrong does not make later ones seem behind."""
    journal = open_journal(tmp_path)
    put(journal, clock)
    right_ns = clock.wall_ns()
    clock.step(76 * YEAR_S)
    put(journal, clock)
    assert journal.last_time_ns() == right_ns
    clock.step(-76 * YEAR_S)
    clock.boot_id, clock.now_boot_ns, clock.trusted = "boot-2", 30 * 10**9, False
    put(journal, clock)
    clock.advance(601)
    journal.stamp_pending(clock.state(), clock.boot_id, clock.boot_ns())
    held = decode(bodies(journal)[-1])
    assert held.time_ns - right_ns < 3600 * 10**9
