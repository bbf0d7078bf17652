"""What goes into the journal and comes out of it, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Lane(Enum):
    """Which end of the backlog a delivery works on."""

    FRESH = "fresh"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """What bounds the journal: bytes, age, room left to others, time to wait.

    `keep_s` is how long delivered points stay as local evidence, `age_s` how long
    undelivered ones wait, `hold_s` how long a reading waits for a trusted clock,
    `fresh_s` how young a point is to be sent ahead of the backlog.
    """

    size_bytes: int = 256_000_000
    disk_reserve_bytes: int = 100_000_000
    keep_s: float = 14 * 86400.0
    age_s: float = 180 * 86400.0
    hold_s: float = 600.0
    fresh_s: float = 120.0


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """Something that happened to the journal; the agent makes it a reading.

    `kind` is of the closed list of event kinds; `amount` its size in points.
    """

    kind: str
    detail: str
    amount: float | None = None
    first_seq: int | None = None
    last_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Points claimed for one collector: nobody else is given them meanwhile."""

    journal: str
    collector: str
    seqs: tuple[int, ...]
    lines: tuple[bytes, ...]

    def part(self, start: int, end: int) -> Batch:
        """The points from index `start` to before `end`."""
        return Batch(
            self.journal, self.collector, self.seqs[start:end], self.lines[start:end]
        )

    def times_ns(self) -> list[int]:
        """The time stamp of each point."""
        return [int(line[line.rindex(b" ") :]) for line in self.lines]

    def __len__(self) -> int:
        """How many points."""
        return len(self.seqs)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Bytes of a link's data allowance set aside for a task, on the wire."""

    id: int
    link: str
    probe: str
    size_bytes: int
    boot_id: str
    due_boot_ns: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a probe spent on a link on one day (of the station's time zone)."""

    day: str
    probe: str
    spent_bytes: int


@dataclass(frozen=True, slots=True)
class JournalCounts:
    """How much the journal holds. `undelivered` is by collector.

    `evicted` counts undelivered points removed for want of room, ever; delivered
    points that ran out their time are not in it. `oldest_unsent_ns` is for the
    first collector, None where all is delivered.
    """

    points: int
    undelivered: dict[str, int]
    oldest_unsent_ns: int | None
    pending: int
    quarantined: int
    evicted: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A point a collector refused for good, and its words."""

    collector: str
    seq: int
    words: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Removal:
    """Points taken out: why, of which measurement, how many, over which span."""

    at_ns: int
    reason: str
    measurement: str
    points: int
    first_ns: int
    last_ns: int
    first_seq: int
    last_seq: int
