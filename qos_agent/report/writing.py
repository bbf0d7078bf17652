"""The files of a report: tables as CSV, and everything as JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any

from qos_agent import __version__
from qos_agent.archive.exporting import Written
from qos_agent.archive.manifest import FILE_NAME, sha256_of
from qos_agent.report.indicators import INDICATORS
from qos_agent.report.sums import Outcome, Selection, archive_sums
from qos_agent.report.tables import (
    DEFINITIONS,
    INSUFFICIENT,
    Figure,
    definitions,
    figures,
    missing,
)

MISSING = ("indicator", "regency", "station")
# The evidence of an archive is not verified here, and no register is compared.
_LIMITS = (
    "Evidence: not verified.",
    "The stations are not compared with the register.",
    "Missing data is not estimated.",
)
_CHOSEN = (
    "The figures describe the measured stations. They are no estimate for all stations."
)
_RANDOM = (
    "Intervals apply to all stations of an area, if those that report are a simple"
    " random sample of them."
)


def write_report(
    archive: Path, folder: Path, chosen: Selection, *, is_random: bool
) -> Written:
    """Write the tables of a report; return the number of rows of each."""
    with archive_sums(archive, chosen) as sums:
        rows = figures(sums.groups(), is_random=is_random)
        without = [*missing(sums)]
        outcomes = [*sums.outcomes()]
        summary = _summary(archive, chosen, sums.present(), is_random=is_random)
    _write_csv(folder / "figures.csv", _names(Figure), map(astuple, rows))
    _write_csv(folder / "completeness.csv", _names(Outcome), map(astuple, outcomes))
    _write_csv(folder / "missing.csv", MISSING, without)
    _write_csv(folder / "definitions.csv", DEFINITIONS, definitions())
    table = {
        **summary,
        "definitions": [dict(zip(DEFINITIONS, d, strict=True)) for d in definitions()],
        "figures": [asdict(row) for row in rows],
        "completeness": [asdict(outcome) for outcome in outcomes],
        "missing": [dict(zip(MISSING, row, strict=True)) for row in without],
    }
    text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    return Written(
        {
            "figures": len(rows),
            "insufficient": sum(row.status == INSUFFICIENT for row in rows),
            "completeness": len(outcomes),
            "missing": len(without),
            "stations": summary["stations"],
            "indicators": len(INDICATORS),
        }
    )


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


def _names(kind: type[Figure | Outcome]) -> list[str]:
    return [field.name for field in fields(kind)]


def _write_csv(
    path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        table.writerows(rows)
