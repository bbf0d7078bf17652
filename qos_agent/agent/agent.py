"""The agent: its main loop, the handlers of its schedule, its start and stop.

The main loop runs the periodic work: commit, verdicts, heartbeat and status file.
Tasks run in the threads of the schedule, and delivery in the thread of the uplink.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from qos_agent.agent import status
from qos_agent.agent.build import build
from qos_agent.agent.events import event, heartbeat, reading_of
from qos_agent.agent.ledger import Tally
from qos_agent.agent.metrics import Metrics
from qos_agent.agent.periodic import PeriodicTask
from qos_agent.agent.reloading import Reloading
from qos_agent.agent.status import Status
from qos_agent.agent.wall_estimate import WallEstimate
from qos_agent.config.loading import Loaded
from qos_agent.model import Clock, Phase, Reading, Task
from qos_agent.model.errors import StorageError
from qos_agent.probes.envelope import failed, skipped
from qos_agent.schedule import acceptance
from qos_agent.schedule.downtime import killed_tasks, missed_slots
from qos_agent.schedule.jobs import jobs
from qos_agent.schedule.scheduler import Job, Missed, Schedule
from qos_agent.system.clock import StepWatch
from qos_agent.system.supervision import Supervisor, Trouble
from qos_agent.system.systemd import Notifier
from qos_agent.verdict.incidents import Now

_log = logging.getLogger(__name__)

_LOOP_S = 0.2
_HEARTBEAT_S = 60.0
_VERDICT_S = 60.0
_STATUS_S = 2.0
_SCREEN_S = 0.5
# The parts of a stop together, so that the process ends within five seconds.
_STOP_S = 3.0
_DRAIN_S = 2.0
_TASKS_STOP_S = 1.5
_UPLINK_STOP_S = 1.0
# The uplink shows a sign of life before each request, and waits a few seconds in
# between. The resolution of a name may take half a minute.
_UPLINK_SILENT_S = 120.0
_ABOUT_THE_AGENT = ("agent", "event")


class Agent:
    """One running agent. `without` has the names of the probes that do not run.

    `reload` is True after `run` if a new configuration must be loaded.
    """

    def __init__(
        self, loaded: Loaded, clock: Clock, without: Collection[str] = ()
    ) -> None:
        self._without = without
        self._clock = clock
        self._settings = loaded.settings
        self._stop = threading.Event()
        self._supervisor = Supervisor(self._stop, self._record_trouble)
        self.reload = False
        self._notifier = Notifier()
        self._components = build(loaded, clock, self._stop)
        self._reloading = Reloading(self._components)
        self._timeline = self._components.station.timeline
        self._last_record_ns = self._components.journal.last_time_ns()
        # The last record in wall time, and the start in boot time.
        self._downtime: tuple[int, int] | None = None
        clock.not_behind(self._last_record_ns)
        self._wall = WallEstimate(clock, self._last_record_ns)
        self._phase = self._timeline.phase_at(self._wall.now_ns())
        self._ticked_ns = clock.boot_ns()
        self._steps = StepWatch()
        self._compared_ms: float | None = None
        identity = self._components.identity
        seed = f"{identity.station}/{identity.device}"
        self._schedule = Schedule(
            clock,
            seed,
            self._run_task,
            self._record_missed,
            tick=self._tick,
            supervisor=self._supervisor,
        )
        self._metrics = Metrics(self._components, self._schedule)
        self._components.uplink.enter(self._phase)
        self._heartbeat_tally = Tally()

    def run(
        self,
        for_s: float | None = None,
        show: Callable[[Status], None] | None = None,
    ) -> Status:
        """Measure until `stop`, or for a time, and return the last status."""
        self._begin()
        silent_s = _UPLINK_SILENT_S + self._settings.collector.timeout
        uplink = self._supervisor.start("uplink", self._run_uplink, silent_s)
        if (watch := self._components.remote) is not None:
            watch.phase = self._phase
            self._supervisor.start("remote", watch.run)
        try:
            self._loop(for_s, show)
        finally:
            last_status = self._end(uplink)
        return last_status

    def run_once(self) -> int | None:
        """Run every task once; return how many, or None if readings are not on disk."""
        in_memory = self._components.journal.in_memory
        jobs_now = self._jobs(self._phase)
        now_ns = self._clock.boot_ns()
        with ThreadPoolExecutor(len(jobs_now) or 1) as pool:
            list(pool.map(lambda job: self._run_task(job, now_ns), jobs_now))
        self._commit()
        self._components.uplink.drain(_DRAIN_S)
        self._components.allowance_account.close()
        self._components.journal.close()
        lost = in_memory or self._components.ledger.tally().due < len(jobs_now)
        return None if lost else len(jobs_now)

    def stop(self) -> None:
        """End `run` soon. Safe in a signal handler."""
        self._stop.set()

    def request_reload(self) -> None:
        """Reload soon if the phase allows it. Safe in a signal handler."""
        self._reloading.request()

    def _run_uplink(self) -> None:
        self._components.uplink.run(lambda: self._supervisor.alive("uplink"))

    def _begin(self) -> None:
        now_ns = self._clock.boot_ns()
        self._record(event("start", now_ns, f"in phase {self._phase.value}"))
        self._record_downtime(now_ns)
        for reading in self._reloading.changed():
            self._record(reading)
        self._commit()
        self._seal("start")
        self._schedule.set_jobs(self._jobs(self._phase))
        self._schedule.start(heavy_at_once=self._wall.is_long_stopped())
        self._notifier.notify("READY=1")

    def _loop(self, for_s: float | None, show: Callable[[Status], None] | None) -> None:
        start_ns = self._clock.boot_ns()
        tasks = self._periodic_tasks(start_ns, show)
        end_ns = None if for_s is None else start_ns + int(for_s * 1e9)
        while not self._stop.wait(_LOOP_S):
            now_ns = self._clock.boot_ns()
            if end_ns is not None and now_ns >= end_ns:
                return
            for task in tasks:
                if task.is_due(now_ns):
                    self._supervisor.call(task.name, task.action)

    def _periodic_tasks(
        self, now_ns: int, show: Callable[[Status], None] | None
    ) -> list[PeriodicTask]:
        # The commit is last, so that it includes the readings of the others.
        actions: list[tuple[str, float, Callable[[], object]]] = [
            ("status", _STATUS_S, self._write_status),
            ("verdict", _VERDICT_S, self._judge),
            ("heartbeat", _HEARTBEAT_S, self._record_heartbeat),
            ("seal", _STATUS_S, self._seal),
            ("commit", self._settings.journal.commit_every, self._commit),
        ]
        if show is not None:
            actions.append(("screen", _SCREEN_S, lambda: show(self._status())))
        if (watchdog_s := self._notifier.watchdog_s) is not None:
            actions.append(("watchdog", watchdog_s, self._notify_watchdog))
        return [
            PeriodicTask(name, s, action, now_ns + int(s * 1e9))
            for name, s, action in actions
        ]

    def _end(self, uplink: threading.Thread) -> Status:
        """Wait for running tasks, commit and deliver what is possible, within 5 s."""
        components, call = self._components, self._supervisor.call
        # After STOPPING=1 systemd kills the process within TimeoutStopSec.
        if self.reload:
            self._notifier.reloading()
        else:
            self._notifier.notify("STOPPING=1")
        self._stop.set()
        end_s = time.monotonic() + _STOP_S
        call("stop", self._schedule.stop)
        call("stop", lambda: self._schedule.wait_for_tasks(_TASKS_STOP_S))
        self._record(event("stop", self._clock.boot_ns()))
        call("stop", components.monitor.close)
        call("stop", components.allowance_account.close)
        call("stop", self._commit)
        call("stop", lambda: self._seal("stop"))
        call("stop", self._commit)
        uplink.join(_UPLINK_STOP_S)
        left_s = max(0.0, end_s - time.monotonic())
        call("stop", lambda: components.uplink.drain(left_s))
        try:
            last_status = self._status()
            self._write_status()
        finally:
            components.journal.close()
        return last_status

    def _jobs(self, phase: Phase) -> Sequence[Job]:
        return jobs(self._settings, phase, self._without)

    def _run_task(self, job: Job, due_boot_ns: int) -> None:
        """Run a task and record its reading, also after an unexpected exception."""
        readings: list[Reading] = []

        def run() -> None:
            result = self._components.runner.run(
                job.probe, job.link, job.target, due_boot_ns
            )
            readings.append(result)

        self._supervisor.call(f"task {job.probe}", run)
        task = Task(job.probe, due_boot_ns, job.link, job.target)
        probe = self._components.probes[job.probe]
        self._record(readings[0] if readings else failed(probe, task, "internal"))

    def _record_missed(self, job: Job, missed: Missed, reason: str) -> None:
        task = Task(job.probe, missed.first_due_boot_ns, job.link, job.target)
        probe = self._components.probes[job.probe]
        self._record(skipped(probe, task, reason, missed.slots, missed.span_s))

    def _record(self, reading: Reading) -> None:
        self._components.recorder.add(reading)
        self._supervisor.call("observe", lambda: self._observe(reading))

    def _observe(self, reading: Reading) -> None:
        if reading.measurement not in _ABOUT_THE_AGENT:
            self._components.latest_readings.add(reading)
        self._components.monitor.observe(reading)

    def _record_trouble(self, trouble: Trouble) -> None:
        """Record an internal error; only the recorder, which cannot fail, is used."""
        reading = event("internal_error", self._clock.boot_ns(), str(trouble))
        self._components.recorder.add(reading)

    def _commit(self) -> None:
        for journal_event in self._components.journal.take_events():
            self._record(reading_of(journal_event, self._clock.boot_ns()))
        self._components.recorder.commit()
        self._stamp_pending()

    def _seal(self, cause: str | None = None) -> None:
        """Seal all committed points, by default if a seal is due.

        The next commit stores the seal.
        """
        sealer, now_ns = self._components.sealer, self._clock.boot_ns()
        if cause := cause or sealer.due(self._phase, now_ns):
            for reading in sealer.seal(cause, self._phase, now_ns):
                self._components.recorder.add(reading)

    def _stamp_pending(self) -> None:
        """Stamp the points that wait for a clock, once the clock is trusted."""
        journal, clock = self._components.journal, self._clock
        if not journal.counts().pending:
            return
        try:
            journal.stamp_pending(clock.state(), clock.boot_id, clock.boot_ns())
        except StorageError as error:
            _log.warning(
                "journal: cannot stamp points that wait for a clock: %s", error
            )

    def _judge(self) -> None:
        """Record the verdict of each link, and the incidents that began or ended."""
        boot_ns, state = self._clock.boot_ns(), self._clock.state()
        now = Now(boot_ns, boot_ns + state.offset_ns if state.trusted else None)
        failing = self._components.uplink.status().state == "failing"
        for reading in self._components.monitor.cycle(now, self._phase, failing):
            self._components.recorder.add(reading)

    def _record_heartbeat(self) -> None:
        tally = self._components.ledger.tally()
        figures = self._metrics.heartbeat_figures()
        since = tally.since(self._heartbeat_tally)
        self._record(heartbeat(self._clock.boot_ns(), figures, since))
        self._heartbeat_tally = tally

    def _status(self) -> Status:
        return self._metrics.status(self._phase.value)

    def _write_status(self) -> None:
        try:
            status.write(self._status(), self._settings.runtime_folder())
        except OSError as error:
            _log.debug("status: cannot write the status file: %s", error)

    def _notify_watchdog(self) -> None:
        """Feed the watchdog unless a part hangs, or fails and restarts do not help."""
        unhealthy = self._supervisor.unhealthy()
        if unhealthy:
            _log.error("watchdog: not fed, because of: %s", ", ".join(unhealthy))
            return
        self._notifier.notify("WATCHDOG=1")

    def _tick(self) -> None:
        """Check pauses, reload, clock and phase, before any slot is counted."""
        call = self._supervisor.call
        call("pauses", self._record_pauses)
        call("acceptance", self._record_acceptance)
        call("reload", self._check_reload)
        call("clock", self._check_clock)
        call("downtime", self._record_missed_slots)
        call("phase", self._check_phase)

    def _record_pauses(self) -> None:
        for kind, detail in self._components.pauses.changes():
            self._record(event(kind, self._clock.boot_ns(), detail))

    def _record_acceptance(self) -> None:
        """Store the result of the setup, if the command left one."""
        folder = self._settings.runtime_folder()
        if (result := acceptance.take(folder)) is not None:
            self._record(event("acceptance", self._clock.boot_ns(), result))
            self._components.recorder.commit()
            acceptance.stored(folder)

    def _check_phase(self) -> None:
        before_ns, now_ns = self._ticked_ns, self._clock.boot_ns()
        self._ticked_ns = now_ns
        wall_ns, elapsed_ns = self._wall.now_ns(), now_ns - before_ns
        for change in self._timeline.changes(self._phase, elapsed_ns, wall_ns):
            self._enter(change.phase, change.at_wall_ns - (wall_ns - now_ns))

    def _check_clock(self) -> None:
        """Compare the clock with the collector's, and record a step."""
        offset_ms = self._components.uplink.status().offset_ms
        if offset_ms != self._compared_ms:
            self._compared_ms = offset_ms
            self._clock.compared(offset_ms)
        step_ms = self._steps.step_ms(self._clock.state())
        if step_ms is not None:
            self._record(event("clock_step", self._clock.boot_ns(), amount=step_ms))

    def _check_reload(self) -> None:
        """End the run if a new configuration must be loaded."""
        wanted, readings = self._reloading.check(self._phase)
        for reading in readings:
            self._record(reading)
        if wanted:
            self.reload = True
            self.stop()

    def _enter(self, phase: Phase, since_boot_ns: int) -> None:
        """Change to another phase: record the event and replace the jobs."""
        before, self._phase = self._phase.value, phase
        self._record(event("phase", since_boot_ns, before=before, after=phase.value))
        _log.info("phase: changed from %s to %s", before, phase.value)
        self._components.uplink.enter(phase)
        self._schedule.set_jobs(self._jobs(phase), since_boot_ns)

    def _record_downtime(self, now_ns: int) -> None:
        """Record the tasks that a kill ended and the slots missed while stopped."""
        components = self._components
        links = self._settings.link_list()
        killed = components.journal.killed
        for reading in killed_tasks(killed, now_ns, links, components.probes):
            self._record(reading)
        if self._last_record_ns is not None:
            self._downtime = (self._last_record_ns, now_ns)
        self._record_missed_slots()

    def _record_missed_slots(self) -> None:
        """Record the slots missed during a stop, once the clock is trusted."""
        if self._downtime is None or not (state := self._clock.state()).trusted:
            return
        (last_record_ns, start_boot_ns), self._downtime = self._downtime, None
        span_ns = (last_record_ns, start_boot_ns + state.offset_ns)
        probes = self._components.probes
        for reading in missed_slots(
            span_ns, state.offset_ns, self._timeline, self._jobs, probes
        ):
            self._record(reading)
