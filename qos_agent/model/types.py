"""The words of the design as data: links, targets, tasks, readings, points.

Data and Protocols only. What decides, counts or writes lives elsewhere; nothing
here imports anything of this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

Value = int | float | str


class Outcome(StrEnum):
    """What became of a slot."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Layer(StrEnum):
    """How far away a target is, so that a fault has an address."""

    GATEWAY = "gateway"
    RESOLVER = "resolver"
    ANCHOR = "anchor"
    APPLICATION = "application"


class Phase(StrEnum):
    """Where the election stands, in the station's time zone."""

    PRE = "pre"
    VOTING = "voting"
    COUNTING = "counting"
    POST = "post"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which station is watched, and by which device."""

    station: str
    province: str
    regency: str
    time_zone: str
    device: str


@dataclass(frozen=True, slots=True)
class Link:
    """One way out of the device.

    `interface` None lets the routing table choose (one auto-detected link);
    `source_address` alone counts only when the kernel's route confirms it.
    """

    name: str
    operator: str
    interface: str | None = None
    source_address: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured against: a name of ours, and where it is found."""

    name: str
    host: str
    layer: Layer
    method: str = "icmp"
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One execution of a probe, due at a slot.

    `byte_limit` is what this task may move on its link, both ways, in bytes on
    the wire; None where the probe moves a few packets.
    """

    probe: str
    due_boot_ns: int
    link: Link | None = None
    target: Target | None = None
    byte_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What one point will say of its own: the probe's tags and fields."""

    tags: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe brings back. A `cause` makes the reading failed, samples kept."""

    samples: Sequence[Sample]
    cause: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """The record a slot leaves: exactly one, whatever happened.

    `boot_ns` is CLOCK_BOOTTIME at the start of the measurement; `slots` is how
    many due slots this reading stands for (1, or a run of missed ones).
    """

    measurement: str
    outcome: Outcome
    boot_ns: int
    samples: tuple[Sample, ...]
    cause: str | None = None
    reason: str | None = None
    detail: str = ""
    slots: int = 1
    late_ms: float | None = None
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A reading's serialised form before its time stamp: one line to be."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    boot_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """A point with its time stamp, nanoseconds since 1970: one line."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    time_ns: int


@dataclass(frozen=True, slots=True)
class ClockState:
    """How wall time follows from boot time at this moment, and how good it is.

    wall_ns = boot_ns + `offset_ns`; `error_ms` is the kernel's own bound.
    """

    offset_ns: int
    trusted: bool
    synced: bool
    error_ms: float | None = None


class Clock(Protocol):
    """Wall time and the time since boot, which goes on in suspend."""

    boot_id: str

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""
        ...

    def wall_ns(self) -> int:
        """CLOCK_REALTIME in nanoseconds since 1970."""
        ...

    def state(self) -> ClockState:
        """The relation of the two, and whether the wall clock is trusted."""
        ...

    def not_behind(self, newest_record_ns: int | None) -> None:
        """Tell of the newest record: a clock before it has not been set yet."""
        ...

    def compared(self, collector_offset_ms: float | None) -> None:
        """Tell how far the clock was just found to be from a collector's."""
        ...


class Deadline(Protocol):
    """How long a probe still has; it also ends when the agent stops."""

    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        ...

    def wait(self, seconds: float) -> bool:
        """Sleep, at most until the end; True when the time is up or all stops."""
        ...

    def stopping(self) -> bool:
        """True when the agent is stopping: leave at once with what there is."""
        ...


class Probe(Protocol):
    """The code of one kind of measurement. It tries once."""

    @property
    def measurement(self) -> str:
        """The measurement its readings belong to."""
        ...

    @property
    def loads_link(self) -> bool:
        """True when it fills the link, so that nothing else may be measured there."""
        ...

    @property
    def deadline_s(self) -> float:
        """The longest a task may take."""
        ...

    def worst_case_bytes(self) -> int:
        """The most a task may move on its link, both ways, on the wire."""
        ...

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """The tags of each point a task leaves, known before it runs."""
        ...

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Measure once. Raises ProbeError with a cause where nothing was learnt."""
        ...
