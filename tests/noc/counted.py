"""A server's questions as they pass: how many, how many at once, how large."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.servers.answers import Exchange, Pass
from tests.servers.database import HttpAnswer


@dataclass
class Counted:
    """Passes every request on and keeps count; rows are those of InfluxQL's answers."""

    reads: ClassVar[float] = 1.0
    requests: int = 0
    at_once: int = 0
    rows: int = 0
    bytes: int = 0
    _now: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def play(self, exchange: Exchange) -> None:
        with self._lock:
            self.requests += 1
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            Pass().play(_Seen(exchange, self))
        finally:
            with self._lock:
                self._now -= 1

    def see(self, answer: HttpAnswer) -> None:
        """Count an answer."""
        with self._lock:
            self.bytes += len(answer.body)
            self.rows += _rows(answer)


@dataclass
class _Seen:
    exchange: Exchange
    counted: Counted

    def forward(self, path: str, headers: Mapping[str, str]) -> HttpAnswer:
        answer = self.exchange.forward(path, {**headers, "accept-encoding": "identity"})
        self.counted.see(answer)
        return answer

    def reply(
        self, answer: HttpAnswer, sent_share: float = 1.0, *, last: bool = False
    ) -> None:
        self.exchange.reply(answer, sent_share, last=last)

    def close(self) -> None:
        self.exchange.close()

    def reset(self) -> None:
        self.exchange.reset()

    def wait(self, limit_s: float) -> bool:
        return self.exchange.wait(limit_s)


def _rows(answer: HttpAnswer) -> int:
    found = json.loads(answer.body or b"{}").get("results", [])
    series = [one for result in found for one in result.get("series", ())]
    return sum(len(one.get("values", ())) for one in series)
