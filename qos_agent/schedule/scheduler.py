"""Runs tasks when they are due.

APScheduler wakes the scheduler. The boot clock decides which task is due.
APScheduler uses the wall clock, so it serves only as an alarm. The next wake-up of a
job is its due moment translated to wall time. All wake-ups are translated again when
the two clocks have moved apart, and no sleep is longer than a second. Due, missed and
upcoming slots follow from boot time alone (`slots.JobTable`). A clock that is stepped
by a year therefore neither builds a backlog nor stops the measurements.

Each slot leads to exactly one call: of `due`, or as part of a `missed`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers import SchedulerNotRunningError
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.base import BaseTrigger

from qos_agent.model import Clock
from qos_agent.schedule.slots import DueSlots, Job, JobTable, Missed
from qos_agent.system.supervision import Supervisor

__all__ = ["Job", "Missed", "Schedule"]

_log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SLEEP = timedelta(seconds=1)
# Slewing moves the clocks apart too, at most 500 ppm. Below this difference a wake-up
# is early or late by a negligible amount.
_STEP_NS = 10_000_000
# A wake-up that is early, because the wall clock was ahead, is repeated after this.
_RETRY = timedelta(milliseconds=10)
# The alarm rings every second. After this long without a ring its thread hangs.
_SILENT_S = 120.0
_STOP_S = 0.5
_PART = "schedule"


class Schedule:
    """The present jobs, their alarm and their worker threads.

    `due(job, due_boot_ns)` runs in a worker thread, never twice at once for a job.
    `missed(job, missed, reason)` runs in any thread. The reason is `missed` after a
    sleep or overload, `overrun` if the previous task did not end in time, and
    `stopping` for slots that were due but had not started. `tick` runs every second
    and before slots are counted, so that it can change the jobs with `set_jobs`. An
    exception in any of them is reported by `supervisor` and stops no other slot.
    """

    def __init__(
        self,
        clock: Clock,
        seed: str,
        due: Callable[[Job, int], None],
        missed: Callable[[Job, Missed, str], None],
        workers: int = 16,
        tick: Callable[[], None] | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._clock = clock
        self._supervisor = supervisor or Supervisor()
        self._due = due
        self._missed = missed
        self._tick = tick
        self._table = JobTable(seed)
        self._jobs: tuple[Job, ...] = ()
        self._lock = threading.RLock()
        self._running: dict[str, Future[None]] = {}
        self._waiting: dict[str, tuple[Job, int]] = {}
        self._state = "new"
        self._counted_ns = 0
        self._alarm = _Alarm(clock, self._ring, self._next_ns, self._supervisor)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="task")

    def set_jobs(self, jobs: Sequence[Job], since_boot_ns: int | None = None) -> None:
        """Replace the jobs from `since_boot_ns` on (default now), in boot time.

        After a suspend over a phase change, slots are counted by the intervals of the
        phase in which they were due.
        """
        with self._lock:
            self._jobs = tuple(jobs)
            if self._state != "running":
                return
            now_ns = self._clock.boot_ns()
            since_ns = now_ns if since_boot_ns is None else since_boot_ns
            since_ns = min(now_ns, max(self._counted_ns, since_ns))
            due_slots = self._table.replace(jobs, since_ns, now_ns)
            self._counted_ns = since_ns
        self._alarm.set_keys([job.key for job in jobs])
        self._process(due_slots)

    def start(self, *, heavy_at_once: bool = True) -> None:
        """Start with a first round soon after now, then at random slots.

        Without `heavy_at_once` the first round leaves out heavy tasks.
        """
        with self._lock:
            self._state = "running"
            self._counted_ns = self._clock.boot_ns()
            self._table.start(self._jobs, self._counted_ns, heavy_at_once=heavy_at_once)
        self._alarm.set_keys([job.key for job in self._jobs])
        self._alarm.start()

    def stop(self) -> None:
        """Start no more tasks and return at once; running tasks go on."""
        with self._lock:
            if self._state != "running":
                return
            self._state = "stopped"
        self._alarm.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            due_slots = self._table.advance(self._clock.boot_ns())
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for slots in due_slots:
            self._report_missed(slots)
            if slots.due_boot_ns is not None:
                self._skip(slots.job, slots.due_boot_ns, "stopping")
        for job, due_boot_ns in waiting:
            self._skip(job, due_boot_ns, "stopping")

    def wait_for_tasks(self, wait_s: float) -> bool:
        """Wait for the running tasks. Return True if all have ended."""
        with self._lock:
            running = list(self._running.values())
        return not wait(running, wait_s).not_done

    def upcoming(self) -> list[tuple[Job, int]]:
        """Return every job with its next due moment in boot time, soonest first."""
        with self._lock:
            return self._table.upcoming()

    def _next_ns(self, key: str) -> int | None:
        with self._lock:
            return self._table.due_ns(key)

    def _ring(self) -> None:
        """Handle the alarm; APScheduler would only log an exception."""
        self._supervisor.alive(_PART)
        self._supervisor.call(_PART, self._wake)

    def _wake(self) -> None:
        if self._tick is not None:
            self._supervisor.call("tick", self._tick)
        with self._lock:
            if self._state != "running":
                return
            self._counted_ns = self._clock.boot_ns()
            due_slots = self._table.advance(self._counted_ns)
        self._process(due_slots)

    def _process(self, due_slots: Iterable[DueSlots]) -> None:
        for slots in due_slots:
            self._supervisor.call("slots", partial(self._process_slots, slots))

    def _process_slots(self, slots: DueSlots) -> None:
        self._report_missed(slots)
        if slots.due_boot_ns is not None:
            self._submit(slots.job, slots.due_boot_ns)

    def _report_missed(self, slots: DueSlots) -> None:
        if slots.missed is not None:
            self._missed(slots.job, slots.missed, "missed")

    def _skip(self, job: Job, due_boot_ns: int, reason: str) -> None:
        span_s = (self._clock.boot_ns() - due_boot_ns) / 1e9
        self._missed(job, Missed(due_boot_ns, 1, span_s), reason)

    def _submit(self, job: Job, due_boot_ns: int) -> None:
        """Give a slot to a worker, or let it wait for the job's previous task.

        Random moments of adjacent intervals may be close together. A slot that waits
        a few seconds for the previous task is late, not lost.
        """
        with self._lock:
            stopped = self._state != "running"
            overrun = None if stopped else self._wait_for_previous(job, due_boot_ns)
            if not stopped and job.key not in self._running:
                self._start_task(job, due_boot_ns, "missed")
        if stopped:
            self._skip(job, due_boot_ns, "stopping")
        if overrun is not None:
            self._skip(*overrun, "overrun")

    def _wait_for_previous(self, job: Job, due_boot_ns: int) -> tuple[Job, int] | None:
        """Let the slot wait if the job runs. Return the slot that waited before."""
        if job.key not in self._running:
            return None
        replaced = self._waiting.get(job.key)
        self._waiting[job.key] = (job, due_boot_ns)
        return replaced

    def _start_task(self, job: Job, due_boot_ns: int, late_reason: str) -> None:
        future = self._pool.submit(self._run, job, due_boot_ns, late_reason)
        self._running[job.key] = future
        future.add_done_callback(partial(self._task_ended, job, due_boot_ns))

    def _run(self, job: Job, due_boot_ns: int, late_reason: str) -> None:
        if self._clock.boot_ns() - due_boot_ns > job.max_late_ns:
            self._skip(job, due_boot_ns, late_reason)
        else:
            self._due(job, due_boot_ns)

    def _task_ended(self, job: Job, due_boot_ns: int, future: Future[None]) -> None:
        with self._lock:
            self._running.pop(job.key, None)
            waiting = None
            if self._state == "running":
                waiting = self._waiting.pop(job.key, None)
            if waiting is not None:
                self._start_task(*waiting, "overrun")
        if future.cancelled():
            self._skip(job, due_boot_ns, "stopping")
        else:
            self._supervisor.call(job.key, future.result)


class _Alarm:
    """APScheduler as an alarm: calls `ring` at the due moments and every second."""

    def __init__(
        self,
        clock: Clock,
        ring: Callable[[], None],
        next_ns: Callable[[str], int | None],
        supervisor: Supervisor,
    ) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._ring = ring
        self._next_ns = next_ns
        self._keys: Sequence[str] = ()
        self._translated: Sequence[str] | None = None
        self._offset_ns = 0
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        # Jobs run in the scheduler's thread. They only count slots and submit tasks.
        self._scheduler = BlockingScheduler(
            timezone=UTC,
            jobstores={"default": _JobStore(self._before_pass)},
            executors={"default": DebugExecutor()},
            job_defaults={"coalesce": True, "misfire_grace_time": None},
        )

    def set_keys(self, keys: Sequence[str]) -> None:
        """Replace the jobs for which the alarm rings."""
        self._keys = list(keys)
        if self._scheduler.running:
            self._scheduler.wakeup()

    def start(self) -> None:
        """Start the alarm."""
        # APScheduler would log a line every second.
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._threads = [
            self._supervisor.start(_PART, self._run, silent_s=_SILENT_S),
            self._supervisor.start("alarm", self._keep_awake),
        ]

    def stop(self) -> None:
        """Stop the alarm; wait a moment until its threads have ended."""
        self._stopped.set()
        with suppress(SchedulerNotRunningError):
            self._scheduler.shutdown(wait=False)
        for thread in self._threads:
            thread.join(_STOP_S)

    def _run(self) -> None:
        """Run the scheduler in this thread. After an exception it can run again."""
        self._translated = None
        if self._stopped.is_set():
            return
        try:
            self._scheduler.start()
        finally:
            with suppress(SchedulerNotRunningError):
                self._scheduler.shutdown(wait=False)

    def _keep_awake(self) -> None:
        """Wake the scheduler every second.

        It computes its sleep from the wall clock. After a step back during the sleep,
        or in a suspend, the sleep would end too late.
        """
        while not self._stopped.wait(_MAX_SLEEP.total_seconds()):
            if self._scheduler.running:
                self._scheduler.wakeup()

    def _before_pass(self) -> None:
        """Set the wake-ups; APScheduler would only log an exception."""
        self._supervisor.call("wake-ups", self._translate)

    def _translate(self) -> None:
        """Set all wake-ups again if the jobs or the clocks' difference changed."""
        offset_ns = self._clock.wall_ns() - self._clock.boot_ns()
        keys = self._keys
        if keys is self._translated and abs(offset_ns - self._offset_ns) < _STEP_NS:
            return
        # None until all are set: after an exception they are set again.
        self._translated, self._offset_ns = None, offset_ns
        self._scheduler.remove_all_jobs()
        self._scheduler.add_job(self._ring, _Trigger(lambda now: now + _MAX_SLEEP))
        for key in keys:
            self._scheduler.add_job(self._ring, _Trigger(partial(self._wall_time, key)))
        self._translated = keys

    def _wall_time(self, key: str, now: datetime) -> datetime | None:
        """Return a job's next due moment in wall time.

        It is never in the past, because APScheduler would loop then.
        """
        due_ns = self._next_ns(key)
        if due_ns is None:
            return None
        wall_us = (due_ns + self._offset_ns) // 1000 + 1
        return max(_EPOCH + timedelta(microseconds=wall_us), now + _RETRY)


class _Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """A trigger that calls a function for the next wake-up."""

    def __init__(self, next_time: Callable[[datetime], datetime | None]) -> None:
        self._next_time = next_time

    def get_next_fire_time(
        self, _previous: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the next wake-up in wall time."""
        return self._next_time(now)


class _JobStore(MemoryJobStore):  # type: ignore[misc]  # APScheduler 3 has no types
    """A job store that calls a function before each look for due jobs.

    APScheduler documents job stores as an extension point, and starts each pass of its
    loop with this call.
    """

    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__()
        self._before = before

    def get_due_jobs(self, now: datetime) -> list[Any]:
        """Return the jobs that are due now."""
        self._before()
        jobs: list[Any] = super().get_due_jobs(now)
        return jobs
