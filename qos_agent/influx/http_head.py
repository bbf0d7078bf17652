"""Heads of HTTP responses: interim responses, and many or long header lines.

http.client takes every 1xx response but 100 for the answer (RFC 9110 section 15.2
requires a client to skip them), and refuses a head of more than 100 lines or a line of
more than 64 KiB. A proxy may send all of these. Only the headers that the uplink and
the queries use are passed on.

This module imports urllib3, so it is imported at the first request only.
"""

from __future__ import annotations

import http.client
from typing import Any, BinaryIO

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

_HEAD_MAX_BYTES = 1_000_000
_LINE_BYTES = 8192
_SWITCHING_PROTOCOLS = b"101"
_USED = (
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"date",
    b"keep-alive",
    b"location",
    b"proxy-connection",
    b"retry-after",
    b"transfer-encoding",
)
_USED_PREFIX = b"x-influxdb"


class _HeadReader:
    """Reads the lines of a head for http.client, without those that are not used."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self._left_bytes = _HEAD_MAX_BYTES
        self._has_status = False
        self._is_used = False

    def readline(self, _limit: int = -1) -> bytes:
        """Return the next line. Raises HTTPException if the head is too long."""
        if not self._has_status:
            self._has_status = True
            return self._final_status()
        while (line := self._line()) not in (b"\r\n", b"\n"):
            if not line.startswith((b" ", b"\t")):
                name = line.partition(b":")[0].strip().lower()
                self._is_used = name in _USED or name.startswith(_USED_PREFIX)
            if self._is_used:
                return line[:_LINE_BYTES].rstrip(b"\r\n") + b"\r\n"
        return line

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()

    def flush(self) -> None:
        """Do nothing: the stream is only read."""

    def _final_status(self) -> bytes:
        line = self._any_line()
        while _is_interim(line):
            while self._line() not in (b"\r\n", b"\n"):
                pass
            line = self._line()
        return line

    def _line(self) -> bytes:
        """Return a whole line: a head that was cut off acknowledges nothing."""
        line = self._any_line()
        if not line:
            raise http.client.HTTPException("the head of the response is cut off")
        return line

    def _any_line(self) -> bytes:
        """Return a line, or nothing if the server closed without a response."""
        line: bytes = self.stream.readline(self._left_bytes)
        self._left_bytes -= len(line)
        if not self._left_bytes:
            message = f"the head of the response is longer than {_HEAD_MAX_BYTES} bytes"
            raise http.client.HTTPException(message)
        if line and not line.endswith(b"\n"):
            raise http.client.HTTPException("the head of the response is cut off")
        return line


def _is_interim(status_line: bytes) -> bool:
    version, _, rest = status_line.partition(b" ")
    code = rest.strip()[:3]
    return (
        version.startswith(b"HTTP/")
        and code.startswith(b"1")
        and code.isdigit()
        and code != _SWITCHING_PROTOCOLS
    )


class _FinalResponse(http.client.HTTPResponse):
    """The final response to a request."""

    def begin(self) -> None:
        """Read the head."""
        response: Any = self  # typeshed has no `fp`, and `headers` is never None there
        if response.headers is not None:
            return
        reader = response.fp = _HeadReader(response.fp)
        try:
            super().begin()
        finally:
            if response.fp is reader:
                response.fp = reader.stream


class _Connection(HTTPConnection):
    response_class = _FinalResponse


class _SecureConnection(HTTPSConnection):
    response_class = _FinalResponse


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def read_final_responses(manager: urllib3.PoolManager) -> None:
    """Let a pool manager skip interim responses and accept large heads."""
    pools: Any = {"http": _Pool, "https": _SecurePool}
    manager.pool_classes_by_scheme = pools
