"""Readings wait here for their commit: one write a cycle, not one a reading.

Six readings a minute cost an SD card four times the bytes when each has its own
sync. What waits here is lost in a power cut; what `commit` returned from is not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from qos_agent.agent.ledger import Ledger
from qos_agent.model import Clock, ClockState, Identity, Point, Reading
from qos_agent.model.errors import StorageError
from qos_agent.model.line_protocol import points

_log = logging.getLogger(__name__)


class Store(Protocol):
    """What the recorder needs of the journal."""

    def put(self, points: Sequence[Point], clock: ClockState, boot_id: str) -> range:
        """Store the points in one transaction; their sequence numbers."""
        ...


class Recorder:
    """Collects readings of all threads and commits them together."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        clock: Clock,
        ledger: Ledger,
        committed: Callable[[Sequence[Reading]], None],
    ) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock
        self._ledger = ledger
        self._committed = committed
        self._lock = threading.Lock()
        self._waiting: list[Reading] = []
        self._failures = 0

    def add(self, reading: Reading) -> None:
        """Keep a reading for the next commit."""
        with self._lock:
            self._waiting.append(reading)

    def commit(self) -> int:
        """Write what waits; the number of points. On a full disk it stays waiting."""
        with self._lock:
            batch = list(self._waiting)
        rows = [p for reading in batch for p in points(reading, self._identity)]
        if not rows:
            return 0
        try:
            self._store.put(rows, self._clock.state(), self._clock.boot_id)
        except StorageError as error:
            self._complain(error)
            return 0
        self._failures = 0
        with self._lock:
            del self._waiting[: len(batch)]
        self._ledger.count(batch, len(rows))
        self._committed(batch)
        return len(rows)

    def _complain(self, error: StorageError) -> None:
        """Say it the first time and then every hundredth: a full disk stays full."""
        if self._failures % 100 == 0:
            _log.error("readings wait in memory: %s", error)
        self._failures += 1
