"""A report as one HTML file that needs no network: sorted tables, search, print style.

Every text is escaped. The security policy of the file allows only its own script and
pictures inside the file, so no text can load or run anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path

from qos_agent.report.document import (
    Bullets,
    Cell,
    Document,
    Lines,
    Picture,
    Section,
    Table,
    Text,
    Tile,
    Tiles,
)
from qos_agent.report.language import Words

_KINDS = {"svg": "svg+xml", "jpg": "jpeg"}


def write_html(path: Path, document: Document, t: Words) -> None:
    """Write the file. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_parts(document, t))


def _parts(document: Document, t: Words) -> Iterator[str]:
    style, script = _own("report.css"), _own("report.js")
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src 'sha256-{_digest(script)}'"
    )
    title = escape(document.title)
    yield (
        f'<!DOCTYPE html>\n<html lang="{document.language}">\n<head>\n'
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<header>"
    )
    if document.logo:
        kind = _KINDS.get(document.logo_kind, document.logo_kind)
        alt = escape(document.ministry, quote=True)
        yield f'<img alt="{alt}" src="{_embedded(document.logo, kind)}">'
    yield (
        f'<div><p class="ministry">{escape(document.ministry)}</p>\n<h1>{title}</h1>\n'
        f'<p class="subtitle">{escape(document.subtitle)}</p></div></header>\n<main>\n'
    )
    yield from _contents(document, t)
    for number, section in enumerate(document.sections):
        yield from _section(section, number, t)
    yield f"</main>\n<footer><p>{escape(document.imprint)}</p></footer>\n"
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _own(name: str) -> str:
    return (files("qos_agent.report.render") / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _embedded(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _contents(document: Document, t: Words) -> Iterator[str]:
    """Yield links to the chapters."""
    if document.has_contents:
        yield f'<nav aria-label="{escape(t("Contents"), quote=True)}">'
        for number, section in enumerate(document.sections):
            if section.level == 1:
                yield f'<a href="#s{number}">{escape(section.title)}</a>\n'
        yield "</nav>\n"


def _section(section: Section, number: int, t: Words) -> Iterator[str]:
    page = ' class="page"' if section.starts_page else ""
    tag = f"h{section.level + 1}"
    yield f'<section{page} id="s{number}">\n<{tag}>{escape(section.title)}</{tag}>\n'
    for index, block in enumerate(section.blocks):
        match block:
            case Text():
                kind = ' class="important"' if block.is_important else ""
                yield f"<p{kind}>{escape(block.text)}</p>\n"
            case Bullets():
                items = "".join(f"<li>{escape(item)}</li>\n" for item in block.items)
                yield f"<ul>\n{items}</ul>\n"
            case Tiles():
                yield f'<div class="tiles">{"".join(map(_tile, block.tiles))}</div>\n'
            case Picture():
                yield _picture(block)
            case Lines():
                yield _lines(block)
            case Table():
                yield from _table(block, f"t{number}-{index}", t)
    yield "</section>\n"


def _tile(tile: Tile) -> str:
    texts = [tile.name, tile.sample, tile.verdict]
    small = "".join(f"<small>{escape(text)}</small>" for text in texts if text)
    return f'<div class="tile {tile.tone}"><b>{escape(tile.value)}</b>{small}</div>\n'


def _picture(picture: Picture) -> str:
    source = _embedded(picture.svg, "svg+xml")
    alt = escape(picture.alt, quote=True)
    return (
        f"<figure><figcaption>{escape(picture.caption)}</figcaption>"
        f'<img alt="{alt}" src="{source}"></figure>\n'
    )


def _lines(lines: Lines) -> str:
    titles = "".join(
        f'<p>{escape(title)}</p><div class="line"></div>' for title in lines.titles
    )
    return titles + '<div class="line"></div>' * lines.empty + "\n"


def _table(table: Table, name: str, t: Words) -> Iterator[str]:
    if table.is_searchable:
        label = t("Search for a station, an area or an operator")
        yield (
            f'<p><label>{escape(label)}: <input type="search" data-table="{name}">'
            "</label></p>\n"
        )
    kind = "long" if table.is_long else "scroll"
    kinds = "sorts hash" if table.name == "files" else "sorts"
    heads = "".join(
        f'<th scope="col"{_class("n" if c.is_number else "")}>'
        f'<span role="button" tabindex="0">{escape(c.title)}</span></th>'
        for c in table.columns
    )
    yield (
        f'<div class="{kind}"><table class="{kinds}" id="{name}">'
        f"<caption>{escape(table.caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n"
    )
    numbers = [c.is_number for c in table.columns]
    for row in table.rows:
        cells = "".join(map(_cell, row, numbers))
        yield f"<tr>{cells}</tr>\n"
    yield "</tbody></table></div>\n"
    if table.note:
        yield f'<p class="note">{escape(table.note)}</p>\n'


def _cell(cell: Cell, is_number: bool) -> str:
    kinds = " ".join(filter(None, ("n" if is_number else "", cell.tone)))
    value = "" if cell.value is None else f' data-v="{cell.value!r}"'
    return f"<td{_class(kinds)}{value}>{escape(cell.text)}</td>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
