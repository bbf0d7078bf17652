"""The terms of the design as data types: links, targets, tasks, readings, points.

This module contains only data and Protocols. Code that decides, counts or writes is
in other packages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

Value = int | float | str


class Outcome(StrEnum):
    """The result of a slot."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Layer(StrEnum):
    """The distance of a target, so that a fault can be located."""

    GATEWAY = "gateway"
    RESOLVER = "resolver"
    ANCHOR = "anchor"
    APPLICATION = "application"


class Phase(StrEnum):
    """The phase of the election at the station's local time."""

    PRE = "pre"
    VOTING = "voting"
    COUNTING = "counting"
    POST = "post"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Identity:
    """The station that is measured, and the device that measures it."""

    station: str
    province: str
    regency: str
    time_zone: str
    device: str


@dataclass(frozen=True, slots=True)
class Link:
    """One way out of the device.

    `interface` None lets the routing table choose (one auto-detected link).
    `source_address` alone counts only if the kernel's route confirms it.
    """

    name: str
    operator: str
    interface: str | None = None
    source_address: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A host or URL to measure against, under its configured name.

    `host_ipv6` replaces `host` on a link that has a route for IPv6 only.
    """

    name: str
    host: str
    layer: Layer
    method: str = "icmp"
    port: int | None = None
    host_ipv6: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One execution of a probe, due at a slot.

    `byte_limit` is the maximum of bytes on the wire that this task may send and
    receive on its link. It is None if the probe sends only a few packets.
    """

    probe: str
    due_boot_ns: int
    link: Link | None = None
    target: Target | None = None
    byte_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The tags and fields of the probe in one point."""

    tags: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of a probe. With a `cause` the reading is failed; samples are kept.

    With a `reason` the reading is skipped, because the measurement cannot be made.
    """

    samples: Sequence[Sample]
    cause: str | None = None
    detail: str = ""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The record of a slot: exactly one for each slot, whatever the outcome.

    `boot_ns` is CLOCK_BOOTTIME at the start of the measurement. `slots` is the number
    of due slots that this reading stands for: 1, or a run of missed slots.
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
    """A line of the journal before it has a timestamp."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    boot_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """A point with its timestamp in nanoseconds since 1970: one line."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    time_ns: int


@dataclass(frozen=True, slots=True)
class ClockState:
    """The relation of wall time to boot time at this moment, and its quality.

    wall_ns = boot_ns + `offset_ns`; `error_ms` is the kernel's bound on the error.
    """

    offset_ns: int
    trusted: bool
    synced: bool
    error_ms: float | None = None


class Clock(Protocol):
    """Wall time and the time since boot, which continues during suspend."""

    boot_id: str

    def boot_ns(self) -> int:
        """Return CLOCK_BOOTTIME in nanoseconds."""
        ...

    def wall_ns(self) -> int:
        """Return CLOCK_REALTIME in nanoseconds since 1970."""
        ...

    def state(self) -> ClockState:
        """Return the relation of the two clocks, and if the wall clock is trusted."""
        ...

    def not_behind(self, newest_record_ns: int | None) -> None:
        """Note the newest record; a wall clock before it has not been set yet."""
        ...

    def compared(self, collector_offset_ms: float | None) -> None:
        """Note the difference between the wall clock and a collector's clock."""
        ...


class Memory(Protocol):
    """Storage for named values that survives a restart; the journal implements it."""

    def state(self, key: str) -> str | None:
        """Return a stored value."""
        ...

    def set_state(self, key: str, value: str) -> None:
        """Store a value."""
        ...


class Deadline(Protocol):
    """The time that a probe has left; it also ends when the agent stops."""

    def remaining_s(self) -> float:
        """Return the seconds left, never negative."""
        ...

    def wait(self, seconds: float) -> bool:
        """Sleep; return True if the time is up or the agent stops."""
        ...

    def stopping(self) -> bool:
        """Return True if the agent is stopping and the probe must return at once."""
        ...


class Probe(Protocol):
    """The code of one kind of measurement. It tries once."""

    @property
    def measurement(self) -> str:
        """The measurement of the probe's readings."""
        ...

    @property
    def loads_link(self) -> bool:
        """True if the probe fills the link, so that no other probe may run on it."""
        ...

    @property
    def deadline_s(self) -> float:
        """The maximum duration of a task."""
        ...

    def worst_case_bytes(self) -> int:
        """Return the maximum of bytes on the wire of a task, sent and received."""
        ...

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """Return the tags of each point of a task, which are known before it runs."""
        ...

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Measure once. Raises ProbeError with a cause if there is no result."""
        ...
