"""Builds the example report from a simulated election, and checks its numbers.

`make report` runs this. It fails if the report disagrees with the answer key of the
simulator. The first pages become pictures with pdftoppm of the package poppler-utils.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "id")
# A device needs up to two minutes to see an outage, and to see that it has ended.
_TOLERANCE_S = 150
_Rows = Sequence[Mapping[str, str]]


def main() -> None:
    """Simulate, build the archive, write the reports and check them."""
    with TemporaryDirectory() as name:
        work = Path(name)
        key = simulate(work)
        for language in LANGUAGES:
            _run(work, *_report(language))
        faults = [*disagreements(key, work / "en")]
        if faults:
            sys.exit("\n".join(faults))
        for language in LANGUAGES:
            pdf = FOLDER / f"report-{language}.pdf"
            shutil.copyfile(work / language / "report.pdf", pdf)
            picture(pdf)
        _run(work, *_report("en", "dossier"), "--incident", longest(work / "en"))
        shutil.copyfile(work / "dossier" / "dossier.pdf", FOLDER / "dossier-en.pdf")


def simulate(work: Path) -> list[dict[str, Any]]:
    """Write an archive of the simulated election, and return the answer key."""
    scenario = str(FOLDER / "scenario.toml")
    files = ("--out", "day.lp", "--key", "key.json")
    _run(work, "noc", "simulate", scenario, *files)
    _run(work, "archive", "build", "--source", "day.lp", "--out", "archive")
    key: list[dict[str, Any]] = json.loads((work / "key.json").read_text())
    return key


def _report(language: str, out: str = "") -> tuple[str, ...]:
    template = str(FOLDER / "template.toml")
    scope = ("--election", "2024-02-14", "--lang", language)
    paths = ("--source", "archive", "--out", out or language, "--template", template)
    return "report", *paths, *scope


def longest(report: Path) -> str:
    """Return the incident with the most stations."""
    table = json.loads((report / "report.json").read_text(encoding="utf-8"))
    found = max(table["incidents"], key=lambda row: int(row["stations"]))
    return str(found["incident_id"])


def disagreements(key: Sequence[Mapping[str, Any]], report: Path) -> Iterator[str]:
    """Yield what the report says in another way than the answer key."""
    outages = _rows(report / "outages.csv")
    table = json.loads((report / "report.json").read_text(encoding="utf-8"))
    expected = {"core_failure", "cut_off"}
    causes = [fault for fault in key if fault["kind"] in expected]
    for fault in causes:
        yield from _outage_faults(fault, outages)
    known = {station for fault in causes for station in fault["stations"]}
    for row in outages:
        if row["station"] not in known:
            yield f"outage {row['name']}: not in the answer key"
    silent = {s for f in key if f["kind"] == "never" for s in f["stations"]}
    if not silent:
        yield "the answer key has no silent station"
    if table["stations"] != 60 - len(silent):
        yield f"stations: {table['stations']}, but {len(silent)} of 60 are silent"


def _outage_faults(fault: Mapping[str, Any], outages: _Rows) -> Iterator[str]:
    """Yield differences of start, end and stations of one fault."""
    name = f"{fault['kind']} in {fault['province'] or fault['regency']}"
    found = [row for row in outages if row["station"] in fault["stations"]]
    missing = {*fault["stations"]} - {row["station"] for row in found}
    if missing:
        yield f"{name}: no outage of {', '.join(sorted(missing))}"
    for row in found:
        for column, edge in (("start_ns", "from"), ("end_ns", "to")):
            second = int(row[column] or 0) // 10**9
            if abs(second - fault[edge]) > _TOLERANCE_S:
                off = f"{second - fault[edge]} s off"
                yield f"{name}: {column} of {row['station']} is {off}"


def _rows(path: Path) -> _Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def picture(pdf: Path) -> None:
    """Write the first page as a picture."""
    options = ("-png", "-singlefile", "-r", "60", "-f", "1", "-l", "1")
    subprocess.run(["pdftoppm", *options, pdf, pdf.with_suffix("")], check=True)


def _run(work: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parents[1])}
    command = [sys.executable, "-m", "qos_agent", *arguments]
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
