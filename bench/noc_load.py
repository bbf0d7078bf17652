"""What a census asks of its servers: how many questions, and how many at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

from qos_agent.influx.query import Server, Table


@dataclass(slots=True)
class Asked:
    """Questions so far, and the most that were under way at once."""

    questions: int = 0
    at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """One question, from its sending to the end of its answer."""
        with self._lock:
            self.questions += 1
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


@contextmanager
def watched() -> Iterator[Asked]:
    """Count the questions of this process, to whichever server.

    They are counted where they are asked: a front between the two would cost time that
    the bench is here to measure.
    """
    asked, real = Asked(), Server.tables

    def tables(self: Server, query: str) -> Iterator[Table]:
        with asked.under_way():
            found = list(real(self, query))
        yield from found

    with mock.patch.object(Server, "tables", tables):
        yield asked
