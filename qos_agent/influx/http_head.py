"""Heads of HTTP responses: interim responses, and many or long header lines.

http.client takes every 1xx response but 100 for the answer (RFC 9110 section 15.2
requires a client to skip them), and refuses a head of more than 100 lines or a line of
more than 64 KiB. A proxy may send all of these. Only the headers that the clients use
are passed on.

"""

from __future__ import annotations

import http.client
from typing import BinaryIO

from qos_agent.model.limits import ResponseLimits

_LINE_BYTES = 8192
_SWITCHING_PROTOCOLS = b"101"
_USED = (
    b"connection",
    b"content-length",
    b"content-type",
    b"date",
    b"etag",
    b"keep-alive",
    b"location",
    b"proxy-connection",
    b"retry-after",
    b"transfer-encoding",
)
_USED_PREFIX = b"x-influxdb"
_ENCODING = b"content-encoding"


class HeadReader:
    """Reads the lines of a head for http.client, without those that are not used."""

    def __init__(self, stream: BinaryIO, limits: ResponseLimits) -> None:
        self.stream = stream
        self._limits = limits
        self._left_bytes = limits.head_bytes
        self._left_lines = limits.head_lines
        self._has_status = False
        self._is_used = False

    def readline(self, _limit: int = -1) -> bytes:
        """Return the next line. Raises HTTPException if the head is too long."""
        if not self._has_status:
            self._has_status = True
            return self._final_status()
        while (line := self._line()) not in (b"\r\n", b"\n"):
            if not line.startswith((b" ", b"\t")):
                name, colon, _ = line.partition(b":")
                self._is_used = bool(colon) and self._uses(name.strip().lower())
            if self._is_used:
                return line[:_LINE_BYTES].rstrip(b"\r\n") + b"\r\n"
        return line

    def _uses(self, name: bytes) -> bool:
        if name == _ENCODING:
            return self._limits.decodes
        return name in _USED or name.startswith(_USED_PREFIX)

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
        self._left_lines -= 1
        if not self._left_bytes:
            raise _too_long(f"{self._limits.head_bytes} bytes")
        if self._left_lines < 0:
            raise _too_long(f"{self._limits.head_lines} lines")
        if line and not line.endswith(b"\n"):
            raise http.client.HTTPException("the head of the response is cut off")
        return line


def _too_long(limit: str) -> http.client.HTTPException:
    message = f"the head of the response is longer than {limit}"
    return http.client.HTTPException(message)


def _is_interim(status_line: bytes) -> bool:
    version, _, rest = status_line.partition(b" ")
    code = rest.strip()[:3]
    return (
        version.startswith(b"HTTP/")
        and code.startswith(b"1")
        and code.isdigit()
        and code != _SWITCHING_PROTOCOLS
    )
