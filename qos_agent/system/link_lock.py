"""A readers-writer lock for each link.

Measurements share it; a task that loads the link has it exclusively.

Throughput tests, form uploads and the uplink's backlog load a link. A latency train at
the same time would measure our own traffic (perfSONAR isolates its tests likewise).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class LinkLock:
    """A lock for each link, shared by measurements and exclusive to what loads it.

    A task that waits for exclusive use holds back new measurements. Otherwise a series
    of trains could delay the hourly throughput test without end.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shared: Counter[str] = Counter()
        self._exclusive: set[str] = set()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def shared(self, link: str, wait_s: float) -> Iterator[bool]:
        """Share `link` with other measurements; yield False if it stays loaded."""
        with self._changed:
            entered = self._changed.wait_for(lambda: self._can_share(link), wait_s)
            if entered:
                self._shared[link] += 1
        try:
            yield entered
        finally:
            if entered:
                with self._changed:
                    self._shared[link] -= 1
                    self._changed.notify_all()

    @contextmanager
    def exclusive(self, link: str, wait_s: float) -> Iterator[bool]:
        """Use `link` alone; yield False if it stays in use."""
        with self._changed:
            self._waiting[link] += 1
            entered = self._changed.wait_for(lambda: self._is_free(link), wait_s)
            self._waiting[link] -= 1
            if entered:
                self._exclusive.add(link)
            self._changed.notify_all()
        try:
            yield entered
        finally:
            if entered:
                with self._changed:
                    self._exclusive.discard(link)
                    self._changed.notify_all()

    def _can_share(self, link: str) -> bool:
        return link not in self._exclusive and not self._waiting[link]

    def _is_free(self, link: str) -> bool:
        return link not in self._exclusive and not self._shared[link]
