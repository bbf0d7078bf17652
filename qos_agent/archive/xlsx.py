"""A workbook of points: a sheet for each measurement, and one of definitions.

XlsxWriter keeps one row in memory. Numbers are numbers, times are dates in UTC, and
texts are never formulas. Excel has 15 digits, so times in nanoseconds and larger
integers are texts. A sheet ends at 1,048,576 rows, and further readings follow in the
next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from qos_agent.archive.database import missing
from qos_agent.archive.exporting import Written
from qos_agent.model import Record, Value
from qos_agent.model.errors import StorageError
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.model.schema.dictionary import COLUMNS, rows

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

FILE_NAME = "points.xlsx"
SHEET_ROWS = 1_048_576
_EXACT_MAX = 10**15
_DAY_NS = 86_400 * 10**9
# Excel counts days from 30 December 1899. It shows no dates before 1900.
_EPOCH_DAYS = 25_569
_CREATED = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def write_xlsx(
    lines: Iterable[bytes], folder: Path, sheet_rows: int = SHEET_ROWS
) -> Written:
    """Write a workbook, and damaged lines as they are into a file of their own.

    Raises OperatorError without XlsxWriter, and StorageError if the disk is full.
    """
    with new_workbook(folder / FILE_NAME) as workbook:
        book = _Book(workbook, sheet_rows)
        book.write_definitions()
        damaged = _write_points(lines, folder, book)
        book.finish()
    return Written(book.points, damaged)


@contextmanager
def new_workbook(path: Path) -> Iterator[Workbook]:
    """Write a workbook with one row in memory at a time.

    Raises OperatorError without XlsxWriter, and StorageError if the disk is full.
    """
    xlsxwriter = _library()
    options = {"constant_memory": True, "tmpdir": str(path.parent)}
    with path.open("wb") as file:
        workbook = xlsxwriter.Workbook(_Target(file), options)
        # Without a fixed time, every run would give other bytes.
        workbook.set_properties({"created": _CREATED})
        workbook.use_zip64()
        yield workbook
        _close(workbook, path.parent)


class _Target:
    """A file that fails once and then drops what is written.

    The ZIP file of a workbook that failed is written again when Python deletes it, and
    that error would be printed as a traceback.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._failed = False

    def write(self, content: bytes) -> int:
        """Write, or raise the first error."""
        if not self._failed:
            try:
                self._file.write(content)
                self._file.flush()
            except OSError:
                self._failed = True
                raise
        return len(content)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the position."""
        return self._file.seek(offset, whence)

    def seekable(self) -> bool:
        """Return True, so that ZipFile corrects the heads of its parts."""
        return True

    def flush(self) -> None:
        """Do nothing, because each write is flushed."""


def _write_points(lines: Iterable[bytes], folder: Path, book: _Book) -> int:
    """Write all points, and return the number of damaged lines."""
    damaged = 0
    path = folder / "points.lp"
    with path.open("wb") as file:
        for line in lines:
            try:
                book.add(decode(line))
            except ValueError:
                damaged += 1
                file.write(line + b"\n")
    if not damaged:
        path.unlink()
    return damaged


def _library() -> Any:
    try:
        import xlsxwriter
    except ImportError:
        raise missing("xlsxwriter") from None
    return xlsxwriter


def _close(workbook: Workbook, folder: Path) -> None:
    from xlsxwriter.exceptions import XlsxWriterException

    try:
        workbook.close()
    except XlsxWriterException as error:
        fix = f"{error}. Fix: free disk space"
        raise StorageError("cannot write", str(folder), fix) from error


@dataclass(slots=True)
class _Sheet:
    """The sheet of a measurement that is being filled."""

    sheet: Worksheet
    names: Sequence[str]
    rows: int = 1


class _Book:
    """The sheets of a workbook."""

    def __init__(self, workbook: Workbook, sheet_rows: int) -> None:
        self.points: dict[str, int] = {}
        self._workbook = workbook
        self._sheet_rows = sheet_rows
        self._sheets: dict[str, _Sheet] = {}
        self._numbers: dict[str, int] = {}
        self._all: list[_Sheet] = []
        self._head = head_format(workbook)
        self._time: Format = workbook.add_format(
            {"num_format": "yyyy-mm-dd hh:mm:ss.000"}
        )

    def write_definitions(self) -> None:
        """Write the data dictionary as the first sheet."""
        sheet = self._new_sheet("definitions", COLUMNS)
        for number, row in enumerate(rows(), start=1):
            for column, text in enumerate(row):
                sheet.write_string(number, column, text)
        self._all.append(_Sheet(sheet, COLUMNS, number + 1))

    def finish(self) -> None:
        """Add the filters, whose ranges are known only now."""
        for full in self._all:
            full.sheet.autofilter(0, 0, full.rows - 1, len(full.names) - 1)

    def add(self, record: Record) -> None:
        """Write one point into the sheet of its measurement."""
        name = record.measurement
        current = self._sheets.get(name)
        if current is None or current.rows >= self._sheet_rows:
            current = self._sheets[name] = self._next(name)
        _write_row(current, record, self._time)
        current.rows += 1
        self.points[name] = self.points.get(name, 0) + 1

    def _next(self, name: str) -> _Sheet:
        measurement = MEASUREMENTS[name]
        fields = (f.name for f in measurement.fields)
        names = ("time (UTC)", "time_ns", *measurement.tags, *fields)
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        title = name if number == 1 else f"{name} {number}"
        self._all.append(_Sheet(self._new_sheet(title, names), names))
        return self._all[-1]

    def _new_sheet(self, title: str, names: Sequence[str]) -> Worksheet:
        return new_sheet(self._workbook, title, names, self._head)


def head_format(workbook: Workbook) -> Format:
    """Return the format of heads."""
    return workbook.add_format({"bold": True, "bottom": 1})


def new_sheet(
    workbook: Workbook, title: str, names: Sequence[str], head: Format
) -> Worksheet:
    """Add a sheet with a head that stays in sight."""
    sheet: Worksheet = workbook.add_worksheet(title)
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(names) - 1, 14)
    for column, name in enumerate(names):
        sheet.write_string(0, column, name, head)
    return sheet


def write_cell(sheet: Worksheet, row: int, column: int, value: Value | None) -> None:
    """Write a number or a text; a missing value is an empty cell."""
    if isinstance(value, str) or (value is not None and abs(value) >= _EXACT_MAX):
        sheet.write_string(row, column, str(value))
    elif value is not None:
        sheet.write_number(row, column, value)


def _write_row(current: _Sheet, record: Record, time_format: Format) -> None:
    row, sheet = current.rows, current.sheet
    days = record.time_ns / _DAY_NS + _EPOCH_DAYS
    if days >= 1:
        sheet.write_number(row, 0, days, time_format)
    sheet.write_string(row, 1, str(record.time_ns))
    values: dict[str, Value] = {**record.tags, **record.fields}
    for column, name in enumerate(current.names[2:], start=2):
        write_cell(sheet, row, column, values.get(name))
