"""A limit on the bytes of an interface, and when its counter must be read again.

A read before every packet would cost as much as the packet. Between two reads at most
half of the remaining bytes can be sent. The next read is due when the connections have
sent half, or when a link twice as fast as measured could have. A late read is safe: the
kernel holds at most half of the remaining bytes.
"""

from __future__ import annotations

from qos_agent.probes.throughput.interface_counter import InterfaceCounter

_MIN_WAIT_S, _MAX_WAIT_S = 0.001, 0.05
# A rate over a shorter time is the rate of a burst.
_MIN_SPAN_S = 0.005


class ByteLimit:
    """The limit of one direction; `due_s` is the time of the next read."""

    def __init__(self, counter: InterfaceCounter, limit_bytes: int) -> None:
        self._counter = counter
        self._limit_bytes = limit_bytes
        self._read_at_s = 0.0
        self._moved_bytes = counter.moved()
        self._carried_bytes = 0
        self._max_bps = 1.0
        self._half_bytes = self._room_bytes = (limit_bytes - self._moved_bytes) // 2
        self.due_s = 0.0

    def is_due(self, now_s: float, carried_bytes: int) -> bool:
        """Return True if the counter must be read.

        `carried_bytes` is the data that the flows have transferred so far.
        """
        carried = carried_bytes - self._carried_bytes
        used_up = 0 < min(self._half_bytes, self._room_bytes) <= carried
        return now_s >= self.due_s or used_up

    def room_bytes(self, carried_bytes: int) -> int:
        """Return the bytes that may still be given to the kernel."""
        return self._room_bytes - (carried_bytes - self._carried_bytes)

    def rate_bps(self, now_s: float) -> float:
        """Return the rate since the last read, in both directions."""
        return self._rate_bps(now_s, self._counter.moved())

    def _rate_bps(self, now_s: float, moved_bytes: int) -> float:
        span_s = max(now_s - self._read_at_s, _MIN_SPAN_S)
        return (moved_bytes - self._moved_bytes) * 8 / span_s

    def is_reached(
        self, now_s: float, carried_bytes: int, coming_bytes: int, held_bytes: int
    ) -> bool:
        """Read the counter; return True if the limit is reached.

        `coming_bytes` are on the way from the server and cannot be stopped.
        `held_bytes` are in the kernel's send buffers and are dropped by a reset.
        """
        moved_bytes = self._counter.moved()
        self._max_bps = max(self._max_bps, self._rate_bps(now_s, moved_bytes))
        self._read_at_s, self._carried_bytes = now_s, carried_bytes
        self._moved_bytes = moved_bytes
        left_bytes = self._limit_bytes - moved_bytes - coming_bytes
        # An upload sends at most half of this before the next read, even a late one.
        self._half_bytes = (left_bytes + 1) // 2
        self._room_bytes = self._half_bytes - held_bytes
        half_s = self._half_bytes * 8 / self._max_bps
        self.due_s = now_s + min(max(half_s, _MIN_WAIT_S), _MAX_WAIT_S)
        return left_bytes <= 0
