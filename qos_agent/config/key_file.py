"""Reads the file that holds the STAMP key."""

from __future__ import annotations

from pathlib import Path

from qos_agent.model.errors import ConfigError

_LEAST_KEY_BYTES = 16


def read_key(path: Path) -> bytes:
    """The shared key: the file's text without the white space around it.

    Raises ConfigError where it cannot be read or is shorter than 16 octets.
    """
    allowed = f"a file with at least {_LEAST_KEY_BYTES} characters"
    mend = f"openssl rand -hex 32 > {path}"
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        found = f"{path} ({error.strerror})"
        raise ConfigError("stamp_key_file", found, allowed, mend) from error
    if len(key) < _LEAST_KEY_BYTES:
        raise ConfigError("stamp_key_file", f"{len(key)} characters", allowed, mend)
    return key
