"""The composition root: wires the parts, runs them, stops them in good order.

Only this module knows all the parts. Its loop does the small things that have a
time of their own (commit, heartbeat, status); tasks run in the schedule's threads,
delivery in the uplink's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from qos_agent import election, status
from qos_agent.absence import absences
from qos_agent.configuration import Loaded
from qos_agent.control import Pauses, take_reload
from qos_agent.envelope import Envelope, killed, skipped
from qos_agent.events import event, heartbeat, one_line
from qos_agent.gate import LinkGate
from qos_agent.journal import Journal, JournalEvent, JournalLimits
from qos_agent.ledger import Ledger, Tally
from qos_agent.model import Clock, Phase, Reading, Task, Value
from qos_agent.notify import Notifier
from qos_agent.plan import jobs
from qos_agent.probes.table import make_probes
from qos_agent.recorder import Recorder
from qos_agent.runner import Runner, link_bytes
from qos_agent.schedule import Job, Missed, Schedule
from qos_agent.settings import JournalSection
from qos_agent.status import Latests, Status
from qos_agent.uplink import Uplink
from qos_agent.vitals import Parts, Vitals

_log = logging.getLogger(__name__)

_HEARTBEAT_S = 60.0
_STATUS_S = 2.0
_STOP_S = 2.0
# The clocks drift apart by slewing, at most 500 ppm; more is a step.
_STEP_NS = 500_000_000
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


class _Open:
    def ask(self, link: object, probe: str, worst_case_bytes: int, due: int) -> int:
        return 1

    def settle(self, grant: int, spent_bytes: int) -> None:
        pass


class Agent:
    """One running agent. `without` names probes that are left out.

    `reload` is true after `run` where a new configuration was asked for.
    """

    def __init__(
        self, loaded: Loaded, clock: Clock, without: Collection[str] = ()
    ) -> None:
        settings = loaded.settings
        self._settings = settings
        self._config_hash = loaded.hash
        self._clock = clock
        self._without = without
        self._stop = threading.Event()
        self.reload = False
        self._notifier = Notifier()
        self._ledger = Ledger()
        self._latests = Latests()
        self._beaten = Tally()
        self._calendar = election.named(settings.election.calendar)
        self._identity = settings.identity()
        self._pauses = Pauses(settings.runtime_folder(), clock)
        self._timeline = self._calendar.timeline(self._identity)
        self._phase = self._timeline.phase_at(clock.wall_ns())
        self._watched = (clock.boot_ns(), clock.state())
        self._journal = Journal.open(
            settings.journal.folder,
            self._identity,
            settings.collector_names(),
            self._timeline.phase_at,
            _limits(settings.journal),
        )
        self._wire(loaded)

    def _wire(self, loaded: Loaded) -> None:
        clock, settings = self._clock, self._settings
        gate = LinkGate()
        self._recorder = Recorder(
            self._journal, self._identity, clock, self._ledger, self._committed
        )
        self._probes = make_probes(settings)
        self._runner = Runner(
            self._probes,
            Envelope(clock, self._stop),
            gate,
            _Open(),
            self._pauses.holds,
            link_bytes,
        )
        seed = f"{self._identity.station}/{self._identity.device}"
        self._schedule = Schedule(
            clock, seed, self._due, self._missed, tick=self._watch
        )
        self._uplink = Uplink(self._journal, settings, clock, self._stop, gate)
        self._vitals = Vitals(
            Parts(
                loaded,
                self._identity,
                clock,
                self._journal,
                self._uplink,
                self._schedule,
                self._ledger,
                self._latests,
                self._calendar.hash,
            )
        )

    def run(
        self,
        for_s: float | None = None,
        show: Callable[[Status], None] | None = None,
    ) -> Status:
        """Measure until told to stop, or for a time; how things stood at the end."""
        uplink = threading.Thread(target=self._uplink.run, name="uplink", daemon=True)
        self._begin()
        uplink.start()
        try:
            self._loop(for_s, show)
        finally:
            self._end(uplink)
        return self._last

    def run_once(self) -> bool:
        """One round of every task now; True when each left a reading on disk."""
        jobs_now = self._jobs(self._phase)
        now_ns = self._clock.boot_ns()
        with ThreadPoolExecutor(len(jobs_now) or 1) as pool:
            list(pool.map(lambda job: self._due(job, now_ns), jobs_now))
        self._commit()
        self._uplink.drain(_STOP_S)
        self._journal.close()
        return self._ledger.tally().due >= len(jobs_now)

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler."""
        self._stop.set()

    def _begin(self) -> None:
        now_ns = self._clock.boot_ns()
        self._recorder.add(event("start", now_ns, f"in phase {self._phase.value}"))
        for reading in self._aftermath(now_ns):
            self._recorder.add(reading)
        self._tell_configuration(self._config_hash)
        self._take_journal_events()
        self._recorder.commit()
        self._schedule.lay(self._jobs(self._phase))
        self._schedule.start()
        self._notifier.tell("READY=1")

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
        chores = [
            _Chore(self._settings.journal.commit_every, self._commit, now_ns),
            _Chore(_HEARTBEAT_S, self._beat, now_ns + int(_HEARTBEAT_S * 1e9)),
            _Chore(_STATUS_S, self._write_status, now_ns),
        ]
        if show is not None:
            chores.append(_Chore(0.5, lambda: show(self._status()), now_ns))
        if self._notifier.watchdog_s is not None:
            pat = lambda: self._notifier.tell("WATCHDOG=1")  # noqa: E731
            chores.append(_Chore(self._notifier.watchdog_s, pat, now_ns))
        return chores

    def _end(self, uplink: threading.Thread) -> None:
        """Settle what is in flight, commit, deliver what can be, all within 5 s."""
        self._notifier.tell("STOPPING=1")
        self._stop.set()
        self._schedule.stop()
        self._schedule.settle(_STOP_S)
        self._recorder.add(event("stop", self._clock.boot_ns()))
        self._commit()
        uplink.join(_STOP_S)
        self._uplink.drain(_STOP_S)
        self._last = self._status()
        self._write_status()
        self._journal.close()

    def _jobs(self, phase: Phase) -> Sequence[Job]:
        return jobs(self._settings, phase, self._without)

    def _due(self, job: Job, due_boot_ns: int) -> None:
        reading = self._runner.run(job.probe, job.link, job.target, due_boot_ns)
        self._take(reading)

    def _missed(self, job: Job, missed: Missed, reason: str) -> None:
        task = Task(job.probe, missed.first_due_boot_ns, job.link, job.target)
        probe = self._probes[job.probe]
        self._take(skipped(probe, task, reason, missed.slots, missed.span_s))

    def _take(self, reading: Reading) -> None:
        self._latests.see(reading)
        self._recorder.add(reading)

    def _commit(self) -> None:
        self._recorder.commit()
        self._take_journal_events()

    def _committed(self, readings: Sequence[Reading]) -> None:
        for reading in readings:
            _log.info("%s", one_line(reading))
        self._uplink.wake()

    def _take_journal_events(self) -> None:
        """What happened to the journal is data too."""
        for happened in self._journal.take_events():
            self._recorder.add(_of_journal(happened, self._clock.boot_ns()))

    def _beat(self) -> None:
        """The heartbeat, with the ledger since the one before."""
        tally = self._ledger.tally()
        pulse = self._vitals.pulse()
        reading = heartbeat(self._clock.boot_ns(), pulse, tally.since(self._beaten))
        self._beaten = tally
        self._recorder.add(reading)

    def _status(self) -> Status:
        paused = [f"{each.what} until {each.until()}" for each in self._pauses.active()]
        return self._vitals.status(self._phase.value, paused)

    def _write_status(self) -> None:
        try:
            status.write(self._status(), self._settings.runtime_folder())
        except OSError as error:
            _log.debug("no status file: %s", error)

    def _watch(self) -> None:
        """See pauses, the clock step, the phase change; before slots are counted."""
        for kind, detail in self._pauses.changes():
            self._recorder.add(event(kind, self._clock.boot_ns(), detail))
        self._watch_reload()
        before_ns, before = self._watched
        now_ns, state = self._clock.boot_ns(), self._clock.state()
        self._watched = now_ns, state
        step_ns = state.offset_ns - before.offset_ns
        if abs(step_ns) > _STEP_NS + (now_ns - before_ns) // 1000:
            self._recorder.add(event("clock_step", now_ns, amount=step_ns / 1e6))
        if not state.trusted:
            return
        wall_ns = now_ns + state.offset_ns
        elapsed_ns = now_ns - before_ns
        for change in self._timeline.changes(self._phase, elapsed_ns, wall_ns):
            self._enter(change.phase, change.at_wall_ns - state.offset_ns)

    def _watch_reload(self) -> None:
        """End the run where a reload was asked for and the phase allows it."""
        now = take_reload(self._settings.runtime_folder())
        if now is None:
            return
        if election.may_reload(self._phase, now):
            self.reload = True
            self.stop()
            return
        words = f"not reloaded in phase {self._phase.value}; to force it: --now"
        self._recorder.add(event("configuration", self._clock.boot_ns(), words))
        _log.warning("configuration: %s", words)

    def _tell_configuration(self, config_hash: str) -> None:
        """An event where another configuration is in force than at the last start."""
        before = self._journal.state(_CONFIGURATION)
        if before == config_hash:
            return
        self._journal.set_state(_CONFIGURATION, config_hash)
        if before is not None:
            words = {"before": before, "after": config_hash}
            self._recorder.add(event("configuration", self._clock.boot_ns(), **words))

    def _enter(self, phase: Phase, since_boot_ns: int) -> None:
        """Go over to another phase: its event, its tasks."""
        words = {"before": self._phase.value, "after": phase.value}
        self._recorder.add(event("phase", since_boot_ns, **words))
        _log.info("phase %s, was %s", phase.value, self._phase.value)
        self._phase = phase
        self._schedule.lay(self._jobs(phase), since_boot_ns)

    def _aftermath(self, now_ns: int) -> Iterator[Reading]:
        """What a stop or a kill left behind: tasks cut off, slots passed by."""
        links = {link.name: link for link in self._settings.link_list()}
        for left in self._journal.killed:
            probe = self._probes.get(left.probe)
            if probe is not None:
                task = Task(left.probe, now_ns, links.get(left.link))
                yield killed(probe, task, left.size_bytes)
        last_ns = self._journal.last_time_ns()
        state = self._clock.state()
        if last_ns is not None and state.trusted:
            gap = (last_ns, now_ns + state.offset_ns)
            phase_at = self._timeline.phase_at
            yield from absences(
                gap, state.offset_ns, phase_at, self._jobs, self._probes
            )


def _limits(section: JournalSection) -> JournalLimits:
    return JournalLimits(
        size_bytes=section.size_limit,
        disk_reserve_bytes=section.disk_reserve,
        keep_s=section.keep,
        age_s=section.age_limit,
        hold_s=section.clock_hold,
    )


def _of_journal(happened: JournalEvent, boot_ns: int) -> Reading:
    """An event of the journal as a reading."""
    given: dict[str, Value | None] = {
        "amount": happened.amount,
        "first_seq": happened.first_seq,
        "last_seq": happened.last_seq,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    return event(happened.kind, boot_ns, happened.detail, **fields)
