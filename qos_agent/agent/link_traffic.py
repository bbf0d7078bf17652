"""The bytes that a link has moved since the start of the agent."""

from __future__ import annotations

from collections.abc import Callable

from qos_agent.model import Link
from qos_agent.system.network import InterfaceCount, interfaces, moved_since


class LinkTraffic:
    """Adds up the counters of a link's interface, also across its removals.

    Counters start again if a modem is plugged in again. What an interface moved that
    did not exist at the start counts from its creation on; that of another interface,
    after a change of the default route, from the change on.
    """

    def __init__(
        self, link: Link, count: Callable[[Link], InterfaceCount | None]
    ) -> None:
        self._link = link
        self._count = count
        self._old = interfaces()
        self._last = count(link)
        self._moved_bytes: int | None = None if self._last is None else 0

    def moved_bytes(self) -> int | None:
        """Return the bytes so far, or None if the link never had an interface."""
        now = self._count(self._link)
        if now is not None:
            self._moved_bytes = (self._moved_bytes or 0) + self._added_bytes(now)
            self._last = now
        return self._moved_bytes

    def _added_bytes(self, now: InterfaceCount) -> int:
        last, key = self._last, (now.interface, now.index)
        if last is not None and key == (last.interface, last.index):
            pairs = (
                (last.received_bytes, now.received_bytes),
                (last.sent_bytes, now.sent_bytes),
            )
            return sum(moved_since(*pair) for pair in pairs)
        new_bytes = 0 if key in self._old else now.moved_bytes
        self._old.add(key)
        return new_bytes


def increase(before: int, now: int) -> int:
    """Return the increase of a counter that may have started again at zero."""
    return now - before if now >= before else now
