"""The files of a report: whole, complete and the same bytes each time."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from qos_agent.archive.exporting import export
from qos_agent.archive.manifest import FILE_NAME, sha256_of
from qos_agent.model.errors import OperatorError
from qos_agent.report.sums import Selection
from qos_agent.report.writing import Format, write_report
from tests.report.support import archive_of, train
from tests.support.workbook import sheets


def _written(archive: Path, out: Path, *, is_random: bool = False) -> dict[str, bytes]:
    chosen = Selection(area="31")
    export(lambda work: write_report(archive, work, chosen, is_random=is_random), out)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_tables_and_json_have_the_same_figures(tmp_path: Path) -> None:
    """The JSON also has the scope, the input and the limits."""
    lines = [train(1, [10] * 300), train(2, [10], province="32", regency="3201")]
    archive = archive_of(tmp_path, lines)
    files = _written(archive, tmp_path / "out")
    report = json.loads(files["report.json"])
    assert report["archive_sha256"] == sha256_of(archive / FILE_NAME)
    assert (report["scope"]["area"], report["stations"]) == ("31", 1)
    assert "no estimate for all stations" in report["limits"][0]
    assert "Evidence: not verified." in report["limits"]
    rows = [*csv.DictReader(files["figures.csv"].decode().splitlines())]
    for row, figure in zip(rows, report["figures"], strict=True):
        assert row == {k: "" if v is None else str(v) for k, v in figure.items()}
    assert {row["area"] for row in rows} == {"", "31", "3171"}
    names = {entry["indicator"] for entry in report["definitions"]}
    assert {row["indicator"] for row in rows} <= names


def test_a_workbook_has_a_sheet_for_each_table(tmp_path: Path) -> None:
    """Numbers are numbers, and what is insufficient has an empty cell."""
    archive = archive_of(tmp_path, [train(1, [10] * 300), train(2, [], operator="xl")])
    files = [_workbook(archive, tmp_path / name) for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()
    found = sheets(files[0])
    assert [*found] == [
        "definitions",
        "figures",
        "completeness",
        "missing",
        "coverage",
        "comparisons",
    ]
    columns = {text: column for column, (_, text) in found["figures"][0].items()}
    loss = next(row for row in found["figures"] if row["A"][1] == "loss")
    assert loss[columns["denominator"]] == ("n", "300")
    assert loss[columns["counted"]] == ("inlineStr", "packets")
    few = [row for row in found["figures"] if "insufficient data" in str(row)]
    assert few
    assert all(columns["value"] not in row for row in few)


def _workbook(archive: Path, out: Path) -> Path:
    chosen = Selection()
    export(lambda work: write_report(archive, work, chosen, Format.XLSX), out)
    assert not (out / "figures.csv").exists()
    return out / "report.xlsx"


def test_the_same_archive_gives_the_same_bytes(tmp_path: Path) -> None:
    """Another person can repeat the report and compare the hashes."""
    archive = archive_of(tmp_path, [train(n, [10 + n]) for n in range(1, 9)])
    first = _written(archive, tmp_path / "one")
    assert first == _written(archive, tmp_path / "two")
    assert first != _written(archive, tmp_path / "random", is_random=True)


def test_nothing_is_left_without_readings(tmp_path: Path) -> None:
    """An empty report would look like a result."""
    archive = archive_of(tmp_path, [train(1, [10], province="32", regency="3201")])
    with pytest.raises(OperatorError, match="no readings in this period"):
        _written(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
