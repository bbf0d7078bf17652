"""The file that contains the shared key of STAMP."""

from __future__ import annotations

from pathlib import Path

from qos_agent.config import text_file
from qos_agent.model.errors import ConfigError

_MIN_KEY_BYTES = 16


def read_key(path: Path) -> bytes:
    """Return the shared key: the content of the file without surrounding white space.

    Raises ConfigError if the file cannot be read or the key is shorter than 16 octets.
    """
    name, fix = "stamp_key_file", f"write a key to it: openssl rand -hex 32 > {path}"
    try:
        key = text_file.read_bytes(path).strip()
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise ConfigError(name, repr(str(path)), problem, fix) from error
    except ValueError as error:
        raise ConfigError(name, repr(str(path)), str(error), fix) from error
    if len(key) < _MIN_KEY_BYTES:
        found = f"hidden, {len(key)} characters"
        problem = f"must contain at least {_MIN_KEY_BYTES} characters"
        raise ConfigError(name, found, problem, fix)
    return key
