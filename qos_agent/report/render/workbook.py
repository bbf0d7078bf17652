"""A report as a workbook: a typed sheet for each table, with filters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.xlsx import head_format, new_sheet, new_workbook
from qos_agent.report.document import Cell, Document, Table

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook

# The unit behind a number gives its format. Two commas divide by a million.
_FORMATS = {
    "%": "0.00%",
    "Mbit/s": '0.00,,"\u00a0Mbit/s"',
    "ms": '#,##0.0"\u00a0ms"',
    "dBm": '0.0"\u00a0dBm"',
    "s": '#,##0.0"\u00a0s"',
    "": "#,##0",
}
_ANY = "#,##0.###"
_WIDTH = 13
_EXACT_MAX = 10**15
_NAME_MAX = 31


def write_workbook(path: Path, document: Document) -> None:
    """Write the file. Raises OperatorError without XlsxWriter, and StorageError."""
    with new_workbook(path) as workbook:
        head = head_format(workbook)
        formats = {
            unit: workbook.add_format({"num_format": text})
            for unit, text in _FORMATS.items()
        }
        formats["any"] = workbook.add_format({"num_format": _ANY})
        for table in _tables(document):
            _write(workbook, table, head, formats)


def _tables(document: Document) -> Iterator[Table]:
    """Yield the tables of chapters; those of single indicators are in one sheet."""
    for section in document.sections:
        if section.level == 1:
            yield from (b for b in section.blocks if isinstance(b, Table))


def _write(
    workbook: Workbook, table: Table, head: Format, formats: dict[str, Format]
) -> None:
    names = [column.title for column in table.columns]
    sheet = new_sheet(workbook, table.name[:_NAME_MAX], names, head)
    for number, column in enumerate(table.columns):
        sheet.set_column(number, number, _WIDTH * max(1.0, column.weight))
    for row, cells in enumerate(table.rows, start=1):
        for number, cell in enumerate(cells):
            if (
                cell.value is None
                or abs(cell.value) >= _EXACT_MAX
                or not table.columns[number].is_number
            ):
                sheet.write_string(row, number, cell.text)
            else:
                sheet.write_number(row, number, cell.value, _format(cell, formats))
    sheet.autofilter(0, 0, max(1, len(table.rows)), len(names) - 1)


def _format(cell: Cell, formats: dict[str, Format]) -> Format:
    unit = cell.text.rpartition("\u00a0")[2] if "\u00a0" in cell.text else ""
    if not unit and not isinstance(cell.value, int):
        return formats["any"]
    return formats.get(unit, formats["any"])
