"""When tasks are due: one random moment in each interval, on boot time. Pure.

Stratified random sampling: a fixed grid would beat with whatever else is periodic on
the path (RFC 2330, section 11.1), and a fleet on one grid would arrive as a herd.
The moments follow from a seed, so that the same device has the same plan, and two
devices never share one.

Nothing here reads a clock, sleeps or starts a thread; `schedule.py` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qos_agent.model import Link, Target

# A slot begins within this time of its due moment or not at all: what is later would
# be a burst after a sleep, and no sample of the moment it was drawn for.
LATE_S = 10.0

# How soon after the start a job has its first slot, in seconds: the least and the
# most. What fills a link waits until the small measurements are through.
_FIRST_S = {
    "host": (0.0, 0.0),
    "signal": (0.0, 1.0),
    "latency": (0.1, 2.0),
    "web": (5.0, 10.0),
    "throughput": (12.0, 18.0),
    "form": (25.0, 40.0),
}
_FIRST_OF_OTHERS_S = (1.0, 10.0)

# When power returns to a district, its devices boot together: what fills a link then
# waits for its random moment, or a cell would have them all at once.
_FRESH_BOOT_NS = 180 * 10**9
_LOADS = ("web", "throughput", "form")


@dataclass(frozen=True, slots=True)
class Job:
    """A probe that measures again and again: where, and how often."""

    probe: str
    link: Link | None
    target: Target | None
    interval_s: float

    @property
    def key(self) -> str:
        """Its name in the plan, such as "latency/main/gateway"."""
        names = (place.name for place in (self.link, self.target) if place)
        return "/".join((self.probe, *names))

    @property
    def late_ns(self) -> int:
        """How long after its due moment a slot may still begin."""
        return int(min(self.interval_s, LATE_S) * 1e9)


@dataclass(frozen=True, slots=True)
class Missed:
    """A run of slots that passed unused; `span_s` is from the first until noticed."""

    first_due_boot_ns: int
    slots: int
    span_s: float


@dataclass(frozen=True, slots=True)
class Slots:
    """The due moments of one job: slot k lies in the k-th interval after the origin.

    `first_ns` brings slot 0 to a known moment of its interval: the first round.
    """

    seed: str
    interval_ns: int
    origin_ns: int
    first_ns: int | None = None

    def slot(self, k: int) -> int:
        """The due moment of slot `k` >= 0, in nanoseconds of boot time."""
        within = self._draw(k) if k or self.first_ns is None else self.first_ns
        return self.origin_ns + k * self.interval_ns + within

    def count(self, until_ns: int) -> int:
        """How many slots are due up to and with that moment."""
        strata = (until_ns - self.origin_ns) // self.interval_ns
        return max(0, strata + (strata >= 0 and self.slot(strata) <= until_ns))

    def _draw(self, k: int) -> int:
        """Uniform in the interval."""
        return fraction(f"{self.seed}/{k}", self.interval_ns)


def fraction(name: str, whole: int) -> int:
    """A whole number in [0, `whole`), spread evenly over names by a hash."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") * whole >> 64


def first_delay_ns(job: Job, seed: str) -> int:
    """How soon after the start the job is due first; within its first interval."""
    least_s, most_s = _FIRST_S.get(job.probe, _FIRST_OF_OTHERS_S)
    spread_ns = int((most_s - least_s) * 1e9)
    delay_ns = int(least_s * 1e9) + fraction(f"{seed}/{job.key}/first", spread_ns)
    return min(delay_ns, int(job.interval_s * 1e9) - 1)


@dataclass(frozen=True, slots=True)
class Passed:
    """What became due for a job: slots to be written off, and one still to be run."""

    job: Job
    missed: Missed | None
    due_boot_ns: int | None


@dataclass(slots=True)
class Cursor:
    """Where a job stands in its slots: `used` of them have been answered for."""

    job: Job
    slots: Slots
    used: int = 0

    def due_ns(self) -> int:
        """The next due moment."""
        return self.slots.slot(self.used)

    def take(self, now_ns: int, until_ns: int | None = None) -> Passed | None:
        """Answer for every slot due by `until_ns` (now); at most the last is run."""
        count = self.slots.count(now_ns if until_ns is None else until_ns)
        if count <= self.used:
            return None
        first_ns, last_ns = self.due_ns(), self.slots.slot(count - 1)
        fresh = now_ns - last_ns <= self.job.late_ns
        lost = count - self.used - fresh
        self.used = count
        missed = Missed(first_ns, lost, (now_ns - first_ns) / 1e9) if lost else None
        return Passed(self.job, missed, last_ns if fresh else None)


class JobTable:
    """The jobs in force and where each stands. One owner at a time: no lock here."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._cursors: dict[str, Cursor] = {}

    def start(
        self, jobs: Sequence[Job], now_ns: int, *, loads_at_once: bool = True
    ) -> None:
        """Begin with a first round, soon and staggered.

        Without `loads_at_once` what fills a link waits for its random moment: an
        agent that is restarted again and again must not test again and again.
        """
        loads_at_once &= now_ns >= _FRESH_BOOT_NS
        self._cursors = {}
        for job in jobs:
            waits = job.probe in _LOADS and not loads_at_once
            first_ns = None if waits else first_delay_ns(job, self._seed)
            self._cursors[job.key] = self._begin(job, now_ns, first_ns)

    def lay(self, jobs: Sequence[Job], since_ns: int, now_ns: int) -> list[Passed]:
        """Replace the jobs as of `since_ns`; answers for the slots due until then.

        A job that stays as it was keeps its slots, so that none is lost or doubled.
        """
        passed = list(self._take(self._cursors.values(), now_ns, since_ns))
        self._cursors = {job.key: self._go_on(job, since_ns) for job in jobs}
        return passed

    def take(self, now_ns: int) -> list[Passed]:
        """Answer for every slot of every job due by now."""
        return list(self._take(self._cursors.values(), now_ns, now_ns))

    def due_ns(self, key: str) -> int | None:
        """The next due moment of a job; None when it is no longer in the plan."""
        cursor = self._cursors.get(key)
        return cursor.due_ns() if cursor else None

    def upcoming(self) -> list[tuple[Job, int]]:
        """Every job with its next due moment, soonest first."""
        pairs = [(cursor.job, cursor.due_ns()) for cursor in self._cursors.values()]
        return sorted(pairs, key=lambda pair: pair[1])

    def _go_on(self, job: Job, since_ns: int) -> Cursor:
        old = self._cursors.get(job.key)
        if old is None or old.job.interval_s != job.interval_s:
            return self._begin(job, since_ns, None)
        return Cursor(job, old.slots, old.used)

    def _begin(self, job: Job, origin_ns: int, first_ns: int | None) -> Cursor:
        interval_ns = int(job.interval_s * 1e9)
        seed = f"{self._seed}/{job.key}"
        return Cursor(job, Slots(seed, interval_ns, origin_ns, first_ns))

    @staticmethod
    def _take(
        cursors: Iterable[Cursor], now_ns: int, until_ns: int
    ) -> Iterator[Passed]:
        for cursor in cursors:
            passed = cursor.take(now_ns, until_ns)
            if passed is not None:
                yield passed
