"""Decoding of JSON from outside: servers, child processes, and files.

The text must be UTF-8, with or without a byte order mark. A text that is not JSON, has
NaN or Infinity, or is nested too deeply, is a ValueError.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

# A larger text is not read: the largest answers, of the census, are smaller.
MAX_BYTES = 256_000_000
# Python 3.14 uses the whole stack, 8 MB, before it refuses to go deeper. InfluxDB's
# results have 7 levels.
_MAX_DEPTH = 500
_STEP = 2048
_TOO_DEEP = "the JSON text is nested too deeply"


def loads(content: bytes | str, max_bytes: int = MAX_BYTES) -> Any:
    """Return the value of a JSON text. Raises ValueError."""
    values = loads_all(content, max_bytes)
    if len(values) != 1:
        raise ValueError(f"{len(values)} JSON values instead of one")
    return values[0]


def loads_all(content: bytes | str, max_bytes: int = MAX_BYTES) -> list[Any]:
    """Return the values of JSON texts that follow each other. Raises ValueError."""
    text = _text(content, max_bytes)
    _check_depth(text)
    values = []
    try:
        position = _next(text, 0)
        while position < len(text):
            value, position = _DECODER.raw_decode(text, position)
            values.append(value)
            position = _next(text, position)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    return values


def _check_depth(text: str) -> None:
    """Refuse a text with many open brackets. Raises ValueError.

    Brackets in strings count too, so that this is fast. The decoder itself finds a
    text that hides its depth in this way.
    """
    depth = 0
    for start in range(0, len(text), _STEP):
        part = text[start : start + _STEP]
        depth += sum(map(part.count, "[{")) - sum(map(part.count, "]}"))
        if depth > _MAX_DEPTH:
            raise ValueError(_TOO_DEEP)


def _text(content: bytes | str, max_bytes: int) -> str:
    if len(content) > max_bytes:
        raise ValueError(f"the JSON text is longer than {max_bytes} bytes")
    text = content if isinstance(content, str) else content.decode("utf-8")
    return text.removeprefix("\ufeff")


def _next(text: str, position: int) -> int:
    """Return the position of the next character that is no white space."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
