"""The agent: its loop, its schedule's answers, its orderly beginning and end.

The loop does the small things that have a time of their own (commit, verdicts,
heartbeat, status); tasks run in the schedule's threads, delivery in the uplink's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from qos_agent.agent import status
from qos_agent.agent.build import build
from qos_agent.agent.events import event, heartbeat
from qos_agent.agent.ledger import Tally
from qos_agent.agent.metrics import Metrics
from qos_agent.agent.status import Status
from qos_agent.config import calendar_file
from qos_agent.config.loading import Loaded
from qos_agent.journal import JournalEvent
from qos_agent.model import Clock, Phase, Reading, Task, Value
from qos_agent.model.errors import StorageError
from qos_agent.probes.envelope import skipped
from qos_agent.schedule.control import take_reload
from qos_agent.schedule.downtime import absences, cut_off
from qos_agent.schedule.jobs import jobs
from qos_agent.schedule.scheduler import Job, Missed, Schedule
from qos_agent.system.clock import StepWatch
from qos_agent.system.systemd import Notifier
from qos_agent.verdict.incidents import Now

_log = logging.getLogger(__name__)

_HEARTBEAT_S = 60.0
_VERDICT_S = 60.0
_STATUS_S = 2.0
_SHOW_S = 0.5
_STOP_S = 2.0
_RESTED_NS = 3600 * 10**9
_ABOUT_ITSELF = ("agent", "event")
_CONFIGURATION = "configuration"


@dataclass(slots=True)
class _Chore:
    """Something the loop does every so often, on boot time."""

    interval_s: float
    do: Callable[[], object]
    due_boot_ns: int

    def run(self, now_boot_ns: int) -> None:
        """Do it if it is due; what was missed in a sleep is done once."""
        if now_boot_ns >= self.due_boot_ns:
            self.due_boot_ns = now_boot_ns + int(self.interval_s * 1e9)
            self.do()


class Agent:
    """One running agent. `without` names probes that are left out.

    `reload` is true after `run` where a new configuration was asked for.
    """

    def __init__(
        self, loaded: Loaded, clock: Clock, without: Collection[str] = ()
    ) -> None:
        self._without = without
        self._clock = clock
        self._settings = loaded.settings
        self._stop = threading.Event()
        self.reload = False
        self._notifier = Notifier()
        self._parts = build(loaded, clock, self._stop)
        self._timeline = self._parts.station.timeline
        self._last_record_ns = self._parts.journal.last_time_ns()
        self._absent: tuple[int, int] | None = None
        clock.not_behind(self._last_record_ns)
        self._phase = self._timeline.phase_at(self._believed_wall_ns())
        self._watched_ns = clock.boot_ns()
        self._steps = StepWatch()
        self._compared_ms: float | None = None
        identity = self._parts.identity
        seed = f"{identity.station}/{identity.device}"
        self._schedule = Schedule(
            clock, seed, self._due, self._missed, tick=self._watch
        )
        self._vitals = Metrics(self._parts, self._schedule)
        self._beaten = Tally()

    def run(
        self,
        for_s: float | None = None,
        show: Callable[[Status], None] | None = None,
    ) -> Status:
        """Measure until told to stop, or for a time; how things stood at the end."""
        run_uplink = self._parts.uplink.run
        uplink = threading.Thread(target=run_uplink, name="uplink", daemon=True)
        self._begin()
        uplink.start()
        try:
            self._loop(for_s, show)
        finally:
            last = self._end(uplink)
        return last

    def run_once(self) -> bool:
        """One round of every task now; True when each left a reading on disk."""
        jobs_now = self._jobs(self._phase)
        now_ns = self._clock.boot_ns()
        with ThreadPoolExecutor(len(jobs_now) or 1) as pool:
            list(pool.map(lambda job: self._due(job, now_ns), jobs_now))
        self._commit()
        self._parts.uplink.drain(_STOP_S)
        self._parts.allowance_account.close()
        self._parts.journal.close()
        return self._parts.ledger.tally().due >= len(jobs_now)

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler."""
        self._stop.set()

    def _begin(self) -> None:
        now_ns = self._clock.boot_ns()
        self._record(event("start", now_ns, f"in phase {self._phase.value}"))
        self._write_aftermath(now_ns)
        self._tell_configuration()
        self._commit()
        self._schedule.lay(self._jobs(self._phase))
        self._schedule.start(loads_at_once=self._rested())
        self._notifier.notify("READY=1")

    def _loop(self, for_s: float | None, show: Callable[[Status], None] | None) -> None:
        start_ns = self._clock.boot_ns()
        chores = self._chores(start_ns, show)
        end_ns = None if for_s is None else start_ns + int(for_s * 1e9)
        while not self._stop.wait(0.2):
            now_ns = self._clock.boot_ns()
            if end_ns is not None and now_ns >= end_ns:
                return
            for chore in chores:
                chore.run(now_ns)

    def _chores(
        self, now_ns: int, show: Callable[[Status], None] | None
    ) -> list[_Chore]:
        # The commit comes last, so that what is due with it is in it.
        every = [
            (_STATUS_S, self._write_status),
            (_VERDICT_S, self._judge),
            (_HEARTBEAT_S, self._beat),
            (self._settings.journal.commit_every, self._commit),
        ]
        if show is not None:
            every.append((_SHOW_S, lambda: show(self._status())))
        if self._notifier.watchdog_s is not None:
            every.append((self._notifier.watchdog_s, self._pat_watchdog))
        return [_Chore(s, do, now_ns + int(s * 1e9)) for s, do in every]

    def _end(self, uplink: threading.Thread) -> Status:
        """Settle what is in flight, commit, deliver what can be, all within 5 s."""
        parts = self._parts
        self._notifier.notify("STOPPING=1")
        self._stop.set()
        self._schedule.stop()
        self._schedule.settle(_STOP_S)
        self._record(event("stop", self._clock.boot_ns()))
        parts.assessment.close()
        parts.allowance_account.close()
        self._commit()
        uplink.join(_STOP_S)
        parts.uplink.drain(_STOP_S)
        last = self._status()
        self._write_status()
        parts.journal.close()
        return last

    def _jobs(self, phase: Phase) -> Sequence[Job]:
        return jobs(self._settings, phase, self._without)

    def _due(self, job: Job, due_boot_ns: int) -> None:
        run = self._parts.runner.run
        self._record(run(job.probe, job.link, job.target, due_boot_ns))

    def _missed(self, job: Job, missed: Missed, reason: str) -> None:
        task = Task(job.probe, missed.first_due_boot_ns, job.link, job.target)
        probe = self._parts.probes[job.probe]
        self._record(skipped(probe, task, reason, missed.slots, missed.span_s))

    def _record(self, reading: Reading) -> None:
        if reading.measurement not in _ABOUT_ITSELF:
            self._parts.latests.see(reading)
        self._parts.assessment.observe(reading)
        self._parts.recorder.add(reading)

    def _commit(self) -> None:
        """What happened to the journal itself is data too."""
        for happened in self._parts.journal.take_events():
            self._record(_of_journal(happened, self._clock.boot_ns()))
        self._parts.recorder.commit()
        self._stamp_pending()

    def _stamp_pending(self) -> None:
        """Date what waited for a clock, as soon as that can be done."""
        journal, clock = self._parts.journal, self._clock
        if not journal.counts().pending:
            return
        try:
            journal.stamp_pending(clock.state(), clock.boot_id, clock.boot_ns())
        except StorageError as error:
            _log.warning("readings wait for their date: %s", error)

    def _judge(self) -> None:
        """The verdict of each link, and the incidents."""
        boot_ns, state = self._clock.boot_ns(), self._clock.state()
        now = Now(boot_ns, boot_ns + state.offset_ns if state.trusted else None)
        failing = self._parts.uplink.status().state == "failing"
        for reading in self._parts.assessment.cycle(now, self._phase, failing):
            self._parts.recorder.add(reading)

    def _beat(self) -> None:
        """The heartbeat, with the ledger since the one before."""
        tally = self._parts.ledger.tally()
        pulse = self._vitals.pulse()
        now_ns = self._clock.boot_ns()
        self._record(heartbeat(now_ns, pulse, tally.since(self._beaten)))
        self._beaten = tally

    def _status(self) -> Status:
        return self._vitals.status(self._phase.value)

    def _write_status(self) -> None:
        try:
            status.write(self._status(), self._settings.runtime_folder())
        except OSError as error:
            _log.debug("no status file: %s", error)

    def _pat_watchdog(self) -> None:
        self._notifier.notify("WATCHDOG=1")

    def _watch(self) -> None:
        """See pauses, the clock step, the phase change; before slots are counted."""
        for kind, detail in self._parts.pauses.changes():
            self._record(event(kind, self._clock.boot_ns(), detail))
        self._watch_reload()
        self._watch_clock()
        self._write_absences()
        before_ns, now_ns = self._watched_ns, self._clock.boot_ns()
        self._watched_ns = now_ns
        wall_ns, elapsed_ns = self._believed_wall_ns(), now_ns - before_ns
        for change in self._timeline.changes(self._phase, elapsed_ns, wall_ns):
            self._enter(change.phase, change.at_wall_ns - (wall_ns - now_ns))

    def _watch_clock(self) -> None:
        """Hold the clock against the collector's; see it step."""
        offset_ms = self._parts.uplink.status().offset_ms
        if offset_ms != self._compared_ms:
            self._compared_ms = offset_ms
            self._clock.compared(offset_ms)
        step_ms = self._steps.step_ms(self._clock.state())
        if step_ms is not None:
            self._record(event("clock_step", self._clock.boot_ns(), amount=step_ms))

    def _rested(self) -> bool:
        """Whether no agent ran here of late: only then the first round loads links."""
        if self._last_record_ns is None:
            return True
        return self._believed_wall_ns() - self._last_record_ns > _RESTED_NS

    def _believed_wall_ns(self) -> int:
        """The wall clock; while it is not trusted, reckoned from the last on record.

        A device without a clock and without a network changes phase all the same. As
        in the journal, the boot is taken to have followed the last record at once, so
        that the reckoning is never later than the truth.
        """
        boot_ns, state = self._clock.boot_ns(), self._clock.state()
        if state.trusted or self._last_record_ns is None:
            return boot_ns + state.offset_ns
        return boot_ns + self._last_record_ns

    def _watch_reload(self) -> None:
        """End the run where a reload was asked for and the phase allows it."""
        now = take_reload(self._settings.runtime_folder())
        if now is None:
            return
        if calendar_file.may_reload(self._phase, now):
            self.reload = True
            self.stop()
            return
        words = f"not reloaded in phase {self._phase.value}; to force it: --now"
        self._record(event("configuration", self._clock.boot_ns(), words))
        _log.warning("configuration: %s", words)

    def _tell_configuration(self) -> None:
        """An event where another configuration is in force than at the last start."""
        journal, now = self._parts.journal, self._parts.loaded.hash
        before = journal.state(_CONFIGURATION)
        if before == now:
            return
        journal.set_state(_CONFIGURATION, now)
        if before is not None:
            words = {"before": before, "after": now}
            self._record(event("configuration", self._clock.boot_ns(), **words))

    def _enter(self, phase: Phase, since_boot_ns: int) -> None:
        """Go over to another phase: its event, its tasks."""
        words = {"before": self._phase.value, "after": phase.value}
        self._record(event("phase", since_boot_ns, **words))
        _log.info("phase %s, was %s", phase.value, self._phase.value)
        self._phase = phase
        self._schedule.lay(self._jobs(phase), since_boot_ns)

    def _write_aftermath(self, now_ns: int) -> None:
        """What a stop or a kill left behind: tasks cut off, slots passed by."""
        parts = self._parts
        links = self._settings.link_list()
        for reading in cut_off(parts.journal.killed, now_ns, links, parts.probes):
            self._record(reading)
        if self._last_record_ns is not None:
            self._absent = (self._last_record_ns, now_ns)
        self._write_absences()

    def _write_absences(self) -> None:
        """The slots that passed while stopped, as soon as it is known how many."""
        state = self._clock.state()
        if self._absent is None or not state.trusted:
            return
        (last_ns, start_boot_ns), self._absent = self._absent, None
        gap = (last_ns, start_boot_ns + state.offset_ns)
        probes = self._parts.probes
        for reading in absences(
            gap, state.offset_ns, self._timeline, self._jobs, probes
        ):
            self._record(reading)


def _of_journal(happened: JournalEvent, boot_ns: int) -> Reading:
    """An event of the journal as a reading."""
    given: dict[str, Value | None] = {
        "amount": happened.amount,
        "first_seq": happened.first_seq,
        "last_seq": happened.last_seq,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    return event(happened.kind, boot_ns, happened.detail, **fields)
