"""Pages of a board that is higher than the terminal, shown in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

_PAGE_NS = 5 * 10**9


def page(lines: list[list[Segment]], height: int, now_ns: int) -> Page:
    """Return the page of this moment; each is shown for five seconds."""
    count = 1 if len(lines) <= height else math.ceil(len(lines) / (height - 1))
    size = len(lines) if count == 1 else height - 1
    number = now_ns // _PAGE_NS % count
    return Page(lines[number * size : (number + 1) * size], number + 1, count)


@dataclass(frozen=True, slots=True)
class Page:
    """Lines that are drawn already, and the number of the page if there are several."""

    lines: list[list[Segment]]
    number: int
    count: int

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield the lines, and the number of the page below them."""
        del console, options
        for index, line in enumerate(self.lines):
            if index:
                yield Segment.line()
            yield from line
        if self.count > 1:
            yield Segment.line()
            yield Segment(f"{self.number}/{self.count}")
        yield Segment.line()
