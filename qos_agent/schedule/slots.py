"""Due times of tasks: one random moment in each interval, on boot time. Pure.

This is stratified random sampling. A fixed grid would interfere with other periodic
events on the path (RFC 2330, section 11.1), and all devices would send at the same
time. The moments follow from a seed: a device always has the same ones, and two
devices have different ones.

Nothing here reads a clock, sleeps or starts a thread. `scheduler.py` does that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qos_agent.model import Link, Target
from qos_agent.probes.registry import PROBES

# A slot starts within this time after its due moment or not at all. A later start would
# be part of a burst after a sleep, and would not sample the chosen moment.
MAX_LATE_S = 10.0

# When power returns to a district, its devices boot together. Within this time after
# the boot, heavy tasks wait for their random slot.
_FRESH_BOOT_NS = 180 * 10**9


@dataclass(frozen=True, slots=True)
class Job:
    """A probe that measures one link and target again and again, at an interval."""

    probe: str
    link: Link | None
    target: Target | None
    interval_s: float

    @property
    def key(self) -> str:
        """A unique name, such as "latency/main/gateway"."""
        names = (place.name for place in (self.link, self.target) if place)
        return "/".join((self.probe, *names))

    @property
    def max_late_ns(self) -> int:
        """The time after its due moment in which a slot may still start."""
        return int(min(self.interval_s, MAX_LATE_S) * 1e9)


@dataclass(frozen=True, slots=True)
class Missed:
    """A series of slots that did not run; `span_s` is from the first until now."""

    first_due_boot_ns: int
    slots: int
    span_s: float


@dataclass(frozen=True, slots=True)
class Slots:
    """The due moments of one job. Slot k is in the k-th interval after the origin.

    `first_ns` sets slot 0 to a given moment of its interval, for the first round.
    """

    seed: str
    interval_ns: int
    origin_ns: int
    first_ns: int | None = None

    def slot(self, k: int) -> int:
        """Return the due moment of slot `k` >= 0, in nanoseconds of boot time."""
        offset_ns = self._random_ns(k) if k or self.first_ns is None else self.first_ns
        return self.origin_ns + k * self.interval_ns + offset_ns

    def count(self, until_ns: int) -> int:
        """Return the number of slots due at or before that moment."""
        intervals = (until_ns - self.origin_ns) // self.interval_ns
        if intervals < 0:
            return 0
        return intervals + (1 if self.slot(intervals) <= until_ns else 0)

    def _random_ns(self, k: int) -> int:
        """Return a moment of interval `k`, uniformly distributed."""
        return fraction(f"{self.seed}/{k}", self.interval_ns)


def fraction(name: str, whole: int) -> int:
    """Return an integer in [0, `whole`), evenly distributed over names by a hash."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") * whole >> 64


def first_delay_ns(job: Job, seed: str) -> int:
    """Return the delay of a job's first run, which is within its first interval."""
    shortest_s, longest_s = PROBES[job.probe].first_delay_s
    spread_ns = int((longest_s - shortest_s) * 1e9)
    delay_ns = int(shortest_s * 1e9) + fraction(f"{seed}/{job.key}/first", spread_ns)
    return min(delay_ns, int(job.interval_s * 1e9) - 1)


@dataclass(frozen=True, slots=True)
class DueSlots:
    """The slots of a job that became due: missed ones, and at most one to run."""

    job: Job
    missed: Missed | None
    due_boot_ns: int | None


@dataclass(slots=True)
class Cursor:
    """A job's position in its slots; `used` slots have run or were missed."""

    job: Job
    slots: Slots
    used: int = 0

    def due_ns(self) -> int:
        """Return the next due moment."""
        return self.slots.slot(self.used)

    def advance(self, now_ns: int, until_ns: int | None = None) -> DueSlots | None:
        """Use every slot due by `until_ns` (default now). Only the last may still run.

        Return None if no slot became due.
        """
        count = self.slots.count(now_ns if until_ns is None else until_ns)
        if count <= self.used:
            return None
        first_ns, last_ns = self.due_ns(), self.slots.slot(count - 1)
        in_time = now_ns - last_ns <= self.job.max_late_ns
        lost = count - self.used - (1 if in_time else 0)
        self.used = count
        missed = Missed(first_ns, lost, (now_ns - first_ns) / 1e9) if lost else None
        return DueSlots(self.job, missed, last_ns if in_time else None)


class JobTable:
    """The present jobs and their positions. Not thread-safe."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._cursors: dict[str, Cursor] = {}

    def start(
        self, jobs: Sequence[Job], now_ns: int, *, heavy_at_once: bool = True
    ) -> None:
        """Start with a first round soon after now, each job with its own delay.

        Without `heavy_at_once`, heavy jobs wait for their random slot: an agent that
        restarts again and again must not load its links at each start.
        """
        heavy_at_once &= now_ns >= _FRESH_BOOT_NS
        self._cursors = {}
        for job in jobs:
            waits = PROBES[job.probe].heavy and not heavy_at_once
            first_ns = None if waits else first_delay_ns(job, self._seed)
            self._cursors[job.key] = self._cursor(job, now_ns, first_ns)

    def replace(
        self, jobs: Sequence[Job], since_ns: int, now_ns: int
    ) -> list[DueSlots]:
        """Replace the jobs from `since_ns` on, and return the slots due until then.

        An unchanged job keeps its slots, so that none is lost or runs twice.
        """
        due = list(self._advance(self._cursors.values(), now_ns, since_ns))
        self._cursors = {job.key: self._continued(job, since_ns) for job in jobs}
        return due

    def advance(self, now_ns: int) -> list[DueSlots]:
        """Return the slots of all jobs that became due by now."""
        return list(self._advance(self._cursors.values(), now_ns, now_ns))

    def due_ns(self, key: str) -> int | None:
        """Return the next due moment of a job, or None if the job was removed."""
        cursor = self._cursors.get(key)
        return cursor.due_ns() if cursor else None

    def upcoming(self) -> list[tuple[Job, int]]:
        """Return every job with its next due moment, soonest first."""
        pairs = [(cursor.job, cursor.due_ns()) for cursor in self._cursors.values()]
        return sorted(pairs, key=lambda pair: pair[1])

    def _continued(self, job: Job, since_ns: int) -> Cursor:
        """Return the cursor of the same job, or a new one if its interval changed."""
        old = self._cursors.get(job.key)
        if old is None or old.job.interval_s != job.interval_s:
            return self._cursor(job, since_ns, None)
        return Cursor(job, old.slots, old.used)

    def _cursor(self, job: Job, origin_ns: int, first_ns: int | None) -> Cursor:
        interval_ns = int(job.interval_s * 1e9)
        seed = f"{self._seed}/{job.key}"
        return Cursor(job, Slots(seed, interval_ns, origin_ns, first_ns))

    @staticmethod
    def _advance(
        cursors: Iterable[Cursor], now_ns: int, until_ns: int
    ) -> Iterator[DueSlots]:
        for cursor in cursors:
            due = cursor.advance(now_ns, until_ns)
            if due is not None:
                yield due
