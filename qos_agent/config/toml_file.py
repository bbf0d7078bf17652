"""Reading of TOML files; a file that cannot be read is a configuration error."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from qos_agent.model.errors import ConfigError, InvalidConfigError


def read_bytes(path: Path, fix: str) -> bytes:
    """Return the content of a file; `fix` is the advice if it cannot be read.

    Raises InvalidConfigError.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        fault = ConfigError(str(path), None, problem, fix)
        raise InvalidConfigError((fault,)) from error


def parse(path: Path, content: bytes) -> dict[str, Any]:
    """Return the table in the content of a TOML file. Raises InvalidConfigError."""
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problem = f"is not valid TOML: {error}"
        fault = ConfigError(str(path), None, problem, f"edit {path}")
        raise InvalidConfigError((fault,)) from error


def read(path: Path, fix: str = "check the path and the permissions") -> dict[str, Any]:
    """Return the table in a TOML file. Raises InvalidConfigError."""
    return parse(path, read_bytes(path, fix))
