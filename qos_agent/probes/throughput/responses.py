"""What one connection has asked for, and how far the answers have come."""

from __future__ import annotations

from collections import deque

from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.request import RequestTarget, begins_a_page
from qos_agent.probes.throughput.connection import Head

_LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112, section 7.1
_ENDLESS = float("inf")


class Answers:
    """Some bodies in a row: ranges of one file, or all of it where ranges are ignored.

    `ranged` is None until the first head has come; `place` is whom they are from.
    """

    def __init__(self, place: RequestTarget) -> None:
        self._place = place
        self._asked: deque[float] = deque()
        self._head = Head(self._place)
        self._received_bytes = 0
        self._tail = b""
        self._next_byte = 0
        self._file_bytes = _ENDLESS
        self.ranged: bool | None = None
        self.ended = False

    def ask(self, size_bytes: int) -> str:
        """Take note of a request for so much more; gives the Range's value."""
        first = self._next_byte
        self._next_byte = int(min(first + size_bytes, self._file_bytes))
        self._asked.append(self._next_byte - first)
        return f"bytes={first}-{self._next_byte - 1}"

    def ask_all(self) -> None:
        """Take note of a request that names no range."""
        self._asked.append(_ENDLESS)

    def wants_more(self) -> bool:
        """Whether another range may be asked for."""
        fresh = self.ranged is None and not self._asked
        again = self.ranged is True and self._next_byte < self._file_bytes
        return not self.ended and (fresh or again)

    def coming_bytes(self) -> float:
        """What has been asked for and not come; endless where no length is known."""
        return sum(self._asked) - self._received_bytes

    def take(self, data: memoryview) -> None:
        """Count what has come; nothing means that the server has closed."""
        if not data:
            self._close()
        while data:
            if not self._asked:
                raise ProbeError("bad_answer", "more than was asked for")
            if not self._head.done:
                data = self._begin(data)
            if self._head.done:
                data = self._go_on(data)

    def _begin(self, data: memoryview) -> memoryview:
        head = self._head
        body = data[len(data) - head.feed(bytes(data)) :]
        if not head.done:
            return body
        length_bytes = _ENDLESS if head.length_bytes is None else head.length_bytes
        self.ranged = head.ranged
        if head.ranged and length_bytes > self._asked[0]:
            raise ProbeError("bad_answer", f"a range of {length_bytes} B")
        self._file_bytes = head.file_bytes or _ENDLESS
        self._asked[0] = length_bytes
        return body

    def _go_on(self, data: memoryview) -> memoryview:
        left_bytes = self._asked[0] - self._received_bytes
        part = data[: int(min(left_bytes, len(data)))]
        if self._received_bytes == 0 and begins_a_page(bytes(part[:200])):
            raise self._place.wrong_page("a page instead of data")
        self._received_bytes += len(part)
        self._tail = (self._tail + bytes(part[-5:]))[-5:]
        chunked = self._asked[0] == _ENDLESS and self._tail == _LAST_CHUNK
        if len(part) == left_bytes or chunked:
            self._finish()
        return data[len(part) :]

    def _finish(self) -> None:
        self._asked.popleft()
        self._received_bytes = 0
        whole = not self._asked and self._next_byte >= self._file_bytes
        self.ended = not self.ranged or self._head.closes or whole
        self._head = Head(self._place)
        if self.ended:
            self._asked.clear()

    def _close(self) -> None:
        """The server has closed: before the end, unless nothing was to come."""
        if self._asked:
            said = self._asked[0] if self._asked[0] < _ENDLESS else "?"
            words = f"{self._received_bytes} of {said} B"
            raise ProbeError("closed_early", words)
        self.ended = True
