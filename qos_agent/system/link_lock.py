"""Who may use a link now: many measurers, or one that loads it, never both.

Throughput tests, form uploads and the uplink's backlog load a link; a latency
train beside them would measure our own traffic (perfSONAR's isolation rule).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class LinkLock:
    """A lock per link, shared by measurers and exclusive to loaders.

    A waiting loader holds back new measurers, so that trains in a row cannot
    starve the hourly throughput test.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._measuring: Counter[str] = Counter()
        self._loading: set[str] = set()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def shared(self, link: str, wait_s: float) -> Iterator[bool]:
        """Use `link` beside other measurers; yields False when it stays loaded."""
        with self._changed:
            entered = self._changed.wait_for(lambda: self._quiet(link), wait_s)
            self._measuring[link] += entered
        try:
            yield entered
        finally:
            self._leave(self._measuring, link, entered)

    @contextmanager
    def exclusive(self, link: str, wait_s: float) -> Iterator[bool]:
        """Use `link` alone; yields False when others stay on it."""
        with self._changed:
            self._waiting[link] += 1
            entered = self._changed.wait_for(lambda: self._empty(link), wait_s)
            self._waiting[link] -= 1
            if entered:
                self._loading.add(link)
            self._changed.notify_all()
        try:
            yield entered
        finally:
            if entered:
                with self._changed:
                    self._loading.discard(link)
                    self._changed.notify_all()

    def waiting(self, link: str) -> bool:
        """True while somebody waits to load `link`."""
        with self._changed:
            return self._waiting[link] > 0

    def _quiet(self, link: str) -> bool:
        return link not in self._loading and not self._waiting[link]

    def _empty(self, link: str) -> bool:
        return link not in self._loading and not self._measuring[link]

    def _leave(self, users: Counter[str], link: str, entered: bool) -> None:
        with self._changed:
            users[link] -= entered
            self._changed.notify_all()
