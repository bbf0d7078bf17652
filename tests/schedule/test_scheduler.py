"""The schedule runs on boot time, for any behaviour of clocks and tasks."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qos_agent.model import ClockState, Layer, Link, Target
from qos_agent.schedule import scheduler
from qos_agent.schedule.scheduler import Job, Missed, Schedule
from qos_agent.schedule.slots import JobTable
from qos_agent.system import supervision
from tests.support.requirement import require
from tests.support.stepped_clock import MAX_S, SLOT_S, SLOTS, YEAR_S

MAIN = Link("main", "telkomsel")
HOST = Job("host", None, None, 0.2)
LATENCY = Job("latency", MAIN, Target("gateway", "@gateway", Layer.GATEWAY), 0.2)
LIBRARY = "faketime/libfaketimeMT.so.1"


@dataclass
class ShiftedClock:
    """The real wall clock, and a boot clock that can jump as in a suspend."""

    shift_ns: int = 0
    boot_id: str = "boot"

    def not_behind(self, newest_record_ns: int | None) -> None:
        """Do nothing: this clock is always trusted."""

    def compared(self, collector_offset_ms: float | None) -> None:
        """Do nothing: this clock is always trusted."""

    def boot_ns(self) -> int:
        """Return the boot time, including the suspends of the test."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.shift_ns

    def wall_ns(self) -> int:
        """Return the wall time that APScheduler uses too."""
        return time.time_ns()

    def state(self) -> ClockState:
        """Return the relation of the two clocks."""
        return ClockState(self.wall_ns() - self.boot_ns(), True, True)


@dataclass
class Calls:
    """The calls of the schedule, in order."""

    ran: list[tuple[Job, int]] = field(default_factory=list)
    missed: list[tuple[Job, Missed, str]] = field(default_factory=list)
    body: Callable[[Job], object] = lambda _job: None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def due(self, job: Job, due_boot_ns: int) -> None:
        """Note the start of a task and run its body."""
        with self.changed:
            self.ran.append((job, due_boot_ns))
            self.changed.notify_all()
        self.body(job)

    def skip(self, job: Job, missed: Missed, reason: str) -> None:
        """Note missed slots."""
        with self.changed:
            self.missed.append((job, missed, reason))
            self.changed.notify_all()

    def wait(self, until: Callable[[], bool], wait_s: float = 10.0) -> bool:
        """Wait until the calls so far satisfy a condition."""
        with self.changed:
            return self.changed.wait_for(until, wait_s)

    def dues(self, job: Job) -> list[int]:
        """Return the due times of the tasks of a job."""
        return [due_ns for ran, due_ns in self.ran if ran.key == job.key]

    def reasons(self, job: Job) -> list[str]:
        """Return the reasons of a job's missed slots."""
        return [
            reason for missed_job, _, reason in self.missed if missed_job.key == job.key
        ]

    def used_slots(self, job: Job) -> int:
        """Return the number of slots that ran or were missed."""
        lost = (
            m.slots for missed_job, m, _ in self.missed if missed_job.key == job.key
        )
        return len(self.dues(job)) + sum(lost)

    def intervals(self, job: Job) -> list[int]:
        """Return the numbers of the used intervals; the first slot is in 0."""
        runs = [(due_ns, 1) for due_ns in self.dues(job)]
        runs += [
            (missed.first_due_boot_ns, missed.slots)
            for missed_job, missed, _ in self.missed
            if missed_job.key == job.key
        ]
        return intervals(runs, job.interval_s)


def intervals(runs: list[tuple[int, int]], interval_s: float) -> list[int]:
    """Return the intervals of series of slots (first due, count), in order."""
    origin_ns = min(first_ns for first_ns, _ in runs)
    return sorted(
        (first_ns - origin_ns) // int(interval_s * 1e9) + n
        for first_ns, slots in runs
        for n in range(slots)
    )


@dataclass
class ScheduleRunner:
    """A schedule under test, its clock and its calls."""

    clock: ShiftedClock = field(default_factory=ShiftedClock)
    calls: Calls = field(default_factory=Calls)
    schedules: list[Schedule] = field(default_factory=list)

    def begin(
        self, *jobs: Job, workers: int = 4, tick: Callable[[], None] | None = None
    ) -> Schedule:
        """Start a schedule of these jobs."""
        calls = self.calls
        schedule = Schedule(self.clock, "s", calls.due, calls.skip, workers, tick=tick)
        self.schedules.append(schedule)
        schedule.set_jobs(jobs)
        schedule.start()
        return schedule


@pytest.fixture
def runner() -> Iterator[ScheduleRunner]:
    """Yield a runner, and stop its schedules when the test ends."""
    runner = ScheduleRunner()
    yield runner
    for schedule in runner.schedules:
        schedule.stop()
        schedule.wait_for_tasks(5)


def test_the_first_round_comes_at_once(runner: ScheduleRunner) -> None:
    """Host runs within a second of the start, a train within three."""
    started_ns = runner.clock.boot_ns()
    runner.begin(Job("host", None, None, 300.0), Job("latency", MAIN, None, 300.0))
    assert runner.calls.wait(lambda: len(runner.calls.ran) == 2)
    (first, first_ns), (second, second_ns) = runner.calls.ran
    assert first.probe == "host"
    assert first_ns - started_ns < 1e9
    assert second.probe == "latency"
    assert second_ns - started_ns < 3e9


@pytest.mark.slow
def test_each_interval_leaves_one_task(runner: ScheduleRunner) -> None:
    """Twenty intervals have twenty slots, one in each."""
    runner.begin(HOST)
    assert runner.calls.wait(lambda: runner.calls.used_slots(HOST) >= 20)
    used = runner.calls.intervals(HOST)
    assert used == list(range(len(used)))


def test_a_job_never_runs_twice_at_once(runner: ScheduleRunner) -> None:
    """A slot waits for the previous task, and is an overrun if that takes too long."""
    release = threading.Event()
    runner.calls.body = lambda _job: release.wait(10)
    schedule = runner.begin(HOST)
    assert runner.calls.wait(lambda: len(runner.calls.reasons(HOST)) >= 3)
    assert len(runner.calls.ran) == 1
    assert set(runner.calls.reasons(HOST)) == {"overrun"}
    assert not schedule.wait_for_tasks(0)
    release.set()
    assert runner.calls.wait(lambda: len(runner.calls.ran) >= 3)


@pytest.mark.slow
def test_a_slot_that_waits_for_a_moment_is_late_and_not_lost(
    runner: ScheduleRunner,
) -> None:
    """If the previous task ends within the tolerance, the waiting slot runs."""
    job = Job("host", None, None, 1.0)
    never = threading.Event()

    def body(_job: Job) -> None:
        """Run until the next slot is due."""
        if len(runner.calls.ran) == 1:
            while schedule.upcoming()[0][1] - runner.calls.ran[0][1] < 2e9:
                never.wait(0.01)

    runner.calls.body = body
    schedule = runner.begin(job)
    assert runner.calls.wait(lambda: runner.calls.used_slots(job) >= 3)
    assert runner.calls.missed == []


def test_a_full_pool_leads_to_missed_slots_and_no_burst(runner: ScheduleRunner) -> None:
    """Slots without a free worker in time are missed and never run later."""
    release = threading.Event()
    runner.calls.body = lambda job: job.probe == "throughput" and release.wait(10)
    runner.begin(Job("throughput", MAIN, None, 0.1), workers=1)
    assert runner.calls.wait(lambda: len(runner.calls.ran) == 1)
    runner.schedules[0].set_jobs([Job("throughput", MAIN, None, 300.0), HOST])
    assert runner.calls.wait(lambda: len(runner.calls.reasons(HOST)) >= 2)
    release.set()
    assert runner.calls.wait(lambda: len(runner.calls.dues(HOST)) >= 1)
    now_ns = runner.clock.boot_ns()
    assert now_ns - runner.calls.dues(HOST)[0] < 5e9
    assert "missed" in runner.calls.reasons(HOST) or "overrun" in runner.calls.reasons(
        HOST
    )


def test_a_suspend_of_an_hour_gives_one_call_and_no_burst(
    runner: ScheduleRunner,
) -> None:
    """The slots of a suspend give one missed call with their number and span."""
    job = Job("latency", MAIN, None, 60.0)
    runner.begin(job)
    assert runner.calls.wait(lambda: len(runner.calls.ran) == 1)
    runner.clock.shift_ns += 3600 * 10**9
    assert runner.calls.wait(lambda: runner.calls.used_slots(job) >= 60)
    _, missed, reason = runner.calls.missed[0]
    assert reason == "missed"
    assert len(runner.calls.missed) == 1
    assert missed.slots in {59, 60}
    assert 3500 < missed.span_s < 3660
    assert len(runner.calls.ran) <= 2


def test_stop_returns_at_once_and_reports_slots_that_had_not_started(
    runner: ScheduleRunner,
) -> None:
    """The running task goes on, the queued one is `stopping`, no other starts."""
    release = threading.Event()
    runner.calls.body = lambda _job: release.wait(10)
    schedule = runner.begin(HOST, LATENCY, workers=1)
    assert runner.calls.wait(lambda: len(runner.calls.ran) == 1)
    running = runner.calls.ran[0][0]
    queued = LATENCY if running == HOST else HOST
    assert runner.calls.wait(lambda: "overrun" in runner.calls.reasons(queued))
    before = time.monotonic()
    schedule.stop()
    assert time.monotonic() - before < 1
    assert "stopping" in runner.calls.reasons(queued)
    assert not schedule.wait_for_tasks(0)
    release.set()
    assert schedule.wait_for_tasks(5)
    count = len(runner.calls.ran)
    schedule.stop()
    assert len(runner.calls.ran) == count == 1


@pytest.mark.slow
def test_set_jobs_keeps_unchanged_jobs_and_ends_the_others(
    runner: ScheduleRunner,
) -> None:
    """At a phase change a job of both phases loses no slot, and the other ends."""
    schedule = runner.begin(HOST, LATENCY)
    assert runner.calls.wait(lambda: len(runner.calls.dues(LATENCY)) >= 2)
    schedule.set_jobs([HOST])
    latency_count = len(runner.calls.dues(LATENCY))
    host_count = runner.calls.used_slots(HOST)
    assert runner.calls.wait(lambda: runner.calls.used_slots(HOST) >= host_count + 8)
    assert len(runner.calls.dues(LATENCY)) <= latency_count + 1
    used = runner.calls.intervals(HOST)
    assert used == list(range(len(used)))
    assert [job for job, _ in schedule.upcoming()] == [HOST]


def test_the_tick_runs_before_slots_are_counted(runner: ScheduleRunner) -> None:
    """After a suspend over a phase change, each phase has its own intervals."""
    pre, voting = Job("host", None, None, 300.0), Job("host", None, None, 60.0)
    began_ns = runner.clock.boot_ns()
    hour_ns = 3600 * 10**9

    def tick() -> None:
        if runner.clock.shift_ns and schedule.upcoming()[0][0] == pre:
            schedule.set_jobs([voting], began_ns + hour_ns)

    schedule = runner.begin(pre, tick=tick)
    assert runner.calls.wait(lambda: len(runner.calls.ran) == 1)
    runner.clock.shift_ns = 3 * hour_ns
    assert runner.calls.wait(lambda: runner.calls.used_slots(pre) >= 12 + 119)
    assert [m.slots for job, m, _ in runner.calls.missed if job == pre] == [11]
    assert runner.calls.used_slots(pre) in range(12 + 119, 12 + 122)


def test_a_bug_is_logged_and_stops_nothing(
    runner: ScheduleRunner, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of a task or tick is logged, and the next slots run."""

    def body(_job: Job) -> None:
        raise RuntimeError("a bug in a task")

    def tick() -> None:
        raise RuntimeError("a bug in the tick")

    runner.calls.body = body
    runner.begin(HOST, tick=tick)
    assert runner.calls.wait(lambda: len(runner.calls.ran) >= 3)
    runner.schedules[0].stop()
    assert runner.schedules[0].wait_for_tasks(5)
    assert "host: unexpected exception (bug)" in caplog.text
    assert "a bug in the tick" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("place", ["alarm", "table"])
def test_the_alarm_runs_again_after_an_exception(
    runner: ScheduleRunner, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An exception in the alarm or in the table stops the slots for a moment only."""
    monkeypatch.setattr(supervision, "_FIRST_WAIT_S", 0.0)
    owner, name = {
        "alarm": (scheduler._Trigger, "get_next_fire_time"),
        "table": (JobTable, "advance"),
    }[place]
    computed = getattr(owner, name)
    failures: list[str] = []

    def fail_twice(*args: object) -> object:
        if len(failures) < 2:
            failures.append(place)
            raise OverflowError("date value out of range")
        return computed(*args)

    monkeypatch.setattr(owner, name, fail_twice)
    runner.begin(HOST)
    assert runner.calls.wait(lambda: len(runner.calls.ran) >= 3)
    assert len(failures) == 2


def test_a_thread_that_cannot_start_loses_no_later_slot(
    runner: ScheduleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory for a worker thread the slot fails, and later ones run."""
    start = threading.Thread.start
    failures: list[str] = []

    def fail_once(thread: threading.Thread) -> None:
        if thread.name.startswith("task") and not failures:
            failures.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_once)
    runner.begin(HOST, LATENCY)
    dues = runner.calls.dues
    assert runner.calls.wait(lambda: min(len(dues(HOST)), len(dues(LATENCY))) >= 2)
    assert failures


def test_apscheduler_logs_nothing(
    runner: ScheduleRunner, caplog: pytest.LogCaptureFixture
) -> None:
    """At level INFO there is no line of APScheduler for every job and second."""
    caplog.set_level(logging.INFO)
    runner.begin(HOST)
    assert runner.calls.wait(lambda: len(runner.calls.ran) >= 3)
    assert [r for r in caplog.records if r.name.startswith("apscheduler")] == []


@pytest.mark.slow
def test_a_year_forward_and_back_changes_nothing(tmp_path: Path) -> None:
    """After steps of the wall clock there is no backlog and no lost slot."""
    library = next(iter(Path("/usr/lib").glob(f"*/{LIBRARY}")), None)
    require(library is not None, "libfaketime", "apt-get install faketime")
    shift = tmp_path / "shift"
    shift.write_text("+0s")
    stepped = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-m", "tests.support.stepped_clock"]
    process = subprocess.run(
        command,
        env={**os.environ, **stepped},
        capture_output=True,
        timeout=MAX_S + 30,
        check=False,
    )
    assert process.returncode == 0, process.stderr.decode()
    report = json.loads(process.stdout)
    runs = [(due_ns, 1) for due_ns, _, _ in report["ran"]]
    used = intervals(runs + [tuple(run) for run in report["missed"]], SLOT_S)
    walls_s = [wall_s for _, _, wall_s in report["ran"]]
    ran, ticks = len(report["ran"]), len(report["ticks"])
    assert report["ended"], f"stands still: {ran} slots, {ticks} ticks of a thread"
    assert walls_s[SLOTS + 1] - walls_s[SLOTS - 1] > YEAR_S - 60
    assert walls_s[2 * SLOTS - 1] - walls_s[2 * SLOTS + 1] > 2 * YEAR_S - 60
    assert used == list(range(len(used)))
    # A busy machine misses slots, and then another thread is late too. A stall would be
    # a long series of slots during which that thread was on time.
    idle = [
        sum(
            0 <= tick_ns - first_ns < slots * SLOT_S * 1e9
            for tick_ns in report["ticks"]
        )
        for first_ns, slots in report["missed"]
    ]
    assert max(idle, default=0) <= 25
