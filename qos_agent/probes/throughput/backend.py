"""What a throughput backend is given, what it brings back, what it must say of itself.

A backend measures one or both directions against one server, once. It decides
neither when nor how much: the order does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from qos_agent.model import Deadline, Link, Value
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema import RATE_BOUNDS_MBPS

Direction = Literal["down", "up"]
Stop = Literal["precision", "bytes", "time", "stall", "complete"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure, and how much it may move.

    `limits` holds the directions wanted, each with the bytes it may move on the
    link, both ways, on the wire. `interface` is where they are counted; None where
    the link has none that is known. `ca_file` holds the authorities to trust in place
    of the system's. `tolerance` is the half width of the interval,
    relative to the rate, at which a test may stop.
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

    @property
    def byte_limit(self) -> int:
        """All it may move."""
        return sum(self.limits.values())


@dataclass(frozen=True, slots=True)
class LoadedRtt:
    """Round trips sampled while the direction was loaded (RFC 2681)."""

    sent: int
    received: int
    sum_us: int
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """One direction measured; `data_bytes` both ways on the wire, where known."""

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

    @property
    def used_bytes(self) -> int:
        """Moved on the link; the payload alone where the wire was not watched."""
        return self.measured_bytes if self.data_bytes is None else self.data_bytes

    def fields(self) -> dict[str, Value]:
        """The fields of this direction's point; what was not measured is left out."""
        low, high = self.interval_bps or (None, None)
        found: dict[str, Value | None] = {
            "tests": 1,
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
            **self._rate_counts(),
            **self._loaded_fields(),
        }
        return {name: value for name, value in found.items() if value is not None}

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
        """Its name in configuration, and the value of the tag."""
        ...

    @property
    def licence(self) -> str:
        """Under which terms it and its servers are used."""
        ...

    @property
    def data_use(self) -> str:
        """What a test moves, in words for whoever pays for the data."""
        ...

    @property
    def byte_bound(self) -> str:
        """How the bound on bytes is kept, and by how much it may be passed."""
        ...

    @property
    def cannot_see(self) -> str:
        """What its figures do not tell, or tell wrongly."""
        ...

    def run(self, order: Order, deadline: Deadline) -> Results:
        """Measure the directions of `order.limits`, a rate or an error for each.

        Raises ProbeError where neither could be begun.
        """
        ...
