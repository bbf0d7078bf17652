"""A proxy behaviour that counts requests, and how many run at the same time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.servers.answers import Exchange, Pass


@dataclass
class Counted:
    """Passes every request on and counts those under way."""

    reads: ClassVar[float] = 1.0
    requests: int = 0
    at_once: int = 0
    _now: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def play(self, exchange: Exchange) -> None:
        """Count one request from its arrival to the end of its response."""
        with self._lock:
            self.requests += 1
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            Pass().play(exchange)
        finally:
            with self._lock:
                self._now -= 1
