"""Reading of workbooks that the product wrote."""

from __future__ import annotations

import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
Cell = tuple[str, str]


def sheets(path: Path) -> dict[str, list[dict[str, Cell]]]:
    """Return type and text of each cell by column, row and name of the sheet."""
    with zipfile.ZipFile(path) as book:
        names = [
            sheet.attrib["name"]
            for sheet in part_of(book, "xl/workbook.xml").iter(f"{NS}sheet")
        ]
        return {
            name: [_row(row) for row in part_of(book, part).iter(f"{NS}row")]
            for name, part in (
                (name, f"xl/worksheets/sheet{number}.xml")
                for number, name in enumerate(names, start=1)
            )
        }


def part_of(book: zipfile.ZipFile, path: str) -> ET.Element:
    """Return a part of a workbook."""
    return ET.fromstring(book.read(path))


def _row(row: ET.Element) -> dict[str, Cell]:
    cells = {}
    for cell in row.iter(f"{NS}c"):
        column = cell.attrib["r"].rstrip("0123456789")
        kind = cell.attrib.get("t", "n")
        cells[column] = (kind, "".join(cell.itertext()))
    return cells
