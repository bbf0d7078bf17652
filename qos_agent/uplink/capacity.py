"""Points that a collector refuses because one of its capacity limits is reached.

InfluxDB 1.8 with an inmem index refuses new series above `max-series-per-database` and
new tag values above `max-values-per-tag`. It stores the other points of the request.
The refused points stay claimed here, so that they do not delay the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from qos_agent.journal import Batch

# The lines are in memory: 2000 lines of 760 bytes are 1.5 MB. The backlog waits from
# half of it, so that new points have space.
_POINTS_MAX = 2000
_ATTEMPT_MAX = 10
_WAIT_FIRST_S = 1.0


class CapacityHold:
    """The refused points of one collector, and the time of the next attempt.

    An attempt sends only a few refused points, in turn. If the collector accepts
    them, the others are queued again.
    """

    def __init__(
        self, backoff_s: float, random_s: Callable[[float, float], float]
    ) -> None:
        self._message = ""
        self._backoff_s = backoff_s
        self._random_s = random_s
        self._parts: deque[Batch] = deque()
        self._attempts = 0
        self._retry_boot_ns = 0

    @property
    def points(self) -> int:
        """The number of points."""
        return sum(map(len, self._parts))

    @property
    def message(self) -> str | None:
        """The message of the last refusal, or None without refused points."""
        return self._message if self._parts else None

    @property
    def is_full(self) -> bool:
        """True if no more points of the backlog should be tried."""
        return self.points >= _POINTS_MAX // 2

    def add(self, part: Batch, message: str, now_boot_ns: int) -> list[Batch]:
        """Keep a refused part; return the parts that have no space any more."""
        self._message = message
        if not self._attempts:
            self._schedule(now_boot_ns)
        self._parts.append(part)
        removed = []
        while self.points > _POINTS_MAX:
            removed.append(self._parts.popleft())
        return removed

    def attempt(self, now_boot_ns: int) -> Batch | None:
        """Return the points to send again now, or None; each time it waits longer."""
        if not self._parts or now_boot_ns < self._retry_boot_ns:
            return None
        self._schedule(now_boot_ns)
        part = self._parts.popleft()
        if len(part) > _ATTEMPT_MAX:
            self._parts.append(part.part(_ATTEMPT_MAX, len(part)))
        return part.part(0, _ATTEMPT_MAX)

    def clear(self) -> list[Batch]:
        """Return all parts to be queued again: the limit was raised."""
        parts = list(self._parts)
        self._parts.clear()
        self._attempts = 0
        return parts

    def _schedule(self, now_boot_ns: int) -> None:
        wait_s = min(self._backoff_s, _WAIT_FIRST_S * 2**self._attempts)
        self._attempts = min(self._attempts + 1, 30)
        wait_s *= self._random_s(0.5, 1.0)
        self._retry_boot_ns = now_boot_ns + int(wait_s * 1e9)
