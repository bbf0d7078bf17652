"""The requests of one connection, and how far their responses have arrived."""

from __future__ import annotations

from collections import deque

from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.chunks import ChunkDecoder
from qos_agent.probes.http.request import RequestTarget, looks_like_html
from qos_agent.probes.throughput.connection import MeasurementHead

_ENDLESS = float("inf")


class RangeResponses:
    """Response bodies in sequence: ranges of a file, or all of it without ranges.

    `ranged` is None until the first head has arrived. `target` is the server.
    """

    def __init__(self, target: RequestTarget) -> None:
        self._target = target
        self._requested_bytes: deque[float] = deque()
        self._head = MeasurementHead(self._target)
        self._received_bytes = 0
        self._body_begun = False
        self._chunks: ChunkDecoder | None = None
        self._next_byte = 0
        self._file_bytes = _ENDLESS
        self.content_bytes = 0
        self.ranged: bool | None = None
        self.ended = False

    def request(self, size_bytes: int) -> str:
        """Record a request for the next bytes; return the value of the Range header."""
        first = self._next_byte
        self._next_byte = int(min(first + size_bytes, self._file_bytes))
        self._requested_bytes.append(self._next_byte - first)
        return f"bytes={first}-{self._next_byte - 1}"

    def request_all(self) -> None:
        """Record a request without a range."""
        self._requested_bytes.append(_ENDLESS)

    def wants_more(self) -> bool:
        """Return True if another range may be requested."""
        first = self.ranged is None and not self._requested_bytes
        next_range = self.ranged is True and self._next_byte < self._file_bytes
        return not self.ended and (first or next_range)

    def coming_bytes(self) -> float:
        """Return what was requested and has not arrived; infinite without a length."""
        return sum(self._requested_bytes) - self._received_bytes

    def take(self, data: memoryview) -> None:
        """Count received data; empty data means that the server has closed."""
        if not data:
            self._close()
        while data:
            if not self._requested_bytes:
                raise ProbeError("bad_answer", "more data than was requested")
            if not self._head.done:
                data = self._take_head(data)
            if self._head.done:
                data = self._take_body(data)

    def _take_head(self, data: memoryview) -> memoryview:
        head = self._head
        body = data[len(data) - head.feed(bytes(data)) :]
        if not head.done:
            return body
        length_bytes = _ENDLESS if head.length_bytes is None else head.length_bytes
        self.ranged = head.ranged
        if head.ranged and length_bytes > self._requested_bytes[0]:
            raise ProbeError("bad_answer", f"a range of {length_bytes} B")
        self._file_bytes = head.file_bytes or _ENDLESS
        self._requested_bytes[0] = length_bytes
        self._chunks = ChunkDecoder() if head.chunked else None
        return body

    def _take_body(self, data: memoryview) -> memoryview:
        left_bytes = self._requested_bytes[0] - self._received_bytes
        part = data[: int(min(left_bytes, len(data)))]
        contents = [part]
        if self._chunks is not None:
            contents = self._chunks.feed(part)
            part = part[: len(part) - self._chunks.unused_bytes]
        self.content_bytes += sum(map(len, contents))
        if any(contents) and not self._body_begun:
            self._body_begun = True
            if looks_like_html(bytes(contents[0][:200])):
                raise self._target.page_error("an HTML page instead of data")
        self._received_bytes += len(part)
        last_chunk = self._chunks is not None and self._chunks.ended
        if len(part) == left_bytes or last_chunk:
            self._finish()
        return data[len(part) :]

    def _finish(self) -> None:
        self._requested_bytes.popleft()
        self._received_bytes = 0
        self._body_begun = False
        file_ended = not self._requested_bytes and self._next_byte >= self._file_bytes
        self.ended = not self.ranged or self._head.closes or file_ended
        self._head = MeasurementHead(self._target)
        if self.ended:
            self._requested_bytes.clear()

    def _close(self) -> None:
        """End the connection. Raises ProbeError if a response is incomplete.

        Without a length and without chunks, the close is the end (RFC 9112, 6.3).
        """
        until_close = self._head.done and self._requested_bytes == deque([_ENDLESS])
        if self._requested_bytes and (self._chunks is not None or not until_close):
            length_bytes = self._requested_bytes[0]
            length = length_bytes if length_bytes < _ENDLESS else "?"
            detail = f"{self._received_bytes} of {length} B"
            raise ProbeError("closed_early", detail)
        self.ended = True
