"""Parses lines of AT answers and converts indices of 3GPP TS 27.007 to levels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_DIGITS = re.compile(r"\d{1,18}", re.ASCII)
Answers = Mapping[str, str]
"""The answers of a modem by command."""


def rows(answers: Answers, command: str, name: str) -> Iterator[list[str]]:
    """Yield the values of each line `name` in a command's answer, without quotes."""
    for line in answers.get(command, "").splitlines():
        head, colon, rest = line.strip().partition(":")
        if colon and head == name:
            yield [value.strip().strip('"').strip("()") for value in rest.split(",")]


def row(answers: Answers, command: str, name: str) -> list[str]:
    """Return the values of the first line `name`; an empty list if none exists."""
    return next(rows(answers, command, name), [])


def item(values: list[str], position: int) -> str | None:
    """Return the value at a position; None if the line is shorter."""
    return values[position] if position < len(values) else None


def number(values: list[str], position: int) -> int | None:
    """Return the value at a position as a number; None if it is not one."""
    return whole(item(values, position))


def whole(text: str | None) -> int | None:
    """Return a text of digits as a number; None for any other text.

    int() also accepts digits of other scripts, and refuses more than 4300 digits.
    """
    return int(text) if text is not None and _DIGITS.fullmatch(text) else None


def index(
    values: list[str], position: int, maximum: int, step: float, zero: float
) -> float | None:
    """Return an index as the lower edge of its level; None if it is out of range.

    The indices 99 and 255 mean "unknown" and are out of range.
    """
    level_index = number(values, position)
    if level_index is None or not 0 <= level_index <= maximum:
        return None
    return round(zero + step * level_index, 1)


def lte_rsrp(values: list[str], position: int) -> float | None:
    """Return RSRP of TS 36.133, 9.1.4."""
    return index(values, position, 97, 1, -141)


def lte_rsrq(values: list[str], position: int) -> float | None:
    """Return RSRQ of TS 36.133, 9.1.7."""
    return index(values, position, 34, 0.5, -20)


def nr_rsrp(values: list[str], position: int) -> float | None:
    """Return SS-RSRP of TS 38.133, 10.1.6."""
    return index(values, position, 126, 1, -157)


def nr_rsrq(values: list[str], position: int) -> float | None:
    """Return SS-RSRQ of TS 38.133, 10.1.11."""
    return index(values, position, 126, 0.5, -43.5)
