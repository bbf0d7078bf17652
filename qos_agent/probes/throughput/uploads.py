"""Uploads of the frugal test: POST requests, counted by what the peer acknowledged."""

from __future__ import annotations

import os
import selectors
from collections.abc import Sequence
from typing import Literal

from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.connection import (
    Connection,
    MeasurementHead,
    ServerEndpoint,
)
from qos_agent.probes.throughput.flows import StartedConnections
from qos_agent.system.network.tcp_info import congestion_control, tcp_info

_PLAIN_BLOCK_BYTES = 262_144
# A TLS record is no longer than this (RFC 8446, section 5.1). OpenSSL requires that a
# write that had to wait is repeated with the same data. So each write is one record,
# and all records are equal.
_TLS_BLOCK_BYTES = 16_384
# Algorithms that send at the rate that they have measured. They avoid a queue, so a
# missing queue does not mean that the link has room.
_QUEUE_AVERSE = ("bbr",)
_WINDOW_LIMITED_SHARE = 0.5
# The acknowledgement of the last two segments may be late (RFC 1122, 4.2.3.2).
_LAST_SEGMENTS_BYTES = 2_896
_READ_AND_WRITE = selectors.EVENT_READ | selectors.EVENT_WRITE


class Uploads:
    """POST requests, counted by the bytes that the peer's TCP has acknowledged.

    Selective acknowledgements count too. Without them every lost packet would show as
    a pause and a burst.
    """

    pushed = False

    def __init__(
        self,
        endpoint: ServerEndpoint,
        path: str,
        connections: Sequence[Connection],
        limit_bytes: int,
    ) -> None:
        self._request = endpoint.request(
            "POST",
            path,
            f"Content-Length: {limit_bytes}",
            "Content-Type: application/octet-stream",
        )
        self._connections = StartedConnections(connections)
        self._heads = {id(c): MeasurementHead(endpoint.target) for c in connections}
        self._limit_bytes = limit_bytes
        self._left_bytes = {id(c): limit_bytes for c in connections}
        self._paused: set[int] = set()
        secure = connections[0].secure
        size_bytes = _TLS_BLOCK_BYTES if secure else _PLAIN_BLOCK_BYTES
        # Random, so that no device on the path can compress it.
        self._block = memoryview(os.urandom(size_bytes))
        self._buffer = bytearray(4096)
        self._acked_before = 0
        self._sent_bytes = (0, 0)
        self.carried_bytes = 0
        self.window_bytes = limit_bytes

    @property
    def started(self) -> int:
        """The number of connections in use."""
        return self._connections.count

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send the head of the request on `count` further connections."""
        if self.started == 0:
            self._acked_before = self._acked_bytes()
        for connection in self._connections.start(selector, count):
            connection.send(memoryview(self._request))
            selector.register(connection.sock, _READ_AND_WRITE, connection)

    def serve(self, connection: Connection, ready: int, room_bytes: int, /) -> None:
        """Read a refusal, then send what the kernel accepts and the room allows."""
        if ready & selectors.EVENT_READ:
            self._read(connection)
        if ready & selectors.EVENT_WRITE:
            self._write(connection, room_bytes)

    def _read(self, connection: Connection) -> None:
        count = connection.receive(self._buffer)
        head = self._heads[id(connection)]
        if count == 0:
            left_bytes = self._left_bytes[id(connection)]
            detail = f"the server closed with {left_bytes} B left to send"
            raise ProbeError("closed_early", detail)
        if count is not None and not head.done:
            head.feed(bytes(self._buffer[:count]))

    def _write(self, connection: Connection, room_bytes: int) -> None:
        left_bytes = self._left_bytes[id(connection)]
        room_bytes = max(0, min(room_bytes, self._window_room_bytes(connection)))
        end_bytes = max(0, left_bytes - room_bytes)
        while left_bytes > end_bytes:
            size_bytes = left_bytes if connection.secure else left_bytes - end_bytes
            sent_bytes = connection.send(self._block[:size_bytes])
            if sent_bytes == 0:
                break
            left_bytes -= sent_bytes
        self.carried_bytes += self._left_bytes[id(connection)] - left_bytes
        self._left_bytes[id(connection)] = left_bytes
        selector = self._connections.selector
        if left_bytes <= end_bytes and selector is not None:
            # Stop watching for writability, or the selector would return at once.
            selector.modify(connection.sock, selectors.EVENT_READ, connection)
            self._paused.add(id(connection))

    def _window_room_bytes(self, connection: Connection) -> int:
        """Return the bytes that this connection's share of the window still allows."""
        info = tcp_info(connection.sock)
        sent_bytes = self._limit_bytes - self._left_bytes[id(connection)]
        arrived_bytes = info.acked_bytes + info.sacked_bytes
        return self.window_bytes // self.started - max(0, sent_bytes - arrived_bytes)

    def keep_within(self, room_bytes: int, /) -> None:
        """Watch for writability again if the room had been used up."""
        selector = self._connections.selector
        if room_bytes <= 0 or selector is None:
            return
        for connection in self._connections.started():
            if id(connection) in self._paused and self._left_bytes[id(connection)] > 0:
                selector.modify(connection.sock, _READ_AND_WRITE, connection)
                self._paused.remove(id(connection))

    def sweep(self) -> None:
        """Do nothing: every response, however short, makes its socket readable."""

    def total_bytes(self) -> float:
        """Return the bytes acknowledged since the first request."""
        return float(self._acked_bytes() - self._acked_before)

    def _acked_bytes(self) -> int:
        infos = (tcp_info(c.sock) for c in self._connections.all)
        return sum(info.acked_bytes + info.sacked_bytes for info in infos)

    def held_bytes(self) -> int:
        """Return the bytes that wait in the send buffers."""
        started = self._connections.started()
        return sum(tcp_info(c.sock).unsent_bytes for c in started)

    @property
    def content_bytes(self) -> int:
        """The bytes that the kernel accepted."""
        return self.carried_bytes

    def blocked_by_receiver(self) -> bool:
        """Return True if all data waits for windows that the server has closed.

        In an outage of the link, sent data waits for its acknowledgement.
        """
        infos = [tcp_info(c.sock) for c in self._connections.started()]
        waiting = [i for i in infos if i.unsent_bytes or i.unacked_segments]
        return bool(waiting) and not any(i.unacked_segments for i in waiting)

    def starved(self) -> bool:
        """Return True if all that was sent by the call before the last has arrived.

        A queue in front of an interrupted link empties at the rate of the link, and not
        at once.
        """
        before_bytes, last_bytes = self._sent_bytes
        self._sent_bytes = last_bytes, self.carried_bytes - self.held_bytes()
        return self.total_bytes() >= before_bytes - self.started * _LAST_SEGMENTS_BYTES

    def queue_averse(self) -> bool:
        """Return True if this kernel paces the sender and no window limits it."""
        sock = self._connections.all[0].sock
        if not congestion_control(sock).startswith(_QUEUE_AVERSE):
            return False
        return tcp_info(sock).window_share < _WINDOW_LIMITED_SHARE

    def finished(self) -> Literal["complete"] | None:
        """Return `complete` when all has arrived; a server may answer before that."""
        for connection in self._connections.started():
            done = self._heads[id(connection)].done
            if self._left_bytes[id(connection)] > 0 or not done:
                return None
        return "complete" if self.total_bytes() >= self.carried_bytes else None
