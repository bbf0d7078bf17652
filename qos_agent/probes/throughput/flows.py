"""The flows of one direction: what is asked for, and how what arrives is counted."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Sequence
from typing import Literal, Protocol

from qos_agent import __version__
from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.connection import Connection, Endpoint, Head
from qos_agent.system.network.tcp_info import congestion_control, tcp_info

_PLAIN_BLOCK_BYTES = 262_144
# A TLS record carries no more (RFC 8446, section 5.1). OpenSSL wants a write that had
# to wait repeated as it was: one record each, always the same.
_TLS_BLOCK_BYTES = 16_384
# Algorithms that send at the rate they have measured: a queue is not their sign of a
# full link, they avoid it.
_QUEUE_AVERSE = ("bbr",)
_WINDOW_LIMITED_SHARE = 0.5


class Flows(Protocol):
    """Some connections to one server, carrying one direction."""

    # Whether the far end decides what comes: a round trip's worth is then under way.
    pushed: bool
    started: int
    carried_bytes: int

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send the request on so many further connections."""
        ...

    def serve(self, connection: Connection, ready: int, room_bytes: int, /) -> None:
        """Move what a ready connection will, handing the kernel no more than the room.

        Raises ProbeError where it breaks.
        """
        ...

    def keep_within(self, room_bytes: int, /) -> None:
        """Go on where the room, found anew, allows it."""
        ...

    def sweep(self) -> None:
        """Take what has come and is too little to wake us."""
        ...

    def total_bytes(self) -> float:
        """TCP payload carried so far, by the kernel's count."""
        ...

    def held_bytes(self) -> int:
        """What the kernel has yet to send for us."""
        ...

    def queue_averse(self) -> bool:
        """Whether the sender is known to fill a link without a queue standing."""
        ...

    def finished(self) -> Literal["bytes", "complete"] | None:
        """Why there is nothing left to carry, where that is so."""
        ...


def request(endpoint: Endpoint, method: str, path: str, *headers: str) -> bytes:
    """The head of a request."""
    lines = (
        f"{method} {endpoint.join(path)} HTTP/1.1",
        f"Host: {endpoint.authority}",
        f"User-Agent: qos-agent/{__version__}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode()


class Uploads:
    """POSTs; counted by what the other end's TCP has acknowledged.

    Selective acknowledgements count too: without them every lost packet shows as a
    pause and a burst.
    """

    pushed = False

    def __init__(
        self,
        endpoint: Endpoint,
        path: str,
        connections: Sequence[Connection],
        limit_bytes: int,
    ) -> None:
        self._request = request(
            endpoint,
            "POST",
            path,
            f"Content-Length: {limit_bytes}",
            "Content-Type: application/octet-stream",
        )
        self._connections = connections
        self._heads = {id(c): Head(endpoint.place) for c in connections}
        self._left = {id(c): limit_bytes for c in connections}
        self._resting: set[int] = set()
        secure = connections[0].secure
        size_bytes = _TLS_BLOCK_BYTES if secure else _PLAIN_BLOCK_BYTES
        # Random, so that nothing on the way can compress it.
        self._block = memoryview(os.urandom(size_bytes))
        self._buffer = bytearray(4096)
        self._selector: selectors.BaseSelector | None = None
        self._before = 0
        self.started = 0
        self.carried_bytes = 0

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send the request's head on so many further connections."""
        if self.started == 0:
            self._before = self._acked()
            self._selector = selector
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        for connection in self._connections[self.started : self.started + count]:
            connection.send(memoryview(self._request))
            selector.register(connection.sock, both, connection)
            self.started += 1

    def serve(self, connection: Connection, ready: int, room_bytes: int, /) -> None:
        """Hear a refusal, then write what the kernel takes and the room allows."""
        if ready & selectors.EVENT_READ:
            self._hear(connection)
        if ready & selectors.EVENT_WRITE:
            self._write(connection, room_bytes)

    def _hear(self, connection: Connection) -> None:
        count = connection.receive(self._buffer)
        head = self._heads[id(connection)]
        if count == 0:
            left_bytes = self._left[id(connection)]
            words = f"the server closed, {left_bytes} B before all"
            raise ProbeError("closed_early", words)
        if count is not None and not head.done:
            head.feed(bytes(self._buffer[:count]))

    def _write(self, connection: Connection, room_bytes: int) -> None:
        left_bytes = self._left[id(connection)]
        end_bytes = max(0, left_bytes - room_bytes)
        while left_bytes > end_bytes:
            size_bytes = left_bytes if connection.secure else left_bytes - end_bytes
            taken = connection.send(self._block[:size_bytes])
            if taken == 0:
                break
            left_bytes -= taken
        self.carried_bytes += self._left[id(connection)] - left_bytes
        self._left[id(connection)] = left_bytes
        if left_bytes <= end_bytes and self._selector is not None:
            # Nothing more may be written: to be told that one can would be to spin.
            self._selector.modify(connection.sock, selectors.EVENT_READ, connection)
            self._resting.add(id(connection))

    def keep_within(self, room_bytes: int, /) -> None:
        """Ask again to write, where the room had been used up."""
        if room_bytes <= 0 or self._selector is None:
            return
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        for connection in self._connections[: self.started]:
            if id(connection) in self._resting and self._left[id(connection)] > 0:
                self._selector.modify(connection.sock, both, connection)
                self._resting.remove(id(connection))

    def sweep(self) -> None:
        """Nothing: an answer wakes us, however short."""

    def total_bytes(self) -> float:
        """Bytes acknowledged since the first request."""
        return float(self._acked() - self._before)

    def _acked(self) -> int:
        infos = (tcp_info(c.sock) for c in self._connections)
        return sum(info.acked_bytes + info.sacked_bytes for info in infos)

    def held_bytes(self) -> int:
        """What waits in the send buffers."""
        started = self._connections[: self.started]
        return sum(tcp_info(c.sock).unsent_bytes for c in started)

    def queue_averse(self) -> bool:
        """Whether our own kernel paces, and no window holds it back."""
        sock: socket.socket = self._connections[0].sock
        if not congestion_control(sock).startswith(_QUEUE_AVERSE):
            return False
        return tcp_info(sock).window_share < _WINDOW_LIMITED_SHARE

    def finished(self) -> Literal["complete"] | None:
        """Whether all has arrived; a server may well answer before it has."""
        started = self._connections[: self.started]
        if any(self._left[id(c)] > 0 or not self._heads[id(c)].done for c in started):
            return None
        return "complete" if self.total_bytes() >= self.carried_bytes else None
