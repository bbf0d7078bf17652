"""Text files that people edit: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs
from pathlib import Path

# No file of the configuration is larger; a device such as /dev/zero has no end.
_MAX_BYTES = 16_000_000
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises OSError, and ValueError if the file is too large.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"must be at most {_MAX_BYTES} bytes")
    return content


def decoded(content: bytes) -> str:
    """Return the text of a file. Raises ValueError with the place of a wrong byte."""
    if content.startswith(_UTF_16) or b"\0" in content[:4]:
        raise ValueError("is UTF-16, and must be UTF-8")
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
