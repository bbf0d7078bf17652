"""The latency and loss probe: one train to one target over one link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from qos_agent.config import key_file
from qos_agent.config.settings import Settings
from qos_agent.model import Deadline, Link, ProbeResult, Sample, Target, Task, Value
from qos_agent.model.errors import ConfigError, NotMeasuredError, ProbeError
from qos_agent.probes.latency import stamp_packets, summary
from qos_agent.probes.latency.icmp import (
    NOT_PERMITTED,
    IcmpTransport,
    is_permitted,
    open_icmp,
)
from qos_agent.probes.latency.stamp_sender import StampTransport, open_stamp
from qos_agent.probes.latency.tcp_handshake import (
    HANDSHAKE_BYTES,
    MAX_COUNT,
    TcpTransport,
    open_tcp,
    tcp_fields,
)
from qos_agent.probes.latency.train import (
    NETWORK_MISSING,
    Train,
    TrainRecord,
    TrainSpec,
    Trip,
)
from qos_agent.probes.spec import ProbeSpec, intervals, on_targets
from qos_agent.system.network import (
    AddressBook,
    Resolved,
    cause_of,
    has_address,
    is_routed,
    routed_versions,
    version_of,
)

_RESOLVE_S = 5.0
# For the wake-up exchange, the random phase, and scheduling on a busy device.
_SLACK_S = 2.0
_HTTPS_PORT = 443
# IPv6, UDP and Ethernet headers, and the largest probe: an authenticated STAMP packet.
_LARGEST_BYTES = 40 + 8 + 14 + stamp_packets.AUTHENTICATED_BYTES


@dataclass(frozen=True, slots=True)
class Latency:
    """The latency probe; `key_file` holds the key for authenticated STAMP."""

    train: TrainSpec
    key_file: Path | None = None
    book: AddressBook = field(default_factory=AddressBook)
    name: str = "latency"
    measurement: str = "latency"
    loads_link: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Create the probe for these settings."""
        section = settings.latency
        return cls(TrainSpec(section.count, section.spacing), section.stamp_key_file)

    @property
    def deadline_s(self) -> float:
        """Time for name resolution, wake-up, all probes, and the last reply."""
        sending_s = (self.train.count + 1) * self.train.spacing_s
        return _RESOLVE_S + sending_s + 2 * self.train.wait_s + _SLACK_S

    def worst_case_bytes(self) -> int:
        """Return the bytes of the wake-up and all probes with their replies."""
        handshakes = min(self.train.count, MAX_COUNT) + 1
        return max(
            2 * (self.train.count + 1) * _LARGEST_BYTES, handshakes * HANDSHAKE_BYTES
        )

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """Return the tags of the one point: the target's name and layer."""
        target = _target(task)
        return ({"target": target.name, "layer": str(target.layer)},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Run one train. If no reply arrives, the result has its counts and a cause."""
        target = _measurable(_target(task))
        try:
            host = _host(target, task.link)
            resolved = self.book.resolve(host, task.link, deadline, _RESOLVE_S)
            _check_family(resolved.address, task.link)
            transport = self._open(target, task, resolved.address)
        except ProbeError as error:
            return self._not_started(target, error)
        except OSError as error:
            failure = ProbeError(cause_of(error), str(error))
            return self._not_started(target, failure)
        with transport:
            record = Train(self._spec(target), transport, deadline).run()
        return _result(record, target, _resolution(resolved))

    def _spec(self, target: Target) -> TrainSpec:
        """Return the train to a target; one of handshakes is short."""
        if target.method != "tcp":
            return self.train
        return replace(self.train, count=min(self.train.count, MAX_COUNT))

    def _not_started(self, target: Target, failure: ProbeError) -> ProbeResult:
        """Return a train that could not start as lost if the network is the cause.

        Without these counts every ratio of sums would leave out the outage.
        """
        if failure.cause not in NETWORK_MISSING:
            raise failure
        numbers = range(self._spec(target).count)
        trips = {n: Trip(0, unsent=failure.cause) for n in numbers}
        result = _result(TrainRecord(self.train.wait_s, trips), target, {})
        return replace(result, detail=failure.detail)

    def _open(
        self, target: Target, task: Task, address: str
    ) -> IcmpTransport | StampTransport | TcpTransport:
        if target.method == "icmp":
            return open_icmp(address, task.link)
        if target.method == "tcp":
            return open_tcp(address, target.port or _HTTPS_PORT, task.link)
        port = target.port or stamp_packets.PORT
        return open_stamp(address, port, task.link, self._key())

    def _key(self) -> bytes | None:
        """Read the STAMP key for each train, so that a new key takes effect."""
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


def _measurable(target: Target) -> Target:
    """Return a target with the method that this user may use.

    Raises ProbeError `permission` before a name is resolved. Otherwise an outage would
    count as loss of ICMP echoes although none can be sent.
    """
    if target.method != "icmp" or is_permitted():
        return target
    if target.port is None:
        raise ProbeError("permission", NOT_PERMITTED)
    return replace(target, method="tcp")


def _host(target: Target, link: Link | None) -> str:
    """Return the host to measure in the IP version that the link has a route for."""
    if target.host_ipv6 is None or 4 in routed_versions(link):
        return target.host
    return target.host_ipv6 if 6 in routed_versions(link) else target.host


def _check_family(address: str, link: Link | None) -> None:
    """Raise NotMeasuredError if the link's network offers only the other IP version.

    It has then neither a route nor an address in this version. With an address the
    route has vanished, which is loss (decision 024).
    """
    version = version_of(address)
    if not is_routed(link, address) and not has_address(link, version):
        raise NotMeasuredError("no_family", f"{address} is IPv{version}")


def _result(
    record: TrainRecord, target: Target, resolution: Mapping[str, Value]
) -> ProbeResult:
    fields = summary.fields(record)
    received = int(fields["received"])
    cause, detail = summary.cause(record, received)
    if target.method == "tcp":
        fields = tcp_fields(fields)
    fields |= {"method": target.method, **resolution}
    return ProbeResult((Sample({}, fields),), cause, detail)


def _resolution(resolved: Resolved) -> dict[str, Value]:
    fields: dict[str, Value] = {
        "address": resolved.address,
        "ip_version": version_of(resolved.address),
    }
    if resolved.resolve_ms is not None:
        fields["resolve_ms"] = resolved.resolve_ms
        fields["resolve_failed"] = int(resolved.failed)
    if resolved.outside:
        fields["resolve_outside"] = 1
    return fields


SPEC = ProbeSpec(
    name="latency",
    make=Latency.of,
    places=on_targets(Settings.target_list),
    intervals_s=intervals(300.0, voting_s=60.0, counting_s=60.0),
    first_delay_s=(0.1, 2.0),
    status_fields=(
        *("rtt_p50_ms", "rtt_p95_ms", "sent", "received"),
        *("tcp_rtt_p50_ms", "tcp_sent", "tcp_received"),
    ),
    log_fields=("rtt_p50_ms", "lost", "sent", "tcp_rtt_p50_ms", "tcp_lost", "tcp_sent"),
)
