"""Parses the head of an HTTP/1.1 response (RFC 9112) while it arrives.

Servers and proxies may send interim responses (1xx) before the final one: 100 Continue,
102 Processing, 103 Early Hints. A client skips those that it does not use (RFC 9110,
15.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qos_agent.model.errors import ProbeError
from qos_agent.model.limits import PROBE_HEAD_BYTES

HEAD_LIMIT_BYTES = PROBE_HEAD_BYTES
"""Limit on all heads of a response together: that of Chromium, far above any server.

A client may discard header fields that it does not need, however long (RFC 9110, 5.4).
"""

_SWITCHING_PROTOCOLS = 101
_NO_BODY = (_SWITCHING_PROTOCOLS, 204, 304)  # RFC 9112, 6.3
_SHOWN = 60
_SIZE_DIGITS = 18  # every number of so many digits fits the 64 bits of a point


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of a response; the names of `headers` are in lower case."""

    status: int
    status_line: str
    headers: Mapping[str, str]

    @property
    def interim(self) -> bool:
        """True if the final response is still to come.

        A response 101 is final, because the agent never asks for another protocol.
        """
        return self.status < 200 and self.status != _SWITCHING_PROTOCOLS

    @property
    def chunked(self) -> bool:
        """True if the body has the chunked transfer coding (RFC 9112, 7.1)."""
        codings = self.headers.get("transfer-encoding", "").lower().split(",")
        return codings[-1].strip() == "chunked"

    @property
    def closes(self) -> bool:
        """True if the server closes the connection after the body (RFC 9112, 9.3)."""
        options = self.headers.get("connection", "").lower().split(",")
        old = self.status_line.startswith("HTTP/1.0")
        return old or "close" in (option.strip() for option in options)

    def length_bytes(self) -> int | None:
        """Return the length of the body; None if its own end or a close ends it.

        Raises ProbeError if the length is not valid (RFC 9112, 6.3).
        """
        if self.status in _NO_BODY:
            return 0
        value = self.headers.get("content-length")
        # Old servers send the coding "identity", which changes nothing (RFC 2616, 3.6).
        coding = self.headers.get("transfer-encoding", "identity").lower()
        if value is None or coding != "identity":
            return None
        # A proxy may repeat the field; equal values count as one.
        lengths = {length.strip() for length in value.split(",")}
        length = lengths.pop()
        size = as_size(length)
        if lengths or size is None:
            raise ProbeError("bad_answer", f"Content-Length: {value[:40]}")
        return size


def as_size(text: str) -> int | None:
    """Return a number of bytes in a header field; None if it is not valid."""
    valid = text.isascii() and text.isdecimal() and len(text) <= _SIZE_DIGITS
    return int(text) if valid else None


class HeadReader:
    """Finds the final head in the bytes of a response; interim heads are skipped."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._searched = 0
        self._interim_bytes = 0

    @property
    def waiting(self) -> bool:
        """True if no byte of the final head has arrived."""
        return not self._text

    @property
    def rest(self) -> bytes:
        """The bytes after the final head, which belong to the body."""
        return bytes(self._text)

    def feed(self, data: bytes) -> ResponseHead | None:
        """Add received bytes; return the final head as soon as it is complete.

        Raises ProbeError `bad_answer` if the bytes are not the head of a response.
        """
        self._text += data
        while (raw := self._next_head()) is not None:
            head = _parse(raw)
            if not head.interim:
                return head
        return None

    def _next_head(self) -> bytes | None:
        """Remove the next complete head from the bytes and return it."""
        if self._text[:5] != b"HTTP/"[: len(self._text)]:
            shown = bytes(self._text[:_SHOWN])
            raise ProbeError("bad_answer", f"the response is not HTTP: {shown!r}")
        end = self._end()
        if self._interim_bytes + (end or len(self._text)) > HEAD_LIMIT_BYTES:
            limit = f"{HEAD_LIMIT_BYTES // 1024} KiB"
            detail = f"the head of the response is longer than {limit}"
            raise ProbeError("bad_answer", detail)
        if end is None:
            return None
        raw = bytes(self._text[:end])
        del self._text[:end]
        self._searched = 0
        self._interim_bytes += end
        return raw

    def _end(self) -> int | None:
        """Return the end of the first empty line.

        A line may end with LF alone (RFC 9112, 2.2).
        """
        ends = []
        for blank in (b"\n\r\n", b"\n\n"):
            at = self._text.find(blank, self._searched)
            if at >= 0:
                ends.append(at + len(blank))
        # The search goes on here, so that a slow server costs no repeated search.
        self._searched = max(0, len(self._text) - 2)
        return min(ends) if ends else None


def _parse(raw: bytes) -> ResponseHead:
    status_line, *lines = raw.decode("latin-1").split("\n")
    status_line = status_line.rstrip("\r")
    return ResponseHead(_status(status_line), status_line, _headers(lines))


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    code = rest.partition(" ")[0]
    digits = len(code) == 3 and code.isascii() and code.isdecimal()
    if not version.startswith("HTTP/1.") or not digits or code < "100":
        raise ProbeError("bad_answer", f"no status of HTTP/1: {line[:_SHOWN]!r}")
    return int(code)


def _headers(lines: list[str]) -> dict[str, str]:
    """Return the header fields; values of a repeated name are joined by commas."""
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:
            # A folded line continues the value (RFC 9112, 5.2).
            headers[name] = f"{headers[name]} {line.strip()}".strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            name = ""
        elif name in headers:
            headers[name] += f", {value.strip()}"
        else:
            headers[name] = value.strip()
    return headers
