"""Records that go into the journal and come out of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Lane(Enum):
    """The two delivery queues: points of the last minutes, and all older points."""

    FRESH = "fresh"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Limits of size, age and waiting time.

    `disk_reserve_bytes` stay free for other programs. Delivered points are kept for
    `keep_s` as local evidence, undelivered ones for `age_s`. A reading waits at most
    `hold_s` for a trusted clock. Points younger than `fresh_s` are sent before the
    backlog.
    """

    size_bytes: int = 256_000_000
    disk_reserve_bytes: int = 100_000_000
    keep_s: float = 14 * 86400.0
    age_s: float = 180 * 86400.0
    hold_s: float = 600.0
    fresh_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last seal of a journal, which is stored outside it: size and root."""

    journal: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """An event of the journal, which the agent records as a reading.

    `kind` is one of the schema's event kinds; `amount` is a number of points.
    """

    kind: str
    detail: str
    amount: float | None = None
    first_seq: int | None = None
    last_seq: int | None = None


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A row of the point table. `line` is None if the point was evicted undelivered."""

    seq: int
    time_ns: int
    rank: int
    leaf: bytes
    line: bytes | None

    def columns(self) -> tuple[int, int, int, bytes, bytes | None]:
        """Return the values in the order of the table's columns."""
        return self.seq, self.time_ns, self.rank, self.leaf, self.line


@dataclass(frozen=True, slots=True)
class Batch:
    """Points claimed for one collector; no other claim returns them meanwhile."""

    journal: str
    collector: str
    seqs: tuple[int, ...]
    lines: tuple[bytes, ...]

    def part(self, start: int, end: int) -> Batch:
        """Return the points with start <= index < end."""
        return Batch(
            self.journal, self.collector, self.seqs[start:end], self.lines[start:end]
        )

    def times_ns(self) -> list[int]:
        """Return the timestamp of each point."""
        return [int(line[line.rindex(b" ") :]) for line in self.lines]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.seqs)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Bytes of a link's data allowance that are reserved for a task."""

    id: int
    link: str
    probe: str
    size_bytes: int
    boot_id: str
    due_boot_ns: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes that a probe used on a link on one day of the station's time zone."""

    day: str
    probe: str
    spent_bytes: int


@dataclass(frozen=True, slots=True)
class JournalCounts:
    """Numbers of points in the journal, by state.

    `undelivered` is by collector. `evicted` counts all undelivered points that were
    ever removed for lack of space or because of their age. `oldest_unsent_ns` is the
    time of the first collector's oldest undelivered point, or None.
    """

    points: int
    undelivered: dict[str, int]
    oldest_unsent_ns: int | None
    pending: int
    quarantined: int
    evicted: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class QuarantinedPoint:
    """A point that a collector rejected, and the collector's message."""

    collector: str
    seq: int
    message: str
    line: bytes


@dataclass(frozen=True, slots=True)
class Removal:
    """Points of one measurement that were removed together, with reason and span."""

    at_ns: int
    reason: str
    measurement: str
    points: int
    first_ns: int
    last_ns: int
    first_seq: int
    last_seq: int
