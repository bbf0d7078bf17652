"""A report as plain records, which every format shows: sections of blocks.

All texts are in the language of the report. Only the formats decide how they look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

Tone = Literal["", "good", "bad", "few"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its text, and the number for sorting and for sheets."""

    text: str
    value: float | int | None = None
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `weight` is its share of the width of a page."""

    title: str
    is_number: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `name` is the name of its sheet; `is_long` leaves it out of a PDF."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    is_long: bool = False
    is_searchable: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    is_important: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure of the summary: the value in large type, its name and its sample."""

    value: str
    name: str
    sample: str
    tone: Tone = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """The figures of the summary."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart or map as SVG. `alt` describes it for people who cannot see it."""

    name: str
    caption: str
    alt: str
    svg: bytes
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Lines:
    """Empty lines to write on, each with a title."""

    titles: tuple[str, ...]
    empty: int = 0


Block = Text | Bullets | Table | Tiles | Picture | Lines


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report. `level` 1 is a chapter."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 1
    starts_page: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report.

    `logo` is the content of a picture, and `logo_kind` the ending of its name. `day` is
    that of the last reading.
    """

    title: str
    subtitle: str
    language: str
    ministry: str
    day: date
    sections: tuple[Section, ...]
    imprint: str
    has_contents: bool = True
    logo: bytes = b""
    logo_kind: str = ""

    def tables(self) -> Iterator[Table]:
        """Yield all tables in order."""
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Table):
                    yield block

    def pictures(self) -> Iterator[Picture]:
        """Yield all pictures in order."""
        for section in self.sections:
            for block in section.blocks:
                if isinstance(block, Picture):
                    yield block


def plain_rows(rows: Sequence[Sequence[str]]) -> tuple[tuple[Cell, ...], ...]:
    """Return rows of texts as cells."""
    return tuple(tuple(Cell(text) for text in row) for row in rows)
