"""The files of a report: tables as CSV or as a workbook, and everything as JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from qos_agent import __version__
from qos_agent.archive.exporting import Written
from qos_agent.archive.manifest import FILE_NAME, sha256_of
from qos_agent.archive.xlsx import head_format, new_sheet, new_workbook, write_cell
from qos_agent.model import Value
from qos_agent.report.comparisons import comparisons
from qos_agent.report.sums import Outcome, Selection, archive_sums
from qos_agent.report.tables import (
    DEFINITIONS,
    INSUFFICIENT,
    Figure,
    definitions,
    figures,
    missing,
)
from qos_agent.report.types import Comparison, Coverage

MISSING = ("indicator", "regency", "station")
_LIMITS = (
    "Evidence: not verified.",
    "Missing data is not estimated.",
)
_CHOSEN = (
    "The figures describe the measured stations. They are no estimate for all stations."
)
_RANDOM = (
    "Intervals apply to all stations of an area, if those that report are a simple"
    " random sample of them."
)


class Format(StrEnum):
    """Formats of the tables."""

    CSV = "csv"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a report."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[Value | None]]


def write_report(
    archive: Path,
    folder: Path,
    chosen: Selection,
    file_format: Format = Format.CSV,
    *,
    is_random: bool = False,
    register: Path | None = None,
    spark: str | None = None,
) -> Written:
    """Write the tables of a report; return the number of rows of each."""
    with archive_sums(archive, chosen, register=register, spark=spark) as sums:
        rows = figures(sums.groups(), is_random=is_random)
        tables = (
            _Table("definitions", DEFINITIONS, [*definitions()]),
            _Table("figures", _names(Figure), [*map(astuple, rows)]),
            _Table("completeness", _names(Outcome), [*map(astuple, sums.outcomes())]),
            _Table("missing", MISSING, [*missing(sums)]),
            _Table(
                "coverage", _names(Coverage), [*map(astuple, sums.frame.coverage())]
            ),
            _Table(
                "comparisons", _names(Comparison), [*map(astuple, comparisons(sums))]
            ),
        )
        summary = _summary(archive, chosen, sums.present(), is_random=is_random)
    _write_json(folder / "report.json", summary, tables)
    if file_format is Format.XLSX:
        _write_workbook(folder / "report.xlsx", tables)
    else:
        for table in tables:
            _write_csv(folder / f"{table.name}.csv", table)
    counts = {table.name: len(table.rows) for table in tables}
    insufficient = sum(row.status == INSUFFICIENT for row in rows)
    stations = int(summary["stations"])
    return Written({**counts, "insufficient": insufficient, "stations": stations})


def _summary(
    archive: Path, chosen: Selection, stations: int, *, is_random: bool
) -> dict[str, Any]:
    """Return what applies to all figures: input, scope and limits."""
    return {
        "tool": f"qos-agent {__version__}",
        "archive_sha256": sha256_of(archive / FILE_NAME),
        "scope": asdict(chosen),
        "stations": stations,
        "limits": [_RANDOM if is_random else _CHOSEN, *_LIMITS],
    }


def _names(kind: type[Figure | Outcome | Coverage | Comparison]) -> list[str]:
    return [field.name for field in fields(kind)]


def _write_json(
    path: Path, summary: Mapping[str, Any], tables: Sequence[_Table]
) -> None:
    rows = {
        table.name: [dict(zip(table.head, row, strict=True)) for row in table.rows]
        for table in tables
    }
    text = json.dumps({**summary, **rows}, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def _write_csv(path: Path, table: _Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(table.head)
        lines.writerows(table.rows)


def _write_workbook(path: Path, tables: Sequence[_Table]) -> None:
    """Write a sheet for each table, with a filter and a head that stays in sight."""
    with new_workbook(path) as workbook:
        head = head_format(workbook)
        for table in tables:
            sheet = new_sheet(workbook, table.name, table.head, head)
            for number, row in enumerate(table.rows, start=1):
                for column, value in enumerate(row):
                    write_cell(sheet, number, column, value)
            sheet.autofilter(0, 0, len(table.rows), len(table.head) - 1)
