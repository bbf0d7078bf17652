"""The connections of one direction: their common interface and state."""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from typing import Literal, Protocol

from qos_agent.probes.throughput.connection import Connection

# One flow fills a slow link; a fast or lossy link needs several.
FAST_BPS = 20e6
# Data on the way is limited to this time of the fastest recent rate. Start-up doubles
# the rate in each round trip, so it needs several. A queue of seconds is never filled.
_WINDOW_ROUNDS, _WINDOW_S, _MIN_WINDOW_BYTES = 4, 0.1, 40_960
# Cellular networks have longer round trips. On shorter ones a window that follows bins
# of 50 ms would delay the start-up.
_SHORT_RTT_S = 0.015


def window_bytes(fastest_bps: float, rtt_s: float, flows: int, limit_bytes: int) -> int:
    """Return the limit of data on the way: `limit_bytes` unless the link is slow.

    A fast link empties its queue in less than a second. There a window would cut the
    flows short after each loss.
    """
    if rtt_s < _SHORT_RTT_S or fastest_bps > FAST_BPS:
        return limit_bytes
    window = int(fastest_bps / 8 * (_WINDOW_ROUNDS * rtt_s + _WINDOW_S))
    return max(window, max(1, flows) * _MIN_WINDOW_BYTES)


class Flows(Protocol):
    """The connections to one server that transfer data in one direction."""

    # True if the server decides what arrives: one round trip of data is then on the
    # way and cannot be stopped.
    pushed: bool
    carried_bytes: int
    # Data on the way at most, so that a slow link's queue holds no seconds of it.
    window_bytes: int

    @property
    def started(self) -> int:
        """The number of connections in use."""
        ...

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send the request on `count` further connections."""
        ...

    def serve(self, connection: Connection, ready: int, room_bytes: int, /) -> None:
        """Move the data of a ready connection; send at most `room_bytes`.

        Raises ProbeError if the connection breaks.
        """
        ...

    def keep_within(self, room_bytes: int, /) -> None:
        """Continue to send if the newly computed room allows it."""
        ...

    def sweep(self) -> None:
        """Read data that was too little to make its connection readable."""
        ...

    def total_bytes(self) -> float:
        """Return the TCP payload transferred so far, by the kernel's count."""
        ...

    def held_bytes(self) -> int:
        """Return the bytes that the kernel has accepted and not yet sent."""
        ...

    @property
    def content_bytes(self) -> int:
        """The bytes of the bodies so far, without the lines of chunks."""
        ...

    def blocked_by_receiver(self) -> bool:
        """Return True if a receiver takes no more of the data that waits for it."""
        ...

    def starved(self) -> bool:
        """Return True if the sender had no acknowledgements since the last call.

        A download shows it by segments that only repeat earlier ones. An upload shows
        it when all data sent some time ago has been acknowledged.
        """
        ...

    def queue_averse(self) -> bool:
        """Return True if the sender is known to fill a link without a queue."""
        ...

    def finished(self) -> Literal["bytes", "complete"] | None:
        """Return the reason why the transfer is complete, or None if it is not."""
        ...


class StartedConnections:
    """The connections of one direction, in the order in which they start."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self.all = connections
        self.count = 0
        self.selector: selectors.BaseSelector | None = None

    def start(
        self, selector: selectors.BaseSelector, count: int
    ) -> Sequence[Connection]:
        """Mark `count` further connections as started, and return them."""
        self.selector = selector
        new = self.all[self.count : self.count + count]
        self.count += len(new)
        return new

    def started(self) -> Sequence[Connection]:
        """Return the started connections."""
        return self.all[: self.count]
