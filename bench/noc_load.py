"""Counts the queries of a census, and how many run at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

from qos_agent.influx.query import Server, Table


@dataclass(slots=True)
class QueryCount:
    """The number of queries so far, and the highest number at the same time."""

    queries: int = 0
    at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count one query from its request to the end of its response."""
        with self._lock:
            self.queries += 1
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


@contextmanager
def watched() -> Iterator[QueryCount]:
    """Count the queries of this process to any server.

    They are counted in the client, because a proxy would add to the measured time.
    """
    count, real = QueryCount(), Server.tables

    def counted(self: Server, query: str) -> Iterator[Table]:
        with count.under_way():
            tables = list(real(self, query))
        yield from tables

    with mock.patch.object(Server, "tables", counted):
        yield count
