"""The probe of latency and loss: one train to one target over one link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from qos_agent.config import key_file
from qos_agent.config.settings import Settings
from qos_agent.model import Deadline, ProbeResult, Sample, Target, Task, Value
from qos_agent.model.errors import ConfigError, ProbeError
from qos_agent.probes.latency import stamp_packets, summary
from qos_agent.probes.latency.icmp import IcmpTransport, open_icmp
from qos_agent.probes.latency.stamp_sender import StampTransport, open_stamp
from qos_agent.probes.latency.train import (
    NETWORK_MISSING,
    Record,
    Train,
    TrainSpec,
    Trip,
)
from qos_agent.probes.spec import ProbeSpec, intervals, on_targets
from qos_agent.system.network import AddressBook, Resolved, cause_of

_RESOLVE_S = 5.0
# Wake, phase of up to one spacing, scheduling on a busy device.
_SLACK_S = 2.0
# IPv6, UDP and Ethernet around the largest probe there is, the authenticated one.
_LARGEST_BYTES = 40 + 8 + 14 + stamp_packets.AUTHENTICATED_BYTES


@dataclass(frozen=True, slots=True)
class Latency:
    """Trains as `plan` says; `key_file` holds STAMP's key where it authenticates."""

    plan: TrainSpec
    key_file: Path | None = None
    book: AddressBook = field(default_factory=AddressBook)
    name: str = "latency"
    measurement: str = "latency"
    loads_link: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The probe for these settings."""
        section = settings.latency
        return cls(TrainSpec(section.count, section.spacing), section.stamp_key_file)

    @property
    def deadline_s(self) -> float:
        """Resolving, the wake, every probe, and the wait for the last."""
        sending_s = (self.plan.count + 1) * self.plan.spacing_s
        return _RESOLVE_S + sending_s + 2 * self.plan.wait_s + _SLACK_S

    def worst_case_bytes(self) -> int:
        """Every probe and the wake, answered."""
        return 2 * (self.plan.count + 1) * _LARGEST_BYTES

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """One point: the target's name and layer."""
        target = _target(task)
        return ({"target": target.name, "layer": str(target.layer)},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """One train. Without an answer: failed, with the counts and a cause."""
        target = _target(task)
        try:
            resolved = self.book.resolve(target.host, task.link, deadline, _RESOLVE_S)
            transport = self._open(target, task, resolved.address)
        except ProbeError as error:
            return self._not_begun(target, error)
        except OSError as error:
            failure = ProbeError(cause_of(error), str(error))
            return self._not_begun(target, failure)
        with transport:
            record = Train(self.plan, transport, deadline).run()
        return _finding(record, target, _resolution(resolved))

    def _not_begun(self, target: Target, failure: ProbeError) -> ProbeResult:
        """A train that could not leave: lost, where that is the network's doing.

        Without its counts an outage would be a hole in every ratio of sums.
        """
        if failure.cause not in NETWORK_MISSING:
            raise failure
        trips = {n: Trip(0, unsent=failure.cause) for n in range(self.plan.count)}
        finding = _finding(Record(self.plan.wait_s, trips), target, {})
        return replace(finding, detail=failure.detail)

    def _open(
        self, target: Target, task: Task, address: str
    ) -> IcmpTransport | StampTransport:
        if target.method == "icmp":
            return open_icmp(address, task.link)
        port = target.port or stamp_packets.PORT
        return open_stamp(address, port, task.link, self._key())

    def _key(self) -> bytes | None:
        """STAMP's key, read anew each time, so that a new one takes effect."""
        if self.key_file is None:
            return None
        try:
            return key_file.read_key(self.key_file)
        except ConfigError as error:
            raise ProbeError("permission", str(error)) from error


def _target(task: Task) -> Target:
    if task.target is None:
        raise ProbeError("internal", "latency needs a target")
    return task.target


def _finding(
    record: Record, target: Target, resolution: Mapping[str, Value]
) -> ProbeResult:
    found = summary.fields(record)
    received = int(found["received"])
    cause, detail = summary.cause(record, received)
    about: dict[str, Value] = {"method": target.method, **resolution}
    return ProbeResult((Sample({}, found | about),), cause, detail)


def _resolution(resolved: Resolved) -> dict[str, Value]:
    found: dict[str, Value] = {
        "address": resolved.address,
        "ip_version": 6 if ":" in resolved.address else 4,
    }
    if resolved.resolve_ms is not None:
        found["resolve_ms"] = resolved.resolve_ms
        found["resolve_failed"] = int(resolved.failed)
    return found


SPEC = ProbeSpec(
    name="latency",
    make=Latency.of,
    places=on_targets(Settings.target_list),
    intervals_s=intervals(300.0, voting_s=60.0, counting_s=60.0),
    first_delay_s=(0.1, 2.0),
    status_fields=("rtt_p50_ms", "rtt_p95_ms", "sent", "received"),
    log_fields=("rtt_p50_ms", "lost", "sent"),
)
