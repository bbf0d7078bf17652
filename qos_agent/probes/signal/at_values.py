"""Lines of AT answers as values, and indices of 3GPP TS 27.007 as levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Answers = Mapping[str, str]
"""What a modem answered, by command."""


def rows(answers: Answers, command: str, name: str) -> Iterator[list[str]]:
    """The values of each line that answers a command, without their quotes."""
    for line in answers.get(command, "").splitlines():
        head, colon, rest = line.strip().partition(":")
        if colon and head == name:
            yield [value.strip().strip('"').strip("()") for value in rest.split(",")]


def row(answers: Answers, command: str, name: str) -> list[str]:
    """The first such line; nothing where there is none."""
    return next(rows(answers, command, name), [])


def item(values: list[str], position: int) -> str | None:
    """A value by position, where the line is that long."""
    return values[position] if position < len(values) else None


def number(values: list[str], position: int) -> int | None:
    """A value that is a plain number."""
    text = item(values, position)
    return int(text) if text is not None and text.isdecimal() else None


def index(
    values: list[str], position: int, most: int, step: float, zero: float
) -> float | None:
    """An index as a level: the lower edge of its step; 99 and 255 are none."""
    found = number(values, position)
    if found is None or not 0 <= found <= most:
        return None
    return round(zero + step * found, 1)


def lte_rsrp(values: list[str], position: int) -> float | None:
    """RSRP of TS 36.133, 9.1.4."""
    return index(values, position, 97, 1, -141)


def lte_rsrq(values: list[str], position: int) -> float | None:
    """RSRQ of TS 36.133, 9.1.7."""
    return index(values, position, 34, 0.5, -20)


def nr_rsrp(values: list[str], position: int) -> float | None:
    """SS-RSRP of TS 38.133, 10.1.6."""
    return index(values, position, 126, 1, -157)


def nr_rsrq(values: list[str], position: int) -> float | None:
    """SS-RSRQ of TS 38.133, 10.1.11."""
    return index(values, position, 126, 0.5, -43.5)
