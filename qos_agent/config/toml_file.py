"""Reading of TOML files; a file that cannot be read is a configuration error.

TOML is UTF-8. A byte order mark, which Windows editors add, is ignored.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from qos_agent.config import text_file
from qos_agent.config.toml_hints import hint
from qos_agent.model.errors import ConfigError, InvalidConfigError

# Python's parser needs quadratic time for a key of many parts.
_DOTS_IN_LINE_MAX = 1000
_DEPTH_MAX = 20
_CR_ALONE = re.compile(r"\r(?!\n)")


def read_bytes(path: Path, fix: str) -> bytes:
    """Return the content of a file; `fix` is the advice if it cannot be read.

    Raises InvalidConfigError.
    """
    try:
        return text_file.read_bytes(path)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise _fault(path, problem, fix) from error
    except ValueError as error:
        raise _fault(path, str(error), f"name another file than {path}") from error


def parse(path: Path, content: bytes) -> dict[str, Any]:
    """Return the table in the content of a TOML file. Raises InvalidConfigError."""
    try:
        text = text_file.decoded(content)
    except ValueError as error:
        raise _fault(path, str(error), f"save {path} as UTF-8") from error
    # The parser of Python would report what follows as an error of syntax.
    if (alone := _CR_ALONE.search(text)) is not None:
        line = text.count("\n", 0, alone.start()) + 1
        problem = f"has a line end of CR alone in line {line}"
        raise _fault(path, problem, f"save {path} with line ends of Unix, LF")
    too_deep = _fault(path, "is nested too deeply", f"edit {path}")
    if any(line.count(".") > _DOTS_IN_LINE_MAX for line in text.split("\n")):
        raise too_deep
    try:
        table = tomllib.loads(text)
    except ValueError as error:
        problem = f"is not valid TOML: {error}"
        known = hint(str(error), text) or (problem, f"edit {path}")
        raise _fault(path, *known) from error
    except RecursionError as error:
        raise too_deep from error
    if _is_deep(table):
        raise too_deep
    return table


def _is_deep(table: dict[str, Any]) -> bool:
    """Return True if tables and lists are nested deeper than any setting."""
    level: list[Any] = [table]
    for _ in range(_DEPTH_MAX):
        inner: list[Any] = []
        for value in level:
            match value:
                case dict():
                    inner += value.values()
                case list():
                    inner += value
        level = inner
    return bool(level)


def read(path: Path, fix: str = "check the path and the permissions") -> dict[str, Any]:
    """Return the table in a TOML file. Raises InvalidConfigError."""
    return parse(path, read_bytes(path, fix))


def _fault(path: Path, problem: str, fix: str) -> InvalidConfigError:
    return InvalidConfigError((ConfigError(str(path), None, problem, fix),))
