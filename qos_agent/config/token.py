"""Tokens of a collector, which are sent in an HTTP header.

A token is printable ASCII on one line. A byte order mark and white space around it are
removed, because editors add them. People copy quotes and the name of the HTTP scheme
together with a token, so these are removed too.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

from qos_agent.config import text_file
from qos_agent.model.addresses import is_loopback
from qos_agent.model.errors import ConfigError

_PRINTABLE = range(0x20, 0x7F)
_SCHEME = re.compile(
    r"^(?:authorization: *)?(?:token|bearer) +", re.ASCII | re.IGNORECASE
)
_QUOTES = "\"'`"
# Common servers refuse a header line of more than 8 KiB.
_LONGEST = 8192
FIX = "write only the token, in plain ASCII on one line"
INSECURE_FIX = "use an https URL, or set insecure = true next to the URL"


def read_token(path: Path) -> str:
    """Return the token in a file. Raises ConfigError without the token in it."""
    try:
        found = checked_token(text_file.decoded(text_file.read_bytes(path)))
    except OSError as error:
        fix = _fix(path)
        problem = f"cannot be read: {error.strerror or error}"
        raise ConfigError("token_file", repr(str(path)), problem, fix) from error
    except ValueError as error:
        raise ConfigError("token_file", repr(str(path)), str(error), FIX) from error
    if not found:
        raise ConfigError("token_file", repr(str(path)), "contains no token", FIX)
    return found


def _fix(path: Path) -> str:
    """Return the fix for a file that cannot be read.

    systemd creates the credentials of a unit only while the unit runs.
    """
    fix = "check the path, and that the user of this service can read it"
    match path.parts:
        case ("/", "run", "credentials", unit, _):
            service = unit.removesuffix(".service")
            return f"start the service: sudo systemctl start {service}; or {fix}"
    return fix


def checked_token(text: str) -> str:
    """Return a token without what surrounds it.

    Raises ValueError with the line and column of the first character that an HTTP
    header cannot contain, or for a token that no server accepts as a header.
    """
    text = text.removeprefix("\ufeff")
    end = len(text.rstrip())
    start = len(text) - len(text.lstrip())
    for position in range(start, end):
        if ord(text[position]) not in _PRINTABLE:
            raise ValueError(_problem(text, position))
    if end - start > _LONGEST:
        raise ValueError(f"must be at most {_LONGEST} characters long")
    return _bare(text[start:end])


def _bare(text: str) -> str:
    """Remove the HTTP scheme before a token, and quotes around token or both."""
    return _unquoted(_SCHEME.sub("", _unquoted(text), count=1))


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES:
        return text[1:-1].strip()
    return text


def is_exposed(url: str) -> bool:
    """Return True if a token for a URL would cross a network without TLS."""
    parts = urlsplit(url)
    return parts.scheme != "https" and not is_loopback(parts.hostname or "")


def _problem(text: str, position: int) -> str:
    character = text[position]
    code = f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()
    problem = f"contains {code}"
    if character in "\r\n":
        problem = "contains a second line"
        rest = text[position:]
        position += len(rest) - len(rest.lstrip())
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"{problem} at line {line}, column {column}"
