"""A server's questions as they pass: how many, and how many at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.servers.answers import Exchange, Pass


@dataclass
class Counted:
    """Passes every request on and keeps count of those under way."""

    reads: ClassVar[float] = 1.0
    requests: int = 0
    at_once: int = 0
    _now: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def play(self, exchange: Exchange) -> None:
        with self._lock:
            self.requests += 1
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            Pass().play(exchange)
        finally:
            with self._lock:
                self._now -= 1
