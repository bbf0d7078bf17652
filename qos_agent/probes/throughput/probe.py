"""Throughput: how fast the link carries data, down and up, within an allowance.

The backends of the link are tried in their configured order. What one of them
measured is kept; only the directions it failed in go to the next, with what is left
of the bytes and of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from qos_agent.config.settings import Settings
from qos_agent.config.throughput import ThroughputSection
from qos_agent.model import Deadline, Link, ProbeResult, Sample, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.spec import ProbeSpec, intervals, on_links
from qos_agent.probes.throughput import BACKENDS
from qos_agent.probes.throughput.backend import (
    Backend,
    Direction,
    Order,
    Rate,
    Results,
)
from qos_agent.probes.throughput.interface_counter import InterfaceCounter
from qos_agent.system.network import interface_of

_DIRECTIONS: tuple[Direction, ...] = ("down", "up")
# With less, no backend can say anything.
_LEAST_BYTES = 50_000
_LEAST_S = 2.0


@dataclass(slots=True)
class DirectionState:
    """One direction of a task, as far as it has come."""

    limit_bytes: int
    backend: str
    data_bytes: int = 0
    failures: list[ProbeError] = field(default_factory=list)
    rate: Rate | None = None

    def sample(self, direction: Direction, cross_limit: float) -> Sample:
        """Its point: a rate, or the bytes that failing took."""
        fields: dict[str, Value] = {"data_bytes": self.data_bytes}
        if self.rate is not None:
            fields |= self.rate.fields() | {"fallback": len(self.failures)}
            fields |= _flag(self.rate, cross_limit)
        return Sample({"backend": self.backend, "direction": direction}, fields)


def _flag(rate: Rate, cross_limit: float) -> dict[str, Value]:
    """Whether other traffic makes the rate doubtful; nothing where it is unknown."""
    if rate.cross_bytes is None:
        return {}
    return {"cross_flagged": int(rate.cross_bytes > cross_limit * rate.measured_bytes)}


class Throughput:
    """The probe of both directions of a link; `backends` by name, to choose from."""

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

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The probe for these settings."""
        of_links = {
            link.name: settings.throughput_of(link.name) for link in settings.links
        }
        return cls(settings.throughput, of_links=of_links)

    def _settings_of(self, link: Link | None) -> ThroughputSection:
        return self._of_links.get(link.name, self._settings) if link else self._settings

    @property
    def deadline_s(self) -> float:
        """The configured limit: both directions and every fall-back."""
        return self._settings.time_limit

    def worst_case_bytes(self) -> int:
        """The configured limits of both directions together."""
        return self._settings.download_limit + self._settings.upload_limit

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """Two points, down and up, of the backend that is tried first."""
        first = self._settings_of(task.link).order()[0]
        return tuple({"backend": first, "direction": d} for d in _DIRECTIONS)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Both directions; failed, with the last cause, where one has no rate."""
        interface = interface_of(task.link) if task.link is not None else None
        with ExitStack() as stack:
            meter = None
            if interface is not None:
                meter = stack.enter_context(InterfaceCounter(interface))
            run = _Run(self._settings_of(task.link), task, interface, meter)
            for name in run.names:
                run.attempt(self._backends[name], deadline)
        return run.finding()


class _Run:
    """One task under way: its legs, and what is left for those not yet measured."""

    def __init__(
        self,
        settings: ThroughputSection,
        task: Task,
        interface: str | None,
        meter: InterfaceCounter | None,
    ) -> None:
        self._settings = settings
        self._link = task.link
        self._interface = interface
        self._meter = meter
        self.names = settings.order()
        self._untried = len(self.names)
        limits = {"down": settings.download_limit, "up": settings.upload_limit}
        whole = sum(limits.values())
        allowed = whole if task.byte_limit is None else task.byte_limit
        self._legs: dict[Direction, DirectionState] = {
            d: DirectionState(
                min(limits[d], limits[d] * allowed // whole), self.names[0]
            )
            for d in _DIRECTIONS
        }

    def attempt(self, backend: Backend, deadline: Deadline) -> None:
        """Let a backend measure what is still wanting, in its share of the time."""
        time_s = deadline.remaining_s() / self._untried
        self._untried -= 1
        limits = self._left()
        if not limits or time_s < _LEAST_S or deadline.stopping():
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
        )
        before = self._moved()
        results = _results(backend, order, deadline)
        self._keep(backend.name, results, self._moved() - before)

    def _left(self) -> dict[Direction, int]:
        """The directions still wanting that have bytes left to be tried with."""
        left = {
            d: leg.limit_bytes - leg.data_bytes
            for d, leg in self._legs.items()
            if leg.rate is None
        }
        return {d: size for d, size in left.items() if size >= _LEAST_BYTES}

    def _moved(self) -> int:
        return self._meter.moved() if self._meter is not None else 0

    def _keep(self, backend: str, results: Results, moved_bytes: int) -> None:
        """Note each result; bytes that no rate answers for are a failed direction's."""
        unclaimed = moved_bytes
        for direction, result in results.items():
            leg = self._legs[direction]
            leg.backend = backend
            if isinstance(result, Rate):
                leg.rate = result
                leg.data_bytes += result.used_bytes
                unclaimed -= result.used_bytes
            else:
                leg.failures.append(result)
        failed = [d for d, r in results.items() if not isinstance(r, Rate)]
        self._legs[(failed or list(results))[0]].data_bytes += max(0, unclaimed)

    def finding(self) -> ProbeResult:
        """What the task brings back."""
        limit = self._settings.cross_limit
        samples = tuple(leg.sample(d, limit) for d, leg in self._legs.items())
        wanting = {d: leg for d, leg in self._legs.items() if leg.rate is None}
        for direction, leg in wanting.items():
            last = leg.failures[-1] if leg.failures else self._untouched(leg)
            return ProbeResult(samples, last.cause, f"{direction}: {last.detail}")
        return ProbeResult(samples)

    def _untouched(self, leg: DirectionState) -> ProbeError:
        """Why no backend was let near a direction."""
        too_little = leg.limit_bytes < _LEAST_BYTES
        return ProbeError("allowance" if too_little else "deadline", "not begun")


def _results(backend: Backend, order: Order, deadline: Deadline) -> Results:
    """The backend's results; an error that it raised is every direction's."""
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
