"""Runs tasks when they are due: APScheduler wakes, the boot clock decides.

APScheduler's clock is the wall clock. It is used as an alarm only: a job's next
wake-up is its due moment translated to wall time, all are translated anew when the
two clocks have moved apart, and no sleep is longer than a second. What is due, what
was missed and what comes next is read off boot time alone (`slots.Plan`), so that a
clock stepped by a year neither builds a backlog nor stalls anything.

Each slot leaves exactly one call, of `due` or within a `missed`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from qos_agent.model import Clock
from qos_agent.schedule.slots import Job, JobTable, Missed, Passed

__all__ = ["Job", "Missed", "Schedule"]

_log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLEEP = timedelta(seconds=1)
# Slewing moves the clocks apart too, at most 500 ppm: below this a wake-up is early
# or late by less than anyone can see.
_STEP_NS = 10_000_000
# A wake-up that came too early, for the wall clock was ahead, is tried again then.
_RETRY = timedelta(milliseconds=10)


class Schedule:
    """The plan in force, its alarm and its threads.

    `due(job, due_boot_ns)` runs in a worker thread, never twice at once for a job.
    `missed(job, missed, reason)` runs in any thread: `missed` after a sleep or
    overload, `overrun` when the task before did not end in time, `stopping` for what
    was due but had not begun. `tick` runs every second and before any slot is counted:
    the place to look at the election's phase and `lay` what it asks for.
    """

    def __init__(
        self,
        clock: Clock,
        seed: str,
        due: Callable[[Job, int], None],
        missed: Callable[[Job, Missed, str], None],
        workers: int = 16,
        tick: Callable[[], None] | None = None,
    ) -> None:
        self._clock = clock
        self._due = due
        self._missed = missed
        self._tick = tick or _nothing
        self._plan = JobTable(seed)
        self._jobs: tuple[Job, ...] = ()
        self._lock = threading.RLock()
        self._busy: dict[str, Future[None]] = {}
        self._waiting: dict[str, tuple[Job, int]] = {}
        self._state = "new"
        self._counted_ns = 0
        self._alarm = _Alarm(clock, self._wake, self._next_ns)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="task")

    def lay(self, jobs: Sequence[Job], since_boot_ns: int | None = None) -> None:
        """Replace the plan, as of `since_boot_ns` (now) on boot time.

        After a suspend that spans a phase change, slots are thus counted by the
        profile that was in force when they were due.
        """
        with self._lock:
            self._jobs = tuple(jobs)
            if self._state != "running":
                return
            now_ns = self._clock.boot_ns()
            asked_ns = now_ns if since_boot_ns is None else since_boot_ns
            since_ns = min(now_ns, max(self._counted_ns, asked_ns))
            passed = self._plan.lay(jobs, since_ns, now_ns)
            self._counted_ns = since_ns
        self._alarm.set([job.key for job in jobs])
        self._handle(passed)

    def start(self, *, loads_at_once: bool = True) -> None:
        """Begin: a first round at once, staggered, and then by the plan.

        Without `loads_at_once` the first round leaves out what fills a link.
        """
        with self._lock:
            self._state = "running"
            self._counted_ns = self._clock.boot_ns()
            self._plan.start(self._jobs, self._counted_ns, loads_at_once=loads_at_once)
        self._alarm.set([job.key for job in self._jobs])
        self._alarm.start()

    def stop(self) -> None:
        """Start no further task; those under way go on. Returns at once."""
        with self._lock:
            if self._state != "running":
                return
            self._state = "stopped"
        self._alarm.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            passed = self._plan.take(self._clock.boot_ns())
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for each in passed:
            self._write_off(each)
            if each.due_boot_ns is not None:
                self._give_up(each.job, each.due_boot_ns, "stopping")
        for job, due_boot_ns in waiting:
            self._give_up(job, due_boot_ns, "stopping")

    def settle(self, wait_s: float) -> bool:
        """Wait for the tasks under way; True when all have ended."""
        with self._lock:
            running = list(self._busy.values())
        return not wait(running, wait_s).not_done

    def upcoming(self) -> list[tuple[Job, int]]:
        """Every job with its next due moment on boot time, soonest first."""
        with self._lock:
            return self._plan.upcoming()

    def _next_ns(self, key: str) -> int | None:
        with self._lock:
            return self._plan.due_ns(key)

    def _wake(self) -> None:
        """The alarm rang. A tick that raises is told of, and stops no measuring."""
        try:
            self._tick()
        finally:
            with self._lock:
                self._counted_ns = self._clock.boot_ns()
                passed = self._plan.take(self._counted_ns)
            self._handle(passed)

    def _handle(self, passed: Iterable[Passed]) -> None:
        for each in passed:
            self._write_off(each)
            if each.due_boot_ns is not None:
                self._submit(each.job, each.due_boot_ns)

    def _write_off(self, passed: Passed) -> None:
        if passed.missed is not None:
            self._missed(passed.job, passed.missed, "missed")

    def _give_up(self, job: Job, due_boot_ns: int, reason: str) -> None:
        span_s = (self._clock.boot_ns() - due_boot_ns) / 1e9
        self._missed(job, Missed(due_boot_ns, 1, span_s), reason)

    def _submit(self, job: Job, due_boot_ns: int) -> None:
        """Hand a slot to a worker, or let it wait for the task before it.

        Random moments of neighbouring intervals may fall close together; a slot that
        the task before holds up for seconds is late, not lost.
        """
        with self._lock:
            stopped = self._state != "running"
            overrun = None if stopped else self._hold(job, due_boot_ns)
            if not stopped and job.key not in self._busy:
                self._begin(job, due_boot_ns, "missed")
        if stopped:
            self._give_up(job, due_boot_ns, "stopping")
        if overrun is not None:
            self._give_up(*overrun, "overrun")

    def _hold(self, job: Job, due_boot_ns: int) -> tuple[Job, int] | None:
        """Where the task before is under way: the slot waits; returns one it ousts."""
        if job.key not in self._busy:
            return None
        ousted = self._waiting.get(job.key)
        self._waiting[job.key] = (job, due_boot_ns)
        return ousted

    def _begin(self, job: Job, due_boot_ns: int, reason: str) -> None:
        future = self._pool.submit(self._run, job, due_boot_ns, reason)
        self._busy[job.key] = future
        future.add_done_callback(partial(self._ended, job, due_boot_ns))

    def _run(self, job: Job, due_boot_ns: int, reason: str) -> None:
        if self._clock.boot_ns() - due_boot_ns > job.late_ns:
            self._give_up(job, due_boot_ns, reason)
        else:
            self._due(job, due_boot_ns)

    def _ended(self, job: Job, due_boot_ns: int, future: Future[None]) -> None:
        with self._lock:
            self._busy.pop(job.key, None)
            held = None
            if self._state == "running":
                held = self._waiting.pop(job.key, None)
            if held is not None:
                self._begin(*held, "overrun")
        if future.cancelled():
            self._give_up(job, due_boot_ns, "stopping")
        elif (error := future.exception()) is not None:
            _log.error("%s: a fault of our own", job.key, exc_info=error)


def _nothing() -> None:
    """No tick was asked for."""


class _Alarm:
    """APScheduler as an alarm clock: rings at each key's moment and every second."""

    def __init__(
        self,
        clock: Clock,
        ring: Callable[[], None],
        next_ns: Callable[[str], int | None],
    ) -> None:
        self._clock = clock
        self._ring = ring
        self._next_ns = next_ns
        self._keys: Sequence[str] = ()
        self._laid: Sequence[str] | None = None
        self._offset_ns = 0
        self._scheduler = _Loop(self._translate)

    def set(self, keys: Sequence[str]) -> None:
        """Ring for these and no others, from the next pass of the loop on."""
        self._keys = list(keys)
        if self._scheduler.running:
            self._scheduler.wakeup()

    def start(self) -> None:
        """Begin to ring."""
        # A line a second would bury the agent's own.
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler.start()

    def stop(self) -> None:
        """Ring no more; returns when the loop's thread has ended."""
        self._scheduler.shutdown(wait=False)

    def _translate(self) -> None:
        """Lay all alarms anew where the keys or the clocks' relation changed."""
        offset_ns = self._clock.wall_ns() - self._clock.boot_ns()
        keys = self._keys
        if keys is self._laid and abs(offset_ns - self._offset_ns) < _STEP_NS:
            return
        self._laid, self._offset_ns = keys, offset_ns
        self._scheduler.remove_all_jobs()
        self._scheduler.add_job(self._ring, _Trigger(lambda now: now + _SLEEP))
        for key in keys:
            self._scheduler.add_job(self._ring, _Trigger(partial(self._moment, key)))

    def _moment(self, key: str, now: datetime) -> datetime | None:
        """A key's next moment in wall time; a past one would make APScheduler loop."""
        due_ns = self._next_ns(key)
        if due_ns is None:
            return None
        wall_us = (due_ns + self._offset_ns) // 1000 + 1
        return max(_EPOCH + timedelta(microseconds=wall_us), now + _RETRY)


class _Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Asks a function for the next moment."""

    def __init__(self, moment: Callable[[datetime], datetime | None]) -> None:
        self._moment = moment

    def get_next_fire_time(
        self, _previous: datetime | None, now: datetime
    ) -> datetime | None:
        """The moment of wall time at which to ring next."""
        return self._moment(now)


class _Loop(BackgroundScheduler):  # type: ignore[misc]  # APScheduler 3 has no types
    """APScheduler's own extension point: what happens between two sleeps.

    Jobs run in the loop's thread; they only count slots and hand them to workers.
    """

    def __init__(self, before: Callable[[], None]) -> None:
        defaults = {"coalesce": True, "misfire_grace_time": None}
        super().__init__(
            timezone=UTC, executors={"default": DebugExecutor()}, job_defaults=defaults
        )
        self._before = before

    def _process_jobs(self) -> float:
        """One pass; returns how long to sleep, in seconds of the monotonic clock.

        The sleep is bounded: that clock stands still in suspend, and the wall clock
        it was reckoned by may be stepped meanwhile.
        """
        self._before()
        sleep_s: float | None = super()._process_jobs()
        longest_s = _SLEEP.total_seconds()
        return longest_s if sleep_s is None else min(longest_s, sleep_s)
