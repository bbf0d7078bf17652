"""The files of a report: tables as CSV and JSON, and pages in the chosen formats."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from qos_agent import __version__
from qos_agent.archive.exporting import Written
from qos_agent.archive.manifest import sha256_of
from qos_agent.model import Value
from qos_agent.report.document import Document
from qos_agent.report.facts import Facts
from qos_agent.report.incidents import PlaceIncident
from qos_agent.report.language import Code, Words, words
from qos_agent.report.readings import Around, Outage
from qos_agent.report.sums import Outcome
from qos_agent.report.tables import DEFINITIONS, INSUFFICIENT, Figure, definitions
from qos_agent.report.thresholds import judged
from qos_agent.report.types import Comparison, Coverage, Incident

MISSING = ("indicator", "regency", "station")
SILENT = ("regency", "station")
NAME = "report"
_CHOSEN = (
    "The figures describe the measured stations. They are no estimate for all stations."
)
_RANDOM = (
    "Intervals apply to all stations of an area, if those that report are a simple"
    " random sample of them."
)


class Format(StrEnum):
    """Formats of the pages. The tables as CSV and JSON are always written."""

    PDF = "pdf"
    XLSX = "xlsx"
    HTML = "html"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a report."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[Value | None]]


# Writes the pages into a folder that has the tables already.
Pages = Callable[[Path], None]


def write_report(facts: Facts, folder: Path, pages: Pages) -> Written:
    """Write the tables, then the pages; return the number of rows of each table."""
    tables = _tables(facts)
    _write_json(folder / f"{NAME}.json", _summary(facts), tables)
    for table in tables:
        _write_csv(folder / f"{table.name}.csv", table)
    pages(folder)
    counts = {table.name: len(table.rows) for table in tables}
    insufficient = sum(row.status == INSUFFICIENT for row in facts.figures)
    return Written({**counts, "insufficient": insufficient, "stations": facts.present})


def write_pages(
    facts: Facts, folder: Path, formats: Iterable[Format], code: Code
) -> None:
    """Write the report in the formats."""
    if not _paged(formats):
        return
    from qos_agent.report.content.whole import chapters, document

    t = words(code)
    sections = chapters(facts, t)
    _render(
        lambda: document(facts, sections, hashes(folder), t),
        folder / NAME,
        formats,
        facts.run_id,
        t,
    )


def write_dossier(
    facts: Facts,
    place: PlaceIncident,
    around: Sequence[Around],
    folder: Path,
    formats: Iterable[Format],
    code: Code,
) -> Written:
    """Write the dossier of an incident in the formats, and its records as CSV."""
    from qos_agent.report.content.dossier import dossier

    rows = [astuple(outage) for outage in place.outages]
    _write_csv(folder / "outages.csv", _Table("outages", _names(Outage), rows))
    t = words(code)
    if _paged(formats):
        found = dossier(facts, place, around, t)
        _render(lambda: found, folder / "dossier", formats, facts.run_id, t)
    return Written({"outages": len(rows)})


def _paged(formats: Iterable[Format]) -> set[Format]:
    return {*formats} - {Format.CSV}


def _render(
    made: Callable[[], Document],
    path: Path,
    formats: Iterable[Format],
    run: str,
    t: Words,
) -> None:
    """Write the files of a document, the PDF last, because it lists the others."""
    attached = sorted(path.parent.iterdir())
    chosen = {*formats}
    if Format.XLSX in chosen:
        from qos_agent.report.render.workbook import write_workbook

        write_workbook(path.with_suffix(".xlsx"), made())
    if Format.HTML in chosen:
        from qos_agent.report.render.html import write_html

        write_html(path.with_suffix(".html"), made(), t)
    if Format.PDF in chosen:
        from qos_agent.report.render.pdf import write_pdf

        write_pdf(path.with_suffix(".pdf"), made(), run, attached, t)


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files that are written so far."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def _tables(facts: Facts) -> tuple[_Table, ...]:
    thresholds = facts.template.thresholds
    rows = [(*astuple(f), judged(f, thresholds)) for f in facts.figures]
    outages = [astuple(o) for place in facts.incidents for o in place.outages]
    return (
        _Table("definitions", DEFINITIONS, [*definitions()]),
        _Table("figures", [*_names(Figure), "judgement"], rows),
        _Table("completeness", _names(Outcome), [*map(astuple, facts.outcomes)]),
        _Table("missing", MISSING, facts.missing),
        _Table("silent", SILENT, facts.silent),
        _Table("coverage", _names(Coverage), [*map(astuple, facts.coverage)]),
        _Table("comparisons", _names(Comparison), [*map(astuple, facts.comparisons)]),
        _Table("incidents", _names(Incident), [*_incidents(facts)]),
        _Table("outages", _names(Outage), outages),
    )


def _incidents(facts: Facts) -> Iterator[Sequence[Value | None]]:
    for place in facts.incidents:
        incident = place.incident
        yield tuple(
            "; ".join(value) if isinstance(value, tuple) else value
            for value in astuple(incident)
        )


def _summary(facts: Facts) -> dict[str, Any]:
    """Return what applies to all figures: input, scope and limits."""
    evidence = "not verified"
    if facts.verification is not None:
        evidence = "valid" if facts.verification.is_valid else "not valid"
        if rest := facts.verification.unproven(facts.readings):
            evidence += f", but {rest} or more readings of the archive are not proven"
    return {
        "tool": f"qos-agent {__version__}",
        "run": facts.run_id,
        "archive_sha256": facts.archive_sha256,
        "scope": asdict(facts.chosen),
        "election": facts.election.name if facts.election else None,
        "stations": facts.present,
        "limits": [
            _RANDOM if facts.is_random else _CHOSEN,
            f"Evidence: {evidence}.",
            "Missing data is not estimated.",
        ],
    }


def _names(kind: type[Any]) -> list[str]:
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
