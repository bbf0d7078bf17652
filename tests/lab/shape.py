"""What a laboratory's network does to packets: the fixture's only argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["forward", "back"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "back")

# tbf counts Ethernet frames (1514 bytes); TCP with time stamps over IPv4 carries 1448.
TCP_PAYLOAD_SHARE = 1448 / 1514
TRACE_OPPORTUNITY_BYTES = 1504


@dataclass(frozen=True, slots=True)
class Shape:
    """Forward is client to server (up), back is server to client (down).

    `rate_mbps` counts Ethernet frames, in both directions; None leaves them unshaped.
    `delay_ms` is the round trip, half each way. `loss` and `loss_back` are
    probabilities. `outage` is from and to, in seconds after the laboratory is up.
    `trace` lists, as mahimahi does, the milliseconds at which one 1504-byte packet may
    go down, repeated for ever; it replaces `rate_mbps` in the back direction.
    """

    rate_mbps: float | None = None
    buffer_ms: float = 50
    delay_ms: float = 0
    loss: float = 0.0
    loss_back: float = 0.0
    outage: tuple[float, float] | None = None
    trace: tuple[int, ...] | None = None
    ipv6: bool = True

    def __post_init__(self) -> None:
        """Refuse a shape that no network could have."""
        if not (0 <= self.loss <= 1 and 0 <= self.loss_back <= 1):
            raise ValueError("loss is a probability from 0 to 1")
        if self.trace is not None and not _moves_on(self.trace):
            raise ValueError("a trace rises, and ends after its first millisecond")
        if self.outage is not None and not 0 <= self.outage[0] < self.outage[1]:
            raise ValueError("an outage ends after it begins")

    @property
    def needs_delay(self) -> bool:
        """Whether packets must be held, by netem or by the relay."""
        return self.delay_ms > 0 or self.trace is not None

    @property
    def trace_buffer_bytes(self) -> int:
        """`buffer_ms` at the trace's mean rate, and never less than ten packets."""
        if self.trace is None:
            return 0
        bytes_per_ms = len(self.trace) * TRACE_OPPORTUNITY_BYTES / self.trace[-1]
        return max(10 * TRACE_OPPORTUNITY_BYTES, int(self.buffer_ms * bytes_per_ms))


def _moves_on(trace: tuple[int, ...]) -> bool:
    return bool(trace) and trace[-1] > 0 and list(trace) == sorted(trace)
