"""The schedule: due on boot time, whatever the clocks and the tasks do."""

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
from qos_agent.schedule.scheduler import Job, Missed, Schedule
from tests.support.requirement import require
from tests.support.stepped_clock import SLOTS, YEAR_S

MAIN = Link("main", "telkomsel")
HOST = Job("host", None, None, 0.2)
LATENCY = Job("latency", MAIN, Target("gateway", "@gateway", Layer.GATEWAY), 0.2)
LIBRARY = "faketime/libfaketimeMT.so.1"


@dataclass
class ShiftedClock:
    """The real wall clock, and a boot clock that can jump as after a suspend."""

    shift_ns: int = 0
    boot_id: str = "boot"

    def not_behind(self, newest_record_ns: int | None) -> None:
        """Always believed."""

    def compared(self, collector_offset_ms: float | None) -> None:
        """Always believed."""

    def boot_ns(self) -> int:
        """Boot time, with the suspends of the test in it."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self.shift_ns

    def wall_ns(self) -> int:
        """The wall clock that APScheduler sees too."""
        return time.time_ns()

    def state(self) -> ClockState:
        """The relation of the two."""
        return ClockState(self.wall_ns() - self.boot_ns(), True, True)


@dataclass
class Book:
    """What the schedule called, in order, and a way to wait for it."""

    ran: list[tuple[Job, int]] = field(default_factory=list)
    missed: list[tuple[Job, Missed, str]] = field(default_factory=list)
    body: Callable[[Job], object] = lambda _job: None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def due(self, job: Job, due_boot_ns: int) -> None:
        """A task begins."""
        with self.changed:
            self.ran.append((job, due_boot_ns))
            self.changed.notify_all()
        self.body(job)

    def skip(self, job: Job, missed: Missed, reason: str) -> None:
        """Slots are written off."""
        with self.changed:
            self.missed.append((job, missed, reason))
            self.changed.notify_all()

    def wait(self, until: Callable[[], bool], wait_s: float = 10.0) -> bool:
        """Until the calls so far satisfy a condition."""
        with self.changed:
            return self.changed.wait_for(until, wait_s)

    def dues(self, job: Job) -> list[int]:
        """When the tasks of a job were due."""
        return [due_ns for ran, due_ns in self.ran if ran.key == job.key]

    def reasons(self, job: Job) -> list[str]:
        """Why slots of a job were written off."""
        return [reason for each, _, reason in self.missed if each.key == job.key]

    def answered(self, job: Job) -> int:
        """Slots answered for, one way or the other."""
        lost = (what.slots for each, what, _ in self.missed if each.key == job.key)
        return len(self.dues(job)) + sum(lost)

    def intervals(self, job: Job) -> list[int]:
        """The numbers of the intervals answered for; the first slot is in 0."""
        runs = [(due_ns, 1) for due_ns in self.dues(job)]
        runs += [
            (what.first_due_boot_ns, what.slots)
            for each, what, _ in self.missed
            if each.key == job.key
        ]
        return intervals(runs, job.interval_s)


def intervals(runs: list[tuple[int, int]], interval_s: float) -> list[int]:
    """Intervals of runs of slots (first due, how many), from the first slot on."""
    origin_ns = min(first_ns for first_ns, _ in runs)
    return sorted(
        (first_ns - origin_ns) // int(interval_s * 1e9) + n
        for first_ns, slots in runs
        for n in range(slots)
    )


@dataclass
class Stage:
    """A schedule under test, its clock and its book."""

    clock: ShiftedClock = field(default_factory=ShiftedClock)
    book: Book = field(default_factory=Book)
    schedules: list[Schedule] = field(default_factory=list)

    def begin(
        self, *jobs: Job, workers: int = 4, **more: Callable[[], None]
    ) -> Schedule:
        """A running schedule of these jobs."""
        book = self.book
        schedule = Schedule(self.clock, "s", book.due, book.skip, workers, **more)
        self.schedules.append(schedule)
        schedule.set_jobs(jobs)
        schedule.start()
        return schedule


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Schedules are stopped when the test ends, whatever it did."""
    stage = Stage()
    yield stage
    for schedule in stage.schedules:
        schedule.stop()
        schedule.wait_for_tasks(5)


def test_the_first_round_comes_at_once(stage: Stage) -> None:
    """Host within a second of the start, a train within three."""
    started_ns = stage.clock.boot_ns()
    stage.begin(Job("host", None, None, 300.0), Job("latency", MAIN, None, 300.0))
    assert stage.book.wait(lambda: len(stage.book.ran) == 2)
    (first, first_ns), (second, second_ns) = stage.book.ran
    assert first.probe == "host"
    assert first_ns - started_ns < 1e9
    assert second.probe == "latency"
    assert second_ns - started_ns < 3e9


def test_each_interval_leaves_one_task(stage: Stage) -> None:
    """Twenty intervals, twenty slots: one in each, none left out."""
    stage.begin(HOST)
    assert stage.book.wait(lambda: stage.book.answered(HOST) >= 20)
    answered = stage.book.intervals(HOST)
    assert answered == list(range(len(answered)))


def test_a_job_never_runs_twice_at_once(stage: Stage) -> None:
    """A slot that finds its predecessor at work waits, then is written off: overrun."""
    release = threading.Event()
    stage.book.body = lambda _job: release.wait(10)
    schedule = stage.begin(HOST)
    assert stage.book.wait(lambda: len(stage.book.reasons(HOST)) >= 3)
    assert len(stage.book.ran) == 1
    assert set(stage.book.reasons(HOST)) == {"overrun"}
    assert not schedule.wait_for_tasks(0)
    release.set()
    assert stage.book.wait(lambda: len(stage.book.ran) >= 3)


def test_a_slot_held_up_for_a_moment_is_late_and_not_lost(stage: Stage) -> None:
    """The task before ends within the tolerance: the waiting slot runs after it."""
    job = Job("host", None, None, 1.0)
    waiting = threading.Event()

    def body(_job: Job) -> None:
        """Hold up until the next slot has come due."""
        if len(stage.book.ran) == 1:
            while schedule.upcoming()[0][1] - stage.book.ran[0][1] < 2e9:
                waiting.wait(0.01)

    stage.book.body = body
    schedule = stage.begin(job)
    assert stage.book.wait(lambda: stage.book.answered(job) >= 3)
    assert stage.book.missed == []


def test_a_full_pool_is_overload_not_a_burst(stage: Stage) -> None:
    """Slots that no worker could take in time are missed, and never run later."""
    release = threading.Event()
    stage.book.body = lambda job: job.probe == "throughput" and release.wait(10)
    stage.begin(Job("throughput", MAIN, None, 0.1), workers=1)
    assert stage.book.wait(lambda: len(stage.book.ran) == 1)
    stage.schedules[0].set_jobs([Job("throughput", MAIN, None, 300.0), HOST])
    assert stage.book.wait(lambda: len(stage.book.reasons(HOST)) >= 2)
    release.set()
    assert stage.book.wait(lambda: len(stage.book.dues(HOST)) >= 1)
    now_ns = stage.clock.boot_ns()
    assert now_ns - stage.book.dues(HOST)[0] < 5e9
    assert "missed" in stage.book.reasons(HOST) or "overrun" in stage.book.reasons(HOST)


def test_an_hour_asleep_is_one_record_and_no_burst(stage: Stage) -> None:
    """Slots of a suspend become one missed call with their number and span."""
    job = Job("latency", MAIN, None, 60.0)
    stage.begin(job)
    assert stage.book.wait(lambda: len(stage.book.ran) == 1)
    stage.clock.shift_ns += 3600 * 10**9
    assert stage.book.wait(lambda: stage.book.answered(job) >= 60)
    _, what, reason = stage.book.missed[0]
    assert reason == "missed"
    assert len(stage.book.missed) == 1
    assert what.slots in {59, 60}
    assert 3500 < what.span_s < 3660
    assert len(stage.book.ran) <= 2


def test_stopping_returns_at_once_and_answers_for_what_had_not_begun(
    stage: Stage,
) -> None:
    """The running task goes on, the queued one is `stopping`, nothing new begins."""
    release = threading.Event()
    stage.book.body = lambda _job: release.wait(10)
    schedule = stage.begin(HOST, LATENCY, workers=1)
    assert stage.book.wait(lambda: len(stage.book.ran) == 1)
    running = stage.book.ran[0][0]
    queued = LATENCY if running == HOST else HOST
    assert stage.book.wait(lambda: "overrun" in stage.book.reasons(queued))
    before = time.monotonic()
    schedule.stop()
    assert time.monotonic() - before < 1
    assert "stopping" in stage.book.reasons(queued)
    assert not schedule.wait_for_tasks(0)
    release.set()
    assert schedule.wait_for_tasks(5)
    count = len(stage.book.ran)
    schedule.stop()
    assert len(stage.book.ran) == count == 1


def test_laying_a_plan_keeps_what_stays_and_drops_what_goes(stage: Stage) -> None:
    """A phase change: the job in both plans loses no slot, the other ends."""
    schedule = stage.begin(HOST, LATENCY)
    assert stage.book.wait(lambda: len(stage.book.dues(LATENCY)) >= 2)
    schedule.set_jobs([HOST])
    seen = len(stage.book.dues(LATENCY))
    so_far = stage.book.answered(HOST)
    assert stage.book.wait(lambda: stage.book.answered(HOST) >= so_far + 8)
    assert len(stage.book.dues(LATENCY)) <= seen + 1
    answered = stage.book.intervals(HOST)
    assert answered == list(range(len(answered)))
    assert [job for job, _ in schedule.upcoming()] == [HOST]


def test_the_tick_comes_before_the_slots_are_counted(stage: Stage) -> None:
    """After a sleep over a phase change, each phase counts by its own profile."""
    pre, voting = Job("host", None, None, 300.0), Job("host", None, None, 60.0)
    began_ns = stage.clock.boot_ns()
    hour_ns = 3600 * 10**9

    def tick() -> None:
        if stage.clock.shift_ns and schedule.upcoming()[0][0] == pre:
            schedule.set_jobs([voting], began_ns + hour_ns)

    schedule = stage.begin(pre, tick=tick)
    assert stage.book.wait(lambda: len(stage.book.ran) == 1)
    stage.clock.shift_ns = 3 * hour_ns
    assert stage.book.wait(lambda: stage.book.answered(pre) >= 12 + 119)
    assert [what.slots for job, what, _ in stage.book.missed if job == pre] == [11]
    assert stage.book.answered(pre) in range(12 + 119, 12 + 122)


def test_a_fault_of_ours_is_told_of_and_stops_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A task or a tick that raises is in the log; the next slots come all the same."""

    def body(_job: Job) -> None:
        raise RuntimeError("a bug in a task")

    def tick() -> None:
        raise RuntimeError("a bug in the tick")

    stage.book.body = body
    stage.begin(HOST, tick=tick)
    assert stage.book.wait(lambda: len(stage.book.ran) >= 3)
    stage.schedules[0].stop()
    assert stage.schedules[0].wait_for_tasks(5)
    assert "host: unexpected exception (bug)" in caplog.text
    assert "a bug in the tick" in caplog.text


def test_apscheduler_says_nothing_of_its_own(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """No line for every job and second, at any level the agent may be set to."""
    caplog.set_level(logging.INFO)
    stage.begin(HOST)
    assert stage.book.wait(lambda: len(stage.book.ran) >= 3)
    assert [r for r in caplog.records if r.name.startswith("apscheduler")] == []


def test_a_year_forward_and_back_changes_nothing(tmp_path: Path) -> None:
    """Steps of the wall clock while running: no backlog, no stall, no slot lost."""
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
    answer = subprocess.run(
        command,
        env={**os.environ, **stepped},
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr.decode()
    told = json.loads(answer.stdout)
    runs = [(due_ns, 1) for due_ns, _, _ in told["ran"]]
    answered = intervals(runs + [tuple(run) for run in told["missed"]], 0.2)
    walls_s = [wall_s for _, _, wall_s in told["ran"]]
    assert told["ended"]
    assert walls_s[SLOTS + 1] - walls_s[SLOTS - 1] > YEAR_S - 60
    assert walls_s[2 * SLOTS - 1] - walls_s[2 * SLOTS + 1] > 2 * YEAR_S - 60
    assert answered == list(range(len(answered)))
    # A loaded machine misses slots of a fifth of a second; a stall would be a long run.
    assert max((slots for _, slots in told["missed"]), default=0) <= 25
