"""The board as lines, for terminals that are too narrow for its tables.

A line breaks between entries. Only an entry that is longer than the whole line breaks
at a word, and the rest is indented.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

_SEPARATOR = " · "
_INDENT = " "


def flow(entries: Sequence[Text], width: int) -> list[Text]:
    """Return the entries in lines, several on a line while they fit."""
    lines: list[Text] = []
    for entry in entries:
        last = lines[-1] if lines else None
        room = width if last is None else width - last.cell_len - len(_SEPARATOR)
        if last is not None and entry.cell_len <= room:
            last.append(_SEPARATOR)
            last.append_text(entry)
        else:
            lines += _folded(entry, width, first=last is None)
    return lines


def _folded(entry: Text, width: int, *, first: bool) -> Iterator[Text]:
    """Yield an entry as lines; all but the first line of a paragraph are indented."""
    rest = entry
    indent = "" if first or width == 1 else _INDENT
    while len(indent) + rest.cell_len > width:
        room = max(1, width - len(indent))
        at = _break(rest.plain, room)
        head, rest = rest[:at], rest[at:]
        head.rstrip()
        yield Text(indent) + head
        rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
        indent = _INDENT if width > 1 else ""
    yield Text(indent) + rest


def _break(text: str, room: int) -> int:
    """Return where a text breaks: after a word, else after a slash, else anywhere."""
    space = text.rfind(" ", 1, room + 1)
    if space > 0:
        return space
    parts = max(text.rfind("/", 0, room), text.rfind("-", 0, room))
    return parts + 1 if parts > 0 else room


def table(rows: Sequence[Sequence[Text]], width: int) -> list[Text]:
    """Return rows with aligned columns if all of them fit, else each row as entries."""
    if not rows:
        return []
    columns = zip(*rows, strict=True)
    widths = [max(cell.cell_len for cell in column) for column in columns]
    used = [length for length in widths if length]
    if sum(used) + len(used) - 1 > width:
        return [
            line
            for row in rows
            for line in flow([cell for cell in row if cell.plain], width)
        ]
    return [_aligned(row, widths) for row in rows]


def _aligned(row: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, length in zip(row, widths, strict=True):
        if length:
            line.append_text(cell)
            line.append(" " * (length - cell.cell_len + 1))
    line.rstrip()
    return line
