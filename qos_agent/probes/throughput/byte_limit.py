"""A limit on what an interface moves, and when it must be looked at again.

Looking before every packet would cost as much as the packet. Between two looks the
room is at most halved: by what the flows themselves carry, and in time by a link
twice as fast as it has ever been. No look need be on time for that: the kernel is
never given more to send than half of what is left.
"""

from __future__ import annotations

from qos_agent.probes.throughput.interface_counter import InterfaceCounter

_LEAST_WAIT_S, _MOST_WAIT_S = 0.001, 0.05
# A rate over less is that of a burst.
_LEAST_SPAN_S = 0.005


class ByteLimit:
    """The limit of one direction; `due_s` is the moment of the next look."""

    def __init__(self, meter: InterfaceCounter, limit_bytes: int) -> None:
        self._meter = meter
        self._limit_bytes = limit_bytes
        self._looked_s = 0.0
        self._moved_bytes = meter.moved()
        self._carried_bytes = 0
        self._fastest_bps = 1.0
        self._half_bytes = self._room_bytes = (limit_bytes - self._moved_bytes) // 2
        self.due_s = 0.0

    def is_due(self, now_s: float, carried_bytes: int) -> bool:
        """Whether the counter must be looked at, with so much carried by the flows."""
        carried = carried_bytes - self._carried_bytes
        used = 0 < min(self._half_bytes, self._room_bytes) <= carried
        return now_s >= self.due_s or used

    def room_bytes(self, carried_bytes: int) -> int:
        """What may still be handed to the kernel."""
        return self._room_bytes - (carried_bytes - self._carried_bytes)

    def rate_bps(self, now_s: float) -> float:
        """Moved since the last look, both ways."""
        return self._rate_bps(now_s, self._meter.moved())

    def _rate_bps(self, now_s: float, moved_bytes: int) -> float:
        span_s = max(now_s - self._looked_s, _LEAST_SPAN_S)
        return (moved_bytes - self._moved_bytes) * 8 / span_s

    def look(
        self, now_s: float, carried_bytes: int, coming_bytes: int, held_bytes: int
    ) -> bool:
        """Whether the limit is reached.

        `coming_bytes` are under way to us and cannot be held back; `held_bytes` the
        kernel has yet to send, and drops when the connection is reset.
        """
        moved_bytes = self._meter.moved()
        self._fastest_bps = max(self._fastest_bps, self._rate_bps(now_s, moved_bytes))
        self._looked_s, self._carried_bytes = now_s, carried_bytes
        self._moved_bytes = moved_bytes
        left_bytes = self._limit_bytes - moved_bytes - coming_bytes
        # Up: what leaves before the next look is at most half, even if we oversleep.
        self._half_bytes = (left_bytes + 1) // 2
        self._room_bytes = self._half_bytes - held_bytes
        half_s = self._half_bytes * 8 / self._fastest_bps
        self.due_s = now_s + min(max(half_s, _LEAST_WAIT_S), _MOST_WAIT_S)
        return left_bytes <= 0
