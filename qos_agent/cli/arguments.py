"""Checks of the arguments of every command, before the command sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from qos_agent.model.errors import ConfigError
from qos_agent.model.text import control_character

# An answer of `setup` that may be "no calendar".
_MAY_BE_EMPTY = {"--calendar"}


def check(arguments: Sequence[str]) -> None:
    """Refuse an argument that is empty or has a control character.

    An empty argument is often a variable of a shell that is not set. Raises
    ConfigError.
    """
    for name, value in _named(arguments):
        if not value and name not in _MAY_BE_EMPTY:
            fix = f"add a value, or leave {name} out"
            raise ConfigError(name, repr(value), "must not be empty", fix)
        if (problem := control_character(value)) is not None:
            raise ConfigError(name, repr(value), problem, "remove the character")


def need_working_folder() -> None:
    """Refuse to start in a folder that was removed. Raises ConfigError.

    Relative paths, such as that of the journal, would not exist.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        problem, fix = "no longer exists", "run cd to another folder, and try again"
        raise ConfigError("the working folder", None, problem, fix) from None


def _named(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each argument with its option, or with its number."""
    before = ""
    for number, argument in enumerate(arguments, 1):
        option, is_joined, value = argument.partition("=")
        if argument.startswith("--") and is_joined:
            yield option, value
        elif before.startswith("-") and not argument.startswith("-"):
            yield before, argument
        else:
            yield f"argument {number}", argument
        before = argument
