"""Downloads of the frugal test: GET requests for ranges that fit the byte limit."""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from typing import Literal

from qos_agent.probes.throughput.connection import Connection, ServerEndpoint
from qos_agent.probes.throughput.flows import StartedConnections
from qos_agent.probes.throughput.interface_counter import InterfaceCounter
from qos_agent.probes.throughput.loaded_rtt import EchoTrain
from qos_agent.probes.throughput.responses import RangeResponses
from qos_agent.system.network.tcp_info import tcp_info

_BUFFER_BYTES = 262_144
# A read waits until this much has arrived, or until the next bin.
_MIN_READ_BYTES, _MAX_READ_BYTES = 16_384, 262_144
_READS_IN_LIMIT = 32
# Smaller ranges are not worth a request; so there are about 64 requests at most.
_MIN_STEP_BYTES, _STEPS_IN_LIMIT = 8_192, 64
# With less than this left to request, the limit is reached.
_MIN_RANGE_BYTES = 4_096
# A request and the head of its response, with their frames.
_REQUEST_BYTES = 1_000


class Downloads:
    """GET requests, counted on the interface, in whatever order packets arrive.

    A count of what the application reads would show a burst after every lost packet.
    It would need six times the data for the same precision. Because the interface
    counts, reads may be late.

    All requested ranges fit what is left of the limit, so a server that supports ranges
    cannot send more, however late this program reads. Each connection has its share of
    half of what is left on the way, and no more than the window. It requests the next
    range before the last one has arrived.
    """

    pushed = True

    def __init__(
        self,
        endpoint: ServerEndpoint,
        path: str,
        connections: Sequence[Connection],
        counter: InterfaceCounter,
        echo: EchoTrain,
        limit_bytes: int,
    ) -> None:
        self._endpoint = endpoint
        self._path = path
        self._connections = StartedConnections(connections)
        self._counter = counter
        self._echo = echo
        self._responses = {id(c): RangeResponses(endpoint.target) for c in connections}
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        info = tcp_info(connections[0].sock)
        header_bytes = info.header_bytes + counter.header_bytes
        frame_bytes = info.mss_bytes + header_bytes
        self._payload_share = info.mss_bytes / frame_bytes
        # In the worst case each frame has an acknowledgement of its own.
        self._net_share = info.mss_bytes / (frame_bytes + header_bytes)
        self._limit_bytes = limit_bytes
        self._step_bytes = max(limit_bytes // _STEPS_IN_LIMIT, _MIN_STEP_BYTES)
        share_bytes = limit_bytes // _READS_IN_LIMIT
        self._wake_bytes = min(max(share_bytes, _MIN_READ_BYTES), _MAX_READ_BYTES)
        self._wakes_at = dict.fromkeys(map(id, connections), 0)
        self._received_before = 0
        self._arrived = {id(c): (0, 0, 0) for c in connections}
        self.carried_bytes = 0
        self.window_bytes = limit_bytes

    @property
    def started(self) -> int:
        """The number of connections in use."""
        return self._connections.count

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send a request on `count` further connections."""
        if self.started == 0:
            self._received_before = self._counter.received()
        for connection in self._connections.start(selector, count):
            self._request_more(connection)
            self._set_wake(connection)
            selector.register(connection.sock, selectors.EVENT_READ, connection)

    def _request_more(self, connection: Connection) -> None:
        """Request the next range, if one fits the limit."""
        responses = self._responses[id(connection)]
        if not responses.wants_more():
            return
        if any(other.ranged is False for other in self._responses.values()):
            responses.request_all()
            self._send(connection)
        elif size_bytes := self._next_range_bytes(responses):
            self._send(connection, f"Range: {responses.request(size_bytes)}")

    def _send(self, connection: Connection, *headers: str) -> None:
        identity = "Accept-Encoding: identity"
        head = self._endpoint.request("GET", self._path, identity, *headers)
        connection.send(memoryview(head))

    def _next_range_bytes(self, responses: RangeResponses) -> int:
        """Return the size of the next range; 0 if none is worth a request."""
        left_bytes = (self._limit_bytes - self._counter.moved()) * self._net_share
        coming_bytes = sum(r.coming_bytes() for r in self._responses.values())
        free_bytes = left_bytes - coming_bytes - _REQUEST_BYTES
        share_bytes = max(left_bytes / 2 / self.started, 2 * self._step_bytes)
        window_bytes = self.window_bytes / self.started
        step_bytes = min(self._step_bytes, max(_MIN_STEP_BYTES, window_bytes / 4))
        want_bytes = min(share_bytes, window_bytes) - responses.coming_bytes()
        if want_bytes < step_bytes or free_bytes < _MIN_RANGE_BYTES:
            return 0
        return int(min(want_bytes, free_bytes))

    def serve(self, connection: Connection, _ready: int, _room_bytes: int, /) -> None:
        """Read all that has arrived, and request more."""
        responses = self._responses[id(connection)]
        while not responses.ended:
            count = connection.receive(self._buffer)
            if count is None:
                break
            self.carried_bytes += count
            responses.take(self._buffer[:count])
            if count < _BUFFER_BYTES and not connection.secure:
                break
        if responses.ended and self._connections.selector is not None:
            self._connections.selector.unregister(connection.sock)
        else:
            self._request_more(connection)
            self._set_wake(connection)

    def _set_wake(self, connection: Connection) -> None:
        """Set SO_RCVLOWAT, so that a few large reads replace many small ones."""
        coming_bytes = self._responses[id(connection)].coming_bytes()
        many = self.carried_bytes > 0 and coming_bytes >= self._wake_bytes
        wake_bytes = self._wake_bytes if many else 1
        if wake_bytes != self._wakes_at[id(connection)]:
            connection.wake_at(wake_bytes)
            self._wakes_at[id(connection)] = wake_bytes

    def keep_within(self, _room_bytes: int, /) -> None:
        """Do nothing: the requested ranges already fit the limit."""

    def sweep(self) -> None:
        """Read from every connection whose responses have not ended."""
        for connection in self._connections.started():
            if not self._responses[id(connection)].ended:
                self.serve(connection, selectors.EVENT_READ, 0)

    def total_bytes(self) -> float:
        """Return the payload received since the first request, without echo replies.

        Computed from the frames on the interface.
        """
        echo_bytes = self._echo.answered_bytes(self._counter.header_bytes)
        received_bytes = self._counter.received() - self._received_before - echo_bytes
        return received_bytes * self._payload_share

    def held_bytes(self) -> int:
        """Return 0, because requests are short."""
        return 0

    @property
    def content_bytes(self) -> int:
        """The bytes that were read from the bodies."""
        return sum(r.content_bytes for r in self._responses.values())

    def blocked_by_receiver(self) -> bool:
        """Return False: this program reads all that arrives."""
        return False

    def starved(self) -> bool:
        """Return True if segments arrived since the last call, and none was new.

        A server repeats segments if no acknowledgement reaches it.
        """
        any_repeated = any_new = False
        for connection in self._connections.started():
            info = tcp_info(connection.sock)
            now = info.data_segments, info.received_bytes, info.out_of_order
            before, self._arrived[id(connection)] = self._arrived[id(connection)], now
            any_new = any_new or now[1:] != before[1:]
            any_repeated = any_repeated or now[0] > before[0]
        return any_repeated and not any_new

    def queue_averse(self) -> bool:
        """Return False: the sender is the server, whose algorithm is unknown."""
        return False

    def finished(self) -> Literal["bytes", "complete"] | None:
        """Return why the download ended: by the limit or by the end of the file."""
        started = [self._responses[id(c)] for c in self._connections.started()]
        if any(responses.coming_bytes() > 0 for responses in started):
            return None
        return "complete" if all(responses.ended for responses in started) else "bytes"
