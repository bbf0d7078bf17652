"""Text files that people edit: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs
import errno
import os
import select
import stat
import time
from pathlib import Path

# No file of the configuration is larger; a device such as /dev/zero has no end.
_MAX_BYTES = 16_000_000
# A command that starts may take a moment before it fills a pipe.
_WAIT_S = 10.0
# In this order, because the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Which of the first bytes are zero, because a file begins with an ASCII character.
_ZEROS = {
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True): "utf-16-le",
    (True, False): "utf-16-be",
}


def read_bytes(path: Path) -> bytes:
    """Return the content of a file or a pipe, such as that of `-c <(command)`.

    Raises OSError, ETIMEDOUT for a pipe that nobody fills, and ValueError if the file
    is too large.
    """
    end_s = time.monotonic() + _WAIT_S
    content = bytearray()
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
        while len(content) <= _MAX_BYTES:
            chunk = file.read(_MAX_BYTES + 1 - len(content))
            content += chunk or b""
            # An empty pipe may have no writer yet. With content, the writer has gone.
            if chunk == b"" and (content or not is_pipe):
                return bytes(content)
            if not chunk and not _has_more(file.fileno(), end_s, path):
                return bytes(content)
    raise ValueError(f"must be at most {_MAX_BYTES} bytes")


def _has_more(handle: int, end_s: float, path: Path) -> bool:
    """Wait for the writer of a pipe; return False if it has gone.

    Raises OSError ETIMEDOUT.
    """
    ready = select.poll()
    ready.register(handle, select.POLLIN)
    events = ready.poll(max(0.0, end_s - time.monotonic()) * 1000)
    if not events:
        raise OSError(errno.ETIMEDOUT, "no data", str(path))
    return bool(events[0][1] & select.POLLIN)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; without O_NONBLOCK, opening a pipe waits for a writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def encoding_of(start: bytes) -> str:
    """Return the encoding of a text by its first four bytes, or UTF-8."""
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    return _ZEROS.get(tuple(byte == 0 for byte in start[:4]), "utf-8")


def decoded(content: bytes) -> str:
    """Return the text of a file. Raises ValueError with the place of a wrong byte."""
    encoding = encoding_of(content)
    if not encoding.startswith("utf-8"):
        raise ValueError(f"is {encoding[:6].upper()}, and must be UTF-8")
    if content and not content.strip(b"\0"):
        raise ValueError("contains only zero bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        byte = content[error.start]
        raise ValueError(
            f"is not UTF-8: byte 0x{byte:02x} at line {line}, column {column}"
        ) from error
