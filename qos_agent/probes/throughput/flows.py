"""The flows of one direction: what is asked for, and how what arrives is counted."""

from __future__ import annotations

import os
import selectors
from collections.abc import Sequence
from typing import Protocol

from qos_agent import __version__
from qos_agent.errors import ProbeError
from qos_agent.probes.throughput.echo import EchoTrain
from qos_agent.probes.throughput.meter import InterfaceMeter
from qos_agent.probes.throughput.stream import Connection, Endpoint, Head
from qos_agent.tcp_info import tcp_info

_BUFFER_BYTES = 262_144
_BLOCK_BYTES = 65_536
_LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112, section 7.1


class Flows(Protocol):
    """Some connections to one server, carrying one direction."""

    started: int

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send the request on so many further connections."""
        ...

    def serve(self, connection: Connection) -> None:
        """Move what a ready connection will. Raises ProbeError where it breaks."""
        ...

    def total_bytes(self) -> float:
        """TCP payload carried so far, by the kernel's count."""
        ...

    def finished(self) -> bool:
        """Whether there is nothing left to carry."""
        ...


def _request(endpoint: Endpoint, method: str, path: str, *headers: str) -> bytes:
    lines = (
        f"{method} {endpoint.join(path)} HTTP/1.1",
        f"Host: {endpoint.authority}",
        f"User-Agent: qos-agent/{__version__}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode()


class Downloads:
    """GETs; counted on the interface, where packets arrive whatever their order.

    Counting what applications read would show bursts behind every lost packet, and
    need six times the data for the same certainty.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        path: str,
        connections: Sequence[Connection],
        meter: InterfaceMeter,
        echo: EchoTrain,
    ) -> None:
        self._request = _request(
            endpoint, "GET", path, "Accept-Encoding: identity", "Connection: close"
        )
        self._connections = connections
        self._meter = meter
        self._echo = echo
        self._bodies = {id(c): _Body() for c in connections}
        self._buffer = bytearray(_BUFFER_BYTES)
        info = tcp_info(connections[0].sock)
        frame_bytes = info.mss_bytes + info.header_bytes + meter.header_bytes
        self._payload_share = info.mss_bytes / frame_bytes
        self._before = 0
        self.started = 0

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send the request on so many further connections."""
        if self.started == 0:
            self._before = self._meter.received()
        for connection in self._connections[self.started : self.started + count]:
            connection.send(memoryview(self._request))
            selector.register(connection.sock, selectors.EVENT_READ, connection)
            self.started += 1

    def serve(self, connection: Connection) -> None:
        """Read what has come."""
        body = self._bodies[id(connection)]
        while True:
            count = connection.receive(self._buffer)
            if count is None:
                return
            body.take(self._buffer, count)
            if body.ended or not connection.pending():
                return

    def total_bytes(self) -> float:
        """Frames received since the first request, less the echoes' answers."""
        echoes = self._echo.answered_bytes(self._meter.header_bytes)
        received = self._meter.received() - self._before - echoes
        return received * self._payload_share

    def finished(self) -> bool:
        """Whether every body that was asked for has come to its end."""
        started = self._connections[: self.started]
        return all(self._bodies[id(c)].ended for c in started)


class _Body:
    """One answer: its head, and how far its body has come."""

    def __init__(self) -> None:
        self._head = Head()
        self._received_bytes = 0
        self._tail = b""
        self.ended = False

    def take(self, buffer: bytearray, count: int) -> None:
        if count == 0:
            self._end()
            return
        if self._head.done:
            self._received_bytes += count
        else:
            self._received_bytes += self._head.feed(bytes(buffer[:count]))
        self._tail = (self._tail + buffer[max(0, count - 5) : count])[-5:]
        length_bytes = self._head.length_bytes
        if length_bytes is not None and self._head.done:
            if self._received_bytes > length_bytes:
                raise ProbeError("bad_answer", f"more than {length_bytes} B")
            self.ended = self._received_bytes == length_bytes

    def _end(self) -> None:
        """The server has closed: at the end, or before it."""
        length_bytes = self._head.length_bytes
        whole = length_bytes is None and self._tail == _LAST_CHUNK
        if not (self.ended or whole):
            said = "?" if length_bytes is None else length_bytes
            raise ProbeError("closed_early", f"{self._received_bytes} of {said} B")
        self.ended = True


class Uploads:
    """POSTs; counted by what the other end's TCP has acknowledged.

    Selective acknowledgements count too: without them every lost packet shows as a
    pause and a burst.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        path: str,
        connections: Sequence[Connection],
        limit_bytes: int,
    ) -> None:
        self._request = _request(
            endpoint,
            "POST",
            path,
            f"Content-Length: {limit_bytes}",
            "Content-Type: application/octet-stream",
        )
        self._connections = connections
        self._heads = {id(c): Head() for c in connections}
        self._left = {id(c): limit_bytes for c in connections}
        # Random, so that nothing on the way can compress it.
        self._block = memoryview(os.urandom(_BLOCK_BYTES))
        self._buffer = bytearray(4096)
        self._before = 0
        self._taken_bytes = 0
        self.started = 0

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send the request's head on so many further connections."""
        if self.started == 0:
            self._before = self._acked()
        both = selectors.EVENT_READ | selectors.EVENT_WRITE
        for connection in self._connections[self.started : self.started + count]:
            connection.send(memoryview(self._request))
            selector.register(connection.sock, both, connection)
            self.started += 1

    def serve(self, connection: Connection) -> None:
        """Hear a refusal, then write what the kernel takes."""
        count = connection.receive(self._buffer)
        head = self._heads[id(connection)]
        left = self._left[id(connection)]
        if count == 0:
            raise ProbeError("closed_early", f"the server closed, {left} B before all")
        if count is not None and not head.done:
            head.feed(bytes(self._buffer[:count]))
        if left > 0:
            taken = connection.send(self._block[:left])
            self._left[id(connection)] -= taken
            self._taken_bytes += taken

    def total_bytes(self) -> float:
        """Bytes acknowledged since the first request."""
        return float(self._acked() - self._before)

    def _acked(self) -> int:
        infos = (tcp_info(c.sock) for c in self._connections)
        return sum(info.acked_bytes + info.sacked_bytes for info in infos)

    def finished(self) -> bool:
        """Whether all has arrived; a server may well answer before it has."""
        if self.total_bytes() < self._taken_bytes:
            return False
        started = self._connections[: self.started]
        return all(self._left[id(c)] == 0 and self._heads[id(c)].done for c in started)
