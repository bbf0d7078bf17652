"""Checks of texts from outside, and how messages show them. Pure."""

from __future__ import annotations

import unicodedata

# Control characters, lone surrogates, and the line ends of Unicode.
_FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}
# As long as most paths, and still a few lines on a terminal.
_LONGEST = 1000
_ESCAPED_BYTES = range(0xDC80, 0xDD00)
_PATH_MAX_BYTES = 4095
_NAME_MAX_BYTES = 255


def control_character(text: str, allowed: str = "") -> str | None:
    """Return which character of a name is forbidden, or None.

    Python decodes a byte of an argument or a variable that is not UTF-8 to a lone
    surrogate.
    """
    for position, character in enumerate(text, 1):
        code = ord(character)
        if character in allowed or unicodedata.category(character) not in _FORBIDDEN:
            continue
        name = f"U+{code:04X}"
        if code in _ESCAPED_BYTES:
            name = f"byte 0x{code - 0xDC00:02x}, which is not UTF-8,"
        return f"contains {name} at character {position}"
    return None


def path_problem(text: str) -> str | None:
    """Return why the system cannot open a path, or None."""
    if not text:
        return "must not be empty"
    if (character := control_character(text)) is not None:
        return character
    path = text.encode()
    if any(len(name) > _NAME_MAX_BYTES for name in path.split(b"/")):
        return f"must not contain a name of more than {_NAME_MAX_BYTES} bytes"
    if len(path) > _PATH_MAX_BYTES:
        return f"must be at most {_PATH_MAX_BYTES} bytes long"
    return None


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Return a text as one printable line, shortened if it is too long."""
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
