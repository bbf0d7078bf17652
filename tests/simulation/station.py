"""Simulates one station over days: calendar, intervals and slots, without threads.

It uses the agent's own modules. A loop advances the time from one event to the next,
and a measurement only counts an outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qos_agent.config.settings import Settings
from qos_agent.model import Identity, Phase
from qos_agent.model.calendar import Calendar
from qos_agent.schedule.jobs import jobs
from qos_agent.schedule.slots import DueSlots, Job, JobTable
from tests.support.clocks import FakeClock

# A span of wall time in which the device sleeps: from, to.
Nap = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """The outcome of `slots` slots of a job, due from `due_wall_ns` on."""

    job: Job
    due_wall_ns: int
    slots: int
    outcome: str


@dataclass
class Station:
    """A device that runs for a span of wall time."""

    identity: Identity
    calendar: Calendar
    settings: Settings
    clock: FakeClock
    measure: Callable[[Job, int], str] = lambda _job, _due_ns: "ok"
    entries: list[Entry] = field(default_factory=list)
    changes: list[tuple[int, Phase]] = field(default_factory=list)

    def run(self, end_wall_ns: int, naps: Sequence[Nap] = ()) -> None:
        """Run from the present time to the end, and sleep in the naps (wall time)."""
        self.timeline = self.calendar.timeline(self.identity)
        self.phase = self.timeline.phase_at(self.clock.wall_ns())
        self.job_table = JobTable(f"{self.identity.station}/{self.identity.device}")
        self.job_table.start(jobs(self.settings, self.phase), self.clock.boot_ns())
        self._wake(0)
        while (wall_ns := self.clock.wall_ns()) < end_wall_ns:
            next_ns = min(self._next_wall_ns(), end_wall_ns)
            for start_ns, until_ns in naps:
                if start_ns <= next_ns < until_ns:
                    next_ns = until_ns
            self.clock.now_boot_ns += next_ns - wall_ns
            self._wake(next_ns - wall_ns)

    def _next_wall_ns(self) -> int:
        due_ns = self.job_table.upcoming()[0][1] + self.clock.offset_ns
        change = self.timeline.next_change(self.clock.wall_ns())
        return min(due_ns, change[0]) if change else due_ns

    def _wake(self, elapsed_ns: int) -> None:
        """Handle a wake-up as the agent does: first the phase, then the slots."""
        now_ns, wall_ns = self.clock.boot_ns(), self.clock.wall_ns()
        for change in self.timeline.changes(self.phase, elapsed_ns, wall_ns):
            since_ns = change.at_wall_ns - self.clock.offset_ns
            new_jobs = jobs(self.settings, change.phase)
            self._use(self.job_table.replace(new_jobs, since_ns, now_ns))
            self.phase = change.phase
            self.changes.append((change.at_wall_ns, change.phase))
        self._use(self.job_table.advance(now_ns))

    def _use(self, due_slots: Sequence[DueSlots]) -> None:
        for slots in due_slots:
            if (missed := slots.missed) is not None:
                self._enter(slots.job, missed.first_due_boot_ns, missed.slots, "missed")
            if slots.due_boot_ns is not None:
                outcome = self.measure(slots.job, slots.due_boot_ns)
                self._enter(slots.job, slots.due_boot_ns, 1, outcome)

    def _enter(self, job: Job, due_boot_ns: int, slots: int, outcome: str) -> None:
        wall_ns = due_boot_ns + self.clock.offset_ns
        self.entries.append(Entry(job, wall_ns, slots, outcome))

    def table(self, outcome: str | None = None) -> dict[str, dict[str, int]]:
        """Return the slots by phase and probe, of one outcome or of all."""
        counts: dict[str, Counter[str]] = {}
        for entry in self.entries:
            if outcome in (None, entry.outcome):
                phase = self.timeline.phase_at(entry.due_wall_ns).value
                counts.setdefault(phase, Counter())[entry.job.probe] += entry.slots
        return {phase: dict(sorted(row.items())) for phase, row in counts.items()}
