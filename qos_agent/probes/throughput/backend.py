"""The interface of a throughput backend: its order, its results, its description.

A backend measures one or both directions against one server, once. The order sets how
much data it may move and how long it may take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from qos_agent.model import Deadline, Link, Value
from qos_agent.model.errors import ProbeError
from qos_agent.model.rate_statistics import PastTest
from qos_agent.model.schema import RATE_BOUNDS_MBPS

Direction = Literal["down", "up"]
Stop = Literal["precision", "variation", "bytes", "time", "stall", "complete"]

# Less than this is not a rate: the server sends almost nothing, or the link is down.
_MIN_PAYLOAD_BYTES = 20_000


def check_payload(payload_bytes: float, span_s: float, cause: str = "stalled") -> None:
    """Raise ProbeError if a transfer is too short for a rate."""
    if payload_bytes < _MIN_PAYLOAD_BYTES:
        raise ProbeError(cause, f"{payload_bytes:.0f} bytes in {span_s:.1f} s")


@dataclass(frozen=True, slots=True)
class Order:
    """The directions to measure, and how much data they may move.

    `limits` contains the requested directions. Each has a limit on the bytes that it
    may move on the link, in both directions, on the wire. They are counted on
    `interface`, which is None if it is not known. The authorities in `ca_file` replace
    those of the system. A test may stop if the half width of its interval is at most
    `tolerance` times the rate. `past` has the earlier tests of the link.
    """

    link: Link | None
    interface: str | None
    server: str | None
    limits: Mapping[Direction, int]
    time_limit_s: float
    tolerance: float = 0.05
    connections: int = 4
    ca_file: Path | None = None
    download_path: str = "garbage.php?ckSize=100"
    upload_path: str = "empty.php"
    past: Mapping[Direction, Sequence[PastTest]] = field(default_factory=dict)

    @property
    def byte_limit(self) -> int:
        """The bytes that all directions together may move."""
        return sum(self.limits.values())


@dataclass(frozen=True, slots=True)
class LoadedRtt:
    """Round trips (RFC 2681) measured while the direction was loaded."""

    sent: int
    received: int
    sum_us: int
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """The measured rate of one direction.

    `data_bytes` is the data in both directions on the wire; None if it is not known.
    `measured_start_s` is the start of the measured span on CLOCK_MONOTONIC. The
    interval is that of the minute around the test. `halves_bps` is the difference
    between the halves of the measured span.
    """

    rate_bps: float
    layer: Literal["tcp_payload", "ip", "application"]
    stop: Stop
    measured_bytes: int
    measured_us: int
    connections: int
    server: str
    interval_bps: tuple[float, float] | None = None
    ramp_ms: float | None = None
    congestion_control: str | None = None
    loaded: LoadedRtt | None = None
    cpu_share: float | None = None
    cross_bytes: int | None = None
    data_bytes: int | None = None
    resolved_outside: bool = False
    measured_start_s: float | None = None
    halves_bps: float | None = None

    @property
    def used_bytes(self) -> int:
        """The data moved on the link; only the payload if the wire was not counted."""
        return self.measured_bytes if self.data_bytes is None else self.data_bytes

    def past_test(self) -> PastTest | None:
        """Return the facts for later tests; None without a variation."""
        if self.halves_bps is None:
            return None
        span_s = self.measured_us / 1e6
        return PastTest(self.rate_bps, self.halves_bps, span_s, self.used_bytes)

    def fields(self) -> dict[str, Value]:
        """Return the fields of this direction's point, without values not measured."""
        low, high = self.interval_bps or (None, None)
        fields: dict[str, Value | None] = {
            "tests": 1,
            "interval_tests": int(self.interval_bps is not None),
            "rate_bps": self.rate_bps,
            "rate_low_bps": low,
            "rate_high_bps": high,
            "stop": self.stop,
            "ramp_ms": self.ramp_ms,
            "measured_bytes": self.measured_bytes,
            "measured_us": self.measured_us,
            "rate_layer": self.layer,
            "connections": self.connections,
            "congestion_control": self.congestion_control,
            "cpu_share": self.cpu_share,
            "cross_bytes": self.cross_bytes,
            "server": self.server,
            "resolve_outside": 1 if self.resolved_outside else None,
            **self._rate_counts(),
            **self._loaded_fields(),
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _rate_counts(self) -> dict[str, int]:
        return {
            f"rate_ge_{bound}": int(self.rate_bps >= bound * 1e6)
            for bound in RATE_BOUNDS_MBPS
        }

    def _loaded_fields(self) -> dict[str, Value | None]:
        if self.loaded is None:
            return {}
        return {
            "loaded_sent": self.loaded.sent,
            "loaded_received": self.loaded.received,
            "loaded_rtt_sum_us": self.loaded.sum_us,
            "loaded_rtt_p50_ms": self.loaded.p50_ms,
            "loaded_rtt_p95_ms": self.loaded.p95_ms,
        }


Results = Mapping[Direction, Rate | ProbeError]


class Backend(Protocol):
    """One way to measure throughput."""

    @property
    def name(self) -> str:
        """The name in the configuration, and the value of the tag."""
        ...

    @property
    def licence(self) -> str:
        """The licence of the backend and the terms of its servers."""
        ...

    @property
    def data_use(self) -> str:
        """The data that a test moves, for the person who pays for it."""
        ...

    @property
    def byte_bound(self) -> str:
        """The method that keeps the byte limit, and by how much it can be exceeded."""
        ...

    @property
    def cannot_see(self) -> str:
        """The limits of its results: what they leave out or measure wrongly."""
        ...

    def run(self, order: Order, deadline: Deadline) -> Results:
        """Measure the directions of `order.limits`; return a rate or error for each.

        Raises ProbeError if no direction could start.
        """
        ...
