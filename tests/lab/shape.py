"""The shape of a laboratory's network: rate, delay, loss and outage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["forward", "back"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "back")

# tbf counts Ethernet frames of 1514 bytes; TCP with timestamps over IPv4 has 1448 of
# payload in each.
TCP_PAYLOAD_SHARE = 1448 / 1514
TRACE_OPPORTUNITY_BYTES = 1500


@dataclass(frozen=True, slots=True)
class Shape:
    """Forward is client to server (up), back is server to client (down).

    `rate_mbps` counts Ethernet frames in both directions; None sets no limit.
    `delay_ms` is the round trip, half in each direction. `loss` and `loss_back` are
    probabilities. `outage` is start and end in seconds after the start of the
    laboratory. `trace` has the format of mahimahi: the milliseconds at which one packet
    of 1500 bytes may go down, repeated endlessly. It replaces `rate_mbps` in the back
    direction, and `trace_up` in the forward one. `trace_queue_bytes` is the size of
    their drop-tail queues; by default it is `buffer_ms` of the trace's mean rate.
    """

    rate_mbps: float | None = None
    buffer_ms: float = 50
    delay_ms: float = 0
    loss: float = 0.0
    loss_back: float = 0.0
    outage: tuple[float, float] | None = None
    trace: tuple[int, ...] | None = None
    trace_up: tuple[int, ...] | None = None
    trace_queue_bytes: int | None = None
    ipv6: bool = True

    def __post_init__(self) -> None:
        """Reject an impossible shape."""
        if not (0 <= self.loss <= 1 and 0 <= self.loss_back <= 1):
            raise ValueError("loss must be a probability from 0 to 1")
        if not all(map(_is_rising, filter(None, (self.trace, self.trace_up)))):
            raise ValueError("trace must be ascending and end after 0 ms")
        if self.outage is not None and not 0 <= self.outage[0] < self.outage[1]:
            raise ValueError("outage must end after its start")

    @property
    def needs_delay(self) -> bool:
        """True if netem or the relay must delay packets."""
        return self.delay_ms > 0 or bool(self.trace or self.trace_up)

    def trace_of(self, direction: Direction) -> tuple[int, ...] | None:
        """Return the trace of a direction."""
        return self.trace_up if direction == "forward" else self.trace

    def queue_bytes(self, direction: Direction) -> int:
        """Return the queue of a direction's trace, by default at least ten packets."""
        trace = self.trace_of(direction)
        if trace is None:
            return 0
        if self.trace_queue_bytes is not None:
            return self.trace_queue_bytes
        bytes_per_ms = len(trace) * TRACE_OPPORTUNITY_BYTES / trace[-1]
        return max(10 * TRACE_OPPORTUNITY_BYTES, int(self.buffer_ms * bytes_per_ms))


def _is_rising(trace: tuple[int, ...]) -> bool:
    return trace[-1] > 0 and list(trace) == sorted(trace)
