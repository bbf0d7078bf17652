"""Workbooks: typed cells, no formulas, bounded sheets, the same bytes each time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from qos_agent.archive import xlsx
from qos_agent.archive.exporting import export
from qos_agent.archive.xlsx import FILE_NAME, write_xlsx
from qos_agent.model.errors import OperatorError
from tests.archive.support import VOTING_NS, line, lines
from tests.support.workbook import NS, Cell, part_of, sheets


def _by_name(rows: list[dict[str, Cell]], number: int) -> dict[str, Cell]:
    """Return a row's cells by the names in the head."""
    names = {column: text for column, (_, text) in rows[0].items()}
    return {names[column]: cell for column, cell in rows[number].items()}


def test_cells_have_types(tmp_path: Path) -> None:
    """Numbers are numbers, times are dates, and what was not measured is empty."""
    export(lambda work: write_xlsx([line(7, data_bytes=10**16)], work), tmp_path)
    found = sheets(tmp_path / FILE_NAME)
    assert list(found) == ["definitions", "latency"]
    cells = _by_name(found["latency"], 1)
    assert cells["sent"] == ("n", "20")
    assert cells["rtt_p50_ms"] == ("n", "21")
    assert cells["station"] == ("inlineStr", "3171010001001")
    assert cells["time_ns"] == ("inlineStr", str(VOTING_NS + 7 * 10**9))
    # 14 February 2024 is day 45336 of Excel.
    assert cells["time (UTC)"][0] == "n"
    assert float(cells["time (UTC)"][1]) == pytest.approx(45336 + 7 / 86400, abs=1e-9)
    assert cells["data_bytes"] == ("inlineStr", "10000000000000000")
    assert "cause" not in cells


@pytest.mark.parametrize("text", ["=1+1", "=cmd|' /C calc'!A1", "http://x/", "007"])
def test_texts_are_never_formulas_links_or_numbers(tmp_path: Path, text: str) -> None:
    """A message of a server cannot run anything on the reader's computer."""
    export(lambda work: write_xlsx([line(1, detail=text)], work), tmp_path)
    assert _by_name(sheets(tmp_path / FILE_NAME)["latency"], 1)["detail"] == (
        "inlineStr",
        text,
    )
    with zipfile.ZipFile(tmp_path / FILE_NAME) as book:
        content = b"".join(map(book.read, book.namelist()))
    assert b"<f>" not in content
    assert b"<hyperlink" not in content


def test_heads_are_frozen_and_filtered(tmp_path: Path) -> None:
    """Each sheet has its head in sight, and a filter over all of its rows."""
    export(lambda work: write_xlsx(lines(3), work), tmp_path)
    with zipfile.ZipFile(tmp_path / FILE_NAME) as book:
        for number in (1, 2):
            sheet = part_of(book, f"xl/worksheets/sheet{number}.xml")
            (pane,) = sheet.iter(f"{NS}pane")
            (area,) = sheet.iter(f"{NS}autoFilter")
            rows = len(list(sheet.iter(f"{NS}row")))
            assert (pane.attrib["ySplit"], pane.attrib["state"]) == ("1", "frozen")
            assert area.attrib["ref"].endswith(str(rows))


def test_a_full_sheet_is_followed_by_another(tmp_path: Path) -> None:
    """No reading is lost at the row limit, and each sheet has a head."""
    export(lambda work: write_xlsx(lines(7), work, sheet_rows=4), tmp_path)
    found = sheets(tmp_path / FILE_NAME)
    numbers = [
        _by_name(found[name], row)["seq"][1]
        for name in ("latency", "latency 2", "latency 3")
        for row in range(1, len(found[name]))
    ]
    assert numbers == [str(n) for n in range(1, 8)]
    assert xlsx.SHEET_ROWS == 1_048_576


def test_the_same_lines_give_the_same_bytes(tmp_path: Path) -> None:
    """A workbook has no time of its making."""
    for name in ("a", "b"):
        export(lambda work: write_xlsx(lines(20), work), tmp_path / name)
    first, second = (tmp_path / name / FILE_NAME for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_damaged_lines_are_in_a_file_of_their_own(tmp_path: Path) -> None:
    """They are counted, and their bytes are kept."""
    content = [line(1), b"damaged \xff", line(2)]
    exported = export(lambda work: write_xlsx(content, work), tmp_path)
    assert (exported.points, exported.damaged) == ({"latency": 2}, 1)
    assert (tmp_path / "points.lp").read_bytes() == b"damaged \xff\n"


def test_without_xlsxwriter_the_fix_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device does not have the package."""
    monkeypatch.setitem(__import__("sys").modules, "xlsxwriter", None)
    with pytest.raises(OperatorError, match=r"xlsxwriter: this package is missing"):
        export(lambda work: write_xlsx(lines(1), work), tmp_path / "out")
    assert not (tmp_path / "out").exists()
