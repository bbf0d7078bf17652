"""Measures the throughput of a link, down and up, within an allowance.

The backends of the link are tried in their configured order. Measured directions are
kept. A failed direction goes to the next backend, with the remaining bytes and time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from qos_agent.config.settings import Settings
from qos_agent.config.throughput import ThroughputSection
from qos_agent.model import Deadline, Link, ProbeResult, Sample, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.model.types import Memory
from qos_agent.probes.spec import ProbeSpec, intervals, on_links
from qos_agent.probes.throughput import BACKENDS
from qos_agent.probes.throughput.backend import (
    Backend,
    Direction,
    Order,
    Rate,
    Results,
)
from qos_agent.probes.throughput.history import History
from qos_agent.probes.throughput.interface_counter import InterfaceCounter, counter_of
from qos_agent.system.network import interface_of

_DIRECTIONS: tuple[Direction, ...] = ("down", "up")
# With less than this no backend can measure a rate.
_MIN_BYTES = 50_000
_MIN_S = 2.0
# At this share of a core the processor may limit the rate.
_BUSY_CPU_SHARE = 0.9


@dataclass(slots=True)
class DirectionState:
    """The progress of one direction of a task."""

    limit_bytes: int
    backend: str
    data_bytes: int = 0
    failures: list[ProbeError] = field(default_factory=list)
    rate: Rate | None = None

    def sample(
        self, direction: Direction, cross_limit: float, start_s: float
    ) -> Sample:
        """Return the point: a rate, or only the bytes used if the direction failed.

        `start_s` is the start of the task, which is the time of the point.
        """
        fields: dict[str, Value] = {"data_bytes": self.data_bytes}
        if self.rate is not None:
            fields |= self.rate.fields() | {"fallback": len(self.failures)}
            fields |= _flag(self.rate, cross_limit) | _start(self.rate, start_s)
        return Sample({"backend": self.backend, "direction": direction}, fields)


def _flag(rate: Rate, cross_limit: float) -> dict[str, Value]:
    """Return a flag, 1 if other traffic makes the rate doubtful.

    Return no field if it is unknown.
    """
    if rate.cross_bytes is None:
        return {}
    return {"cross_flagged": int(rate.cross_bytes > cross_limit * rate.measured_bytes)}


def _start(rate: Rate, start_s: float) -> dict[str, Value]:
    """Return the time from the point to the measured span, if it is known."""
    if rate.measured_start_s is None:
        return {}
    after_us = round((rate.measured_start_s - start_s) * 1e6)
    return {"measured_start_us": max(0, after_us)}


class Throughput:
    """The probe of both directions of a link; `backends` are the available ones."""

    measurement = "throughput"
    loads_link = True

    def __init__(
        self,
        settings: ThroughputSection,
        backends: Mapping[str, Backend] = BACKENDS,
        of_links: Mapping[str, ThroughputSection] = MappingProxyType({}),
    ) -> None:
        self._settings = settings
        self._of_links = of_links
        self._backends = backends
        self._history = History()

    def learn_in(self, memory: Memory) -> None:
        """Use and extend the history of each link in a memory."""
        self._history = History(memory)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the probe for these settings."""
        of_links = {
            link.name: settings.throughput_of(link.name) for link in settings.links
        }
        return cls(settings.throughput, of_links=of_links)

    def _settings_of(self, link: Link | None) -> ThroughputSection:
        return self._of_links.get(link.name, self._settings) if link else self._settings

    @property
    def deadline_s(self) -> float:
        """The configured time limit, for both directions and all fallbacks."""
        return self._settings.time_limit

    def worst_case_bytes(self) -> int:
        """Return the sum of the configured limits of both directions."""
        return self._settings.download_limit + self._settings.upload_limit

    def usual_bytes(self, link: str) -> int | None:
        """Return the mean data of a task on a link; None without enough tests."""
        sizes = [self._history.usual_bytes(link, d) for d in _DIRECTIONS]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            return None
        return min(sum(known), self.worst_case_bytes())

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """Return the tags of two points, down and up, of the first backend."""
        first = self._settings_of(task.link).order()[0]
        return tuple({"backend": first, "direction": d} for d in _DIRECTIONS)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Measure both directions; failed, with the last cause, if one has no rate."""
        interface = interface_of(task.link) if task.link is not None else None
        with counter_of(interface) as counter:
            settings = self._settings_of(task.link)
            run = _ThroughputTask(settings, task, interface, counter, self._history)
            for name in run.names:
                run.attempt(self._backends[name], deadline)
        return run.result()


class _ThroughputTask:
    """One task: its directions, and the bytes and time left for them."""

    def __init__(
        self,
        settings: ThroughputSection,
        task: Task,
        interface: str | None,
        counter: InterfaceCounter | None,
        history: History,
    ) -> None:
        self._started_s = time.monotonic()
        self._history = history
        self._settings = settings
        self._link = task.link
        self._interface = interface
        self._counter = counter
        self.names = settings.order()
        self._untried = len(self.names)
        limits = {"down": settings.download_limit, "up": settings.upload_limit}
        total = sum(limits.values())
        allowed = total if task.byte_limit is None else task.byte_limit
        self._directions: dict[Direction, DirectionState] = {
            d: DirectionState(
                min(limits[d], limits[d] * allowed // total), self.names[0]
            )
            for d in _DIRECTIONS
        }

    def attempt(self, backend: Backend, deadline: Deadline) -> None:
        """Let a backend measure the missing directions in its share of the time."""
        time_s = deadline.remaining_s() / self._untried
        self._untried -= 1
        limits = self._remaining_limits()
        if not limits or time_s < _MIN_S or deadline.stopping():
            return
        order = Order(
            link=self._link,
            interface=self._interface,
            server=self._settings.server_of(backend.name),
            limits=limits,
            time_limit_s=time_s,
            tolerance=self._settings.tolerance,
            connections=self._settings.connections,
            ca_file=self._settings.ca_file,
            download_path=self._settings.download_path,
            upload_path=self._settings.upload_path,
            past={name: self._history.past(self._link_name(), name) for name in limits},
        )
        before_bytes = self._moved_bytes()
        results = _results(backend, order, deadline)
        self._record(backend.name, results, self._moved_bytes() - before_bytes)

    def _remaining_limits(self) -> dict[Direction, int]:
        """Return the bytes left for each direction without a rate."""
        limits = {
            name: direction.limit_bytes - direction.data_bytes
            for name, direction in self._directions.items()
            if direction.rate is None
        }
        return {name: size for name, size in limits.items() if size >= _MIN_BYTES}

    def _moved_bytes(self) -> int:
        return self._counter.moved() if self._counter is not None else 0

    def _record(self, backend: str, results: Results, moved_bytes: int) -> None:
        """Record each result.

        Bytes that belong to no rate count for the failed direction.
        """
        unclaimed_bytes = moved_bytes
        for name, result in results.items():
            direction = self._directions[name]
            direction.backend = backend
            if isinstance(result, Rate):
                direction.rate = result
                direction.data_bytes += result.used_bytes
                unclaimed_bytes -= result.used_bytes
            else:
                direction.failures.append(result)
        failed = [name for name, r in results.items() if not isinstance(r, Rate)]
        first = self._directions[(failed or list(results))[0]]
        first.data_bytes += max(0, unclaimed_bytes)

    def _link_name(self) -> str:
        return self._link.name if self._link is not None else ""

    def _learn(self) -> None:
        """Keep the tests that describe the link, and not other traffic on it."""
        for name, direction in self._directions.items():
            rate = direction.rate
            test = None if rate is None else rate.past_test()
            if rate is None or test is None:
                continue
            doubtful = _flag(rate, self._settings.cross_limit).get("cross_flagged")
            if not doubtful and (rate.cpu_share or 0.0) < _BUSY_CPU_SHARE:
                self._history.add(self._link_name(), name, test)

    def result(self) -> ProbeResult:
        """Return both points; failed if a direction has no rate."""
        self._learn()
        limit, start_s = self._settings.cross_limit, self._started_s
        samples = tuple(
            d.sample(name, limit, start_s) for name, d in self._directions.items()
        )
        for name, direction in self._directions.items():
            if direction.rate is None:
                error = _last_error(direction)
                return ProbeResult(samples, error.cause, f"{name}: {error.detail}")
        return ProbeResult(samples)


def _last_error(direction: DirectionState) -> ProbeError:
    """Return the last failure, or why no backend was started."""
    if direction.failures:
        return direction.failures[-1]
    too_little = direction.limit_bytes < _MIN_BYTES
    return ProbeError("allowance" if too_little else "deadline", "not started")


def _results(backend: Backend, order: Order, deadline: Deadline) -> Results:
    """Return the backend's results; an error that it raises counts for each one."""
    try:
        return backend.run(order, deadline)
    except ProbeError as error:
        return dict.fromkeys(order.limits, error)


SPEC = ProbeSpec(
    name="throughput",
    make=Throughput.of,
    places=on_links(),
    intervals_s=intervals(21600.0, voting_s=3600.0, counting_s=7200.0),
    first_delay_s=(12.0, 18.0),
    heavy=True,
    status_fields=("rate_bps", "data_bytes"),
    log_fields=("rate_bps",),
)
