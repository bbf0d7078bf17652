"""Decodes a body with the chunked transfer coding while it arrives (RFC 9112, 7.1).

Chunk extensions and trailer fields are valid and ignored.
"""

from __future__ import annotations

import re

from qos_agent.model.errors import ProbeError
from qos_agent.model.limits import PROBE_CHUNK_LINES_BYTES

# The longest size that a counter of 63 bits holds has 15 hexadecimal digits.
_SIZE = re.compile(rb"[ \t]*(0*[0-9A-Fa-f]{1,15})[ \t]*(;.*)?")


class ChunkDecoder:
    """Separates the payload of a chunked body from its framing.

    `unused_bytes` is the number of bytes of the last `feed` after the end of the body.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._lines_bytes = 0
        self._left_bytes = 0
        self._after_data = False
        self._in_trailer = False
        self.ended = False
        self.unused_bytes = 0

    def feed(self, data: memoryview) -> list[memoryview]:
        """Return the parts of received data that are payload.

        Raises ProbeError `closed_early` if the framing is wrong: such a response is
        incomplete (RFC 9112, 8).
        """
        parts = []
        while data and not self.ended:
            if self._left_bytes:
                part = data[: self._left_bytes]
                parts.append(part)
                self._left_bytes -= len(part)
                self._after_data = True
                data = data[len(part) :]
            else:
                data = self._take_line(data)
        self.unused_bytes = len(data)
        return parts

    def _take_line(self, data: memoryview) -> memoryview:
        """Add data to the current line of the framing; return what follows it."""
        window = bytes(data[: PROBE_CHUNK_LINES_BYTES + 1])
        size = window.find(b"\n") + 1
        self._line += window[:size] if size else window
        self._lines_bytes += size or len(window)
        if self._lines_bytes > PROBE_CHUNK_LINES_BYTES:
            raise ProbeError("closed_early", "a line of the chunked body is too long")
        if size:
            self._handle(bytes(self._line).rstrip(b"\r\n"))
            self._line.clear()
        return data[size or len(window) :]

    def _handle(self, line: bytes) -> None:
        if self._in_trailer:
            self.ended = not line
            return
        if self._after_data and not line:
            self._after_data = False  # the line end after the data of a chunk
            return
        match = _SIZE.fullmatch(line)
        if match is None:
            shown = line[:40].decode("latin-1")
            detail = f"the chunked body is incomplete: no chunk size in {shown!r}"
            raise ProbeError("closed_early", detail)
        self._left_bytes = int(match[1], 16)
        self._in_trailer = self._left_bytes == 0
        self._after_data = False
        self._lines_bytes = 0
