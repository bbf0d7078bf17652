"""Responses with limits: urllib3 connections that a server cannot hold or fill.

The timeout of a socket starts again with every byte, so a slow server could hold a
request for hours. Here one deadline covers the connection, TLS, request, head and body
of a request. Only the resolution of a name has the limits of resolv.conf(5). The bytes
of head and body are limited too; a longer body is cut, and its connection is closed.

This module imports urllib3, so it is imported at the first request only.
"""

from __future__ import annotations

import http.client
import io
import logging
import socket
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from qos_agent.influx.http_head import HeadReader
from qos_agent.model import Link
from qos_agent.model.limits import ResponseLimits
from qos_agent.system.network import bind

_PART_BYTES = 16_384
# The lines of chunks and trailers come on top of head and body.
_OVERHEAD = 2


class _TimedReader(io.RawIOBase):
    """The bytes that a socket receives until a deadline, up to a number."""

    def __init__(
        self, raw: io.RawIOBase, sock: socket.socket, end_s: float, max_bytes: int
    ) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._end_s = end_s
        self._left_bytes = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive what fits. Raises TimeoutError and HTTPException at the limits."""
        self._sock.settimeout(_left_s(self._end_s))
        count = self._raw.readinto(buffer) or 0
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise http.client.HTTPException("the response is too long")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class LimitedResponse(http.client.HTTPResponse):
    """The final response to a request, within its limits."""

    def __init__(
        self, limits: ResponseLimits, end_s: float, sock: socket.socket, **options: Any
    ) -> None:
        super().__init__(sock, **options)
        self._limits = limits
        self._left_bytes = limits.body_bytes
        self._end = partial(_shut_down, sock)
        raw: Any = self.fp
        max_bytes = limits.head_bytes + _OVERHEAD * limits.body_bytes
        reader = _TimedReader(raw.detach(), sock, end_s, max_bytes)
        self.fp = io.BufferedReader(reader)

    def begin(self) -> None:
        """Read the head. A body that is announced as too long will be cut."""
        response: Any = self  # typeshed has no `fp`, and `headers` is never None there
        if response.headers is not None:
            return
        reader = response.fp = HeadReader(response.fp, self._limits)
        try:
            super().begin()
        finally:
            if response.fp is reader:
                response.fp = reader.stream
        if self.length is not None and self.length > self._limits.body_bytes:
            del self.headers["Content-Length"]
            self.length, self.will_close = self._limits.body_bytes, True

    def read(self, amt: int | None = None) -> bytes:
        """Return at most `amt` bytes of the body, and none after its limit."""
        wanted = self._left_bytes if amt is None else min(amt, self._left_bytes)
        try:
            content = super().read(wanted) if wanted else b""
        except ValueError as error:  # http.client reads a negative size of a chunk
            raise http.client.HTTPException("a chunk has no size") from error
        self._left_bytes -= len(content)
        if not self._limits.decodes:
            # influxdb-client requires UTF-8, also of a proxy's page in Latin-1.
            content = content.decode("utf-8", "replace").encode()
        if not self.isclosed() and (amt is None or not self._left_bytes):
            self._cut(content)
        return content

    def _cut(self, content: bytes) -> None:
        """Close, so that the rest of this body does not become the next response."""
        is_short = self._left_bytes > 0 and self.length
        self._end()
        self.close()
        if is_short:
            raise http.client.IncompleteRead(content, self.length)


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class _LimitedConnection(HTTPConnection):
    """A connection whose requests have a deadline."""

    def limit(self, limits: ResponseLimits, end_s: float, link: Link | None) -> None:
        """Set the limits of the next request, and the link of a new connection."""
        self._end_s, self._link = end_s, link
        self._received: LimitedResponse | None = None
        received: Any = partial(self._receive, limits, end_s)
        self.response_class = received

    def _receive(
        self, limits: ResponseLimits, end_s: float, sock: socket.socket, **options: Any
    ) -> LimitedResponse:
        self._received = LimitedResponse(limits, end_s, sock, **options)
        return self._received

    def getresponse(self) -> Any:
        """Return the response, or close its socket and raise the error.

        urllib3 checks a head after http.client has passed the socket to the response.
        To close the connection is not enough then.
        """
        with ExitStack() as on_error:
            on_error.callback(self.close)
            on_error.callback(self._close_received)
            response = super().getresponse()
            on_error.pop_all()
        self._received = None
        return response

    def _close_received(self) -> None:
        if self._received is not None:
            self._received.close()
            self._received = None

    def send(self, data: Any) -> None:
        """Send in parts; each of them has only the time that is left."""
        for start in range(0, len(data), _PART_BYTES):
            if self.sock is not None:
                self.sock.settimeout(_left_s(self._end_s))
            super().send(data[start : start + _PART_BYTES])

    def _new_conn(self) -> socket.socket:
        return _connected(self.host, self.port or 0, self._end_s, self._link)


class _SecureConnection(_LimitedConnection, HTTPSConnection):
    """A connection with TLS. Python limits the whole handshake by the timeout."""


def _connected(host: str, port: int, end_s: float, link: Link | None) -> socket.socket:
    """Return a connected socket; each address has an equal share of the time left."""
    failure: OSError = TimeoutError("no address")
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    for index, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if link is not None:
                bind(sock, link, str(address[0]))
            sock.settimeout(_left_s(end_s) / (len(found) - index))
            sock.connect(address)
            sock.settimeout(_left_s(end_s))
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _left_s(end_s: float) -> float:
    """Return the time until a deadline. Raises TimeoutError after it."""
    left_s = end_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no complete response in time")
    return left_s


class _LimitedPool(urllib3.HTTPConnectionPool):
    """Connections to one server; every request gets a deadline."""

    ConnectionCls = _LimitedConnection

    def __init__(
        self, limits: ResponseLimits, link: Link | None, *args: Any, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._limits, self._link = limits, link

    def _make_request(self, conn: Any, *args: Any, **options: Any) -> Any:
        end_s = time.monotonic() + options["timeout"].total
        conn.limit(self._limits, end_s, self._link)
        return super()._make_request(conn, *args, **options)


class _SecureLimitedPool(_LimitedPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def limit_responses(
    manager: urllib3.PoolManager, limits: ResponseLimits, link: Link | None = None
) -> None:
    """Give each request of a manager limits; its timeout becomes that of all of it.

    With a link, connections are bound to it. They raise ProbeError if that fails.
    """
    pools: Any = {
        "http": partial(_LimitedPool, limits, link),
        "https": partial(_SecureLimitedPool, limits, link),
    }
    manager.pool_classes_by_scheme = pools
    # urllib3 logs a head that it cannot parse with a traceback.
    logging.getLogger("urllib3.connection").setLevel(logging.ERROR)
