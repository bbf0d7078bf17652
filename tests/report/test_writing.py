"""The files of a report: whole, complete and the same bytes each time."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from qos_agent.archive.exporting import export
from qos_agent.archive.manifest import FILE_NAME, sha256_of
from qos_agent.config import calendar_file
from qos_agent.model.errors import OperatorError
from qos_agent.report.content import common
from qos_agent.report.facts import Election, gather
from qos_agent.report.language import Code, words
from qos_agent.report.selection import Selection
from qos_agent.report.template import Template
from qos_agent.report.thresholds import Threshold
from qos_agent.report.writing import Format, write_pages, write_report
from tests.report.support import archive_of, train
from tests.support.workbook import sheets

_ALL = (Format.PDF, Format.XLSX, Format.HTML)
_LIMIT = Threshold("loss", 0.01, False, "Rule 7 <b>", "contract")


def _written(
    archive: Path,
    out: Path,
    *formats: Format,
    is_random: bool = False,
    code: Code = "en",
) -> dict[str, bytes]:
    chosen = Selection(area="31")
    election = Election("2024-02-14", calendar_file.named("2024-02-14"))
    template = Template(ministry="Kementerian <Uji>", thresholds=(_LIMIT,))
    facts = gather(archive, chosen, template, election=election, is_random=is_random)
    export(
        lambda work: write_report(
            facts, work, lambda folder: write_pages(facts, folder, formats, code)
        ),
        out,
    )
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
    assert {r["judgement"] for r in rows if r["indicator"] == "loss"} == {"meets"}
    names = {entry["indicator"] for entry in report["definitions"]}
    assert {row["indicator"] for row in rows} <= names


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of one report in all formats, in Indonesian."""
    folder = tmp_path_factory.mktemp("report")
    lines = [train(1, [10] * 300), train(2, [], lost=99, operator="xl")]
    archive = archive_of(folder, lines)
    first = _written(archive, folder / "one", *_ALL, code="id")
    assert first == _written(archive, folder / "two", *_ALL, code="id")
    return first


def test_the_same_archive_gives_the_same_bytes(tmp_path: Path) -> None:
    """Another person can repeat the report and compare the hashes."""
    archive = archive_of(tmp_path, [train(n, [10 + n]) for n in range(1, 9)])
    first = _written(archive, tmp_path / "one")
    assert first == _written(archive, tmp_path / "two")
    assert first != _written(archive, tmp_path / "random", is_random=True)


def test_a_page_is_escaped_and_needs_no_network(pages: dict[str, bytes]) -> None:
    """Texts of a template cannot become commands, and no address is loaded."""
    html = pages["report.html"].decode()
    assert "Kementerian &lt;Uji&gt;" in html
    assert "Rule 7 &lt;b&gt;" in html
    assert "<Uji>" not in html
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    assert "default-src 'none'" in html
    assert '<html lang="id">' in html


def test_chapters_are_in_the_language(pages: dict[str, bytes]) -> None:
    """Completeness comes before the figures, and a comma is before the decimals."""
    html = pages["report.html"].decode()
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles[0] == "Ringkasan"
    assert titles.index("Kelengkapan") < titles.index("Indikator")
    assert {"Tanggapan operator", "Koreksi", "Indeks file", "Bukti"} <= {*titles}
    assert "24,8" in html  # 99 of 399 packets were lost
    assert "Belum diverifikasi." in html


def test_a_pdf_is_tagged_and_has_its_data(pages: dict[str, bytes]) -> None:
    """It claims PDF/A-3a and PDF/UA-1, embeds its fonts and attaches the tables."""
    pdf = pages["report.pdf"]
    assert pdf.startswith(b"%PDF-")
    assert b"<pdfuaid:part>1<" in pdf
    assert b"<pdfaid:part>3<" in pdf
    assert b"/EmbeddedFile" in pdf
    assert b"figures.csv" in pdf


def test_the_index_has_the_hashes_of_the_files(pages: dict[str, bytes]) -> None:
    """The page lists what was written before it."""
    lines = pages["SHA256SUMS"].decode().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    html = pages["report.html"].decode()
    assert sums["figures.csv"] in html
    assert sums["report.xlsx"] in html
    assert "report.pdf" in sums


def test_a_workbook_has_typed_sheets(pages: dict[str, bytes], tmp_path: Path) -> None:
    """Numbers are numbers, and a sheet has the definitions."""
    path = tmp_path / "report.xlsx"
    path.write_bytes(pages["report.xlsx"])
    found = sheets(path)
    assert {"definitions", "all figures", "completeness", "files"} <= {*found}
    rows = [row for row in found["all figures"] if row["A"][1] == "loss"]
    kind, value = rows[0]["E"]
    assert kind == "n"
    assert float(value) == pytest.approx(99 / 399, abs=1e-6)


def test_a_page_with_too_many_figures_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A nation's figures would not open in a browser; the file has all of them."""
    archive = archive_of(tmp_path, [train(1, [10] * 300)])
    facts = gather(archive, Selection(), Template())
    t = words("en")
    assert len(common.all_figures(facts, t).rows) == len(facts.figures)
    monkeypatch.setattr(common, "_ROWS_MAX", 3)
    table = common.all_figures(facts, t)
    assert len(table.rows) == 3
    assert table.note.startswith(f"3 of {len(facts.figures)} rows.")


def test_silent_stations_are_counted_and_named(tmp_path: Path) -> None:
    """A selected station without a reading is in the tables and on the page."""
    archive = archive_of(tmp_path, [train(1, [10] * 300)])
    register = tmp_path / "register.csv"
    head = "station,province,regency,operator,selection,stratum"
    rows = ("s1,31,3171,telkomsel,all,a", "s2,31,3171,telkomsel,all,a")
    register.write_text("\n".join((head, *rows, "")), encoding="utf-8")
    facts = gather(archive, Selection(), Template(), register=register)
    assert facts.silent == [("3171", "s2")]
    assert [c.silent for c in facts.coverage if c.level == "nation"] == [1]
    out = tmp_path / "out"
    out.mkdir()
    write_report(facts, out, lambda p: write_pages(facts, p, [Format.HTML], "en"))
    assert (out / "silent.csv").read_text() == "regency,station\n3171,s2\n"
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "<td>s2</td>" in html
    assert "Coverage of the register" in html


def test_nothing_is_left_without_readings(tmp_path: Path) -> None:
    """An empty report would look like a result."""
    archive = archive_of(tmp_path, [train(1, [10], province="32", regency="3201")])
    with pytest.raises(OperatorError, match="no readings in this period"):
        _written(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
