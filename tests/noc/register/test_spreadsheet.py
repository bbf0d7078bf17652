"""CSV files as spreadsheet programs export them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qos_agent.noc.register import spreadsheet
from qos_agent.noc.register.faults import InvalidRegisterError
from qos_agent.noc.register.importing import Staged, stage
from qos_agent.noc.register.spreadsheet import column
from qos_agent.noc.register.store import Register
from tests.noc.register.registers import GOOD, OTHER

INDONESIAN = {
    "station": "TPS",
    "name": "Nama TPS",
    "province": "Kode Provinsi",
    "regency": "Kabupaten/Kota",
    "latitude": "Lintang",
    "longitude": "Bujur",
    "operator": "Operator",
    "ticket": "Email Tiket",
}


def text_of(separator: str = ",", head: dict[str, str] | None = None) -> str:
    """Return a file of two stations."""
    names = [(head or {}).get(name, name) for name in GOOD]
    rows = (names, GOOD.values(), OTHER.values())
    return "".join(f"{separator.join(row)}\n" for row in rows)


def staged(register: Register, folder: Path, content: str | bytes) -> Staged:
    """Write a file and stage it."""
    path = folder / "stations.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return stage(register, path, lambda _: None)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("head", [{}, INDONESIAN], ids=["English", "Indonesian"])
def test_the_separator_is_detected(
    register: Register,
    tmp_path: Path,
    separator: str,
    declared: bool,
    head: dict[str, str],
) -> None:
    """Excel chooses the separator from the language of the computer."""
    first = f"sep={separator}\r\n" if declared else ""
    result = staged(register, tmp_path, first + text_of(separator, head))
    assert (result.stations, result.faults) == (2, [])


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', '"sep=;";;;;', "sep=,"])
def test_the_line_that_declares_the_separator_is_no_row(
    register: Register, tmp_path: Path, first: str
) -> None:
    """A program that saves the file again may quote the line or keep a wrong one."""
    bad = text_of(";").replace("-6.18", "x", 1)
    result = staged(register, tmp_path, f"{first}\n{bad}")
    assert [(f.row, f.column) for f in result.faults] == [(2, "latitude")]
    assert result.stations == 1


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_the_encoding_is_detected(
    register: Register, tmp_path: Path, encoding: str
) -> None:
    """Excel's "Unicode Text" is UTF-16 with tabs."""
    text = text_of("\t").replace("TPS 001", "TPS Atambua Café")
    result = staged(register, tmp_path, text.encode(encoding))
    assert (result.stations, result.faults) == (2, [])
    difference = register.difference()
    register.apply(100, close_missing=False)
    assert len(difference.added) == 2
    (row,) = register.history(GOOD["station"])
    assert row["name"] == "TPS Atambua Café"


def test_a_broken_unit_of_utf_16_is_a_fault_of_its_value(
    register: Register, tmp_path: Path
) -> None:
    """A lost character must not be stored as a name."""
    data = text_of("\t").replace("TPS 001", "TPS X").encode("utf-16-le")
    broken = data.replace("X".encode("utf-16-le"), b"\x00\xdc")
    result = staged(register, tmp_path, b"\xff\xfe" + broken)
    assert [(f.row, f.column) for f in result.faults] == [(2, "name")]


@pytest.mark.parametrize("separator", [",", ";"])
def test_empty_rows_and_columns_are_ignored(
    register: Register, tmp_path: Path, separator: str
) -> None:
    """A spreadsheet exports cells that were once used, before and after the table."""
    lines = [line + 4 * separator for line in text_of(separator).splitlines()]
    empty = separator * (len(GOOD) + 3)
    lines = [empty, "", *lines[:2], empty, lines[2], "  " + empty, empty, ""]
    result = staged(register, tmp_path, "\r\n".join(lines) + "\r\n")
    assert (result.stations, result.faults) == (2, [])


def test_rows_are_numbered_as_the_spreadsheet_shows_them(
    register: Register, tmp_path: Path
) -> None:
    """Empty rows count, so that the number leads to the row."""
    head, first, second = text_of().splitlines()
    lines = [",,,", head, ",,,", first, second.replace("-6.18", "x")]
    result = staged(register, tmp_path, "\n".join(lines))
    assert [(f.row, f.column) for f in result.faults] == [(5, "latitude")]


def test_a_value_below_no_name_is_a_fault(register: Register, tmp_path: Path) -> None:
    """Only columns that are empty are ignored."""
    head, first, second = text_of().splitlines()
    lines = [f"{head},,contact", f"{first},,Budi", f"{second},note,Budi"]
    result = staged(register, tmp_path, "\n".join(lines))
    (fault,) = result.faults
    column_number = len(GOOD) + 1
    assert str(fault) == (
        f"row 3, column {column_number}: needs a name in the header row (found: 'note')"
    )


def test_missing_separators_after_the_last_value_are_no_fault(
    register: Register, tmp_path: Path
) -> None:
    """Excel leaves them out in rows after the sixteenth; a required value stays one."""
    head, first, second = text_of().splitlines()
    lines = [f"{head},contact,link_2", first, second.rsplit(",", 2)[0]]
    result = staged(register, tmp_path, "\n".join(lines))
    assert [(f.row, f.column) for f in result.faults] == [(3, "row")]
    assert result.stations == 1


def test_a_decimal_comma_is_read_if_it_is_not_the_separator(
    register: Register, tmp_path: Path
) -> None:
    """Excel in Indonesian writes semicolons and decimal commas."""
    text = text_of(";").replace("-6.18", "-6,18").replace("106.83", "106,83")
    assert staged(register, tmp_path, text).faults == []
    register.apply(100, close_missing=False)
    entry = register.stations("3171", 200)[GOOD["station"]]
    assert (entry.latitude, entry.longitude) == (-6.18, 106.83)


def test_operators_are_stored_by_their_code(register: Register, tmp_path: Path) -> None:
    """Two spellings would be two operators in every count."""
    head, first, second = text_of().splitlines()
    lines = [head, first.replace("telkomsel", "Telkomsel", 1), second]
    assert staged(register, tmp_path, "\n".join(lines)).faults == []
    register.apply(100, close_missing=False)
    assert register.expected_by_operator(200) == {("3171", "telkomsel"): 2}


@pytest.mark.parametrize(
    ("name", "english"),
    [
        ("Provinsi", "province"),
        ("KODE_PROVINSI", "province"),
        ("Kab/Kota", "regency"),
        ("Kelurahan / Desa", "village"),
        ("Kecamatan", "district"),
        ("Zona Waktu", "time_zone"),
        ("time zone", "time_zone"),
        ("Operator 2", "operator_2"),
        ("tiket3", "ticket_3"),
        ("nmae", "nmae"),
        ("", ""),
    ],
)
def test_column_names_are_accepted_in_both_languages(name: str, english: str) -> None:
    """An unknown name stays as it is, so that the error shows it."""
    assert column(name) == english


def test_a_column_in_both_languages_is_a_repeated_one(
    register: Register, tmp_path: Path
) -> None:
    """Nobody can know which of the two is right."""
    head, *rows = text_of().splitlines()
    lines = [f"{head},provinsi", *(f"{row},31" for row in rows)]
    with pytest.raises(InvalidRegisterError, match="repeats the column 'province'"):
        staged(register, tmp_path, "\n".join(lines))


def test_an_endless_line_is_read_in_parts(register: Register, tmp_path: Path) -> None:
    """A file of gigabytes without a line end must not fill the memory."""
    path = tmp_path / "sparse.csv"
    with path.open("wb") as file:
        file.truncate(100_000_000_000)
    with pytest.raises(InvalidRegisterError, match="is not a CSV file: field larger"):
        stage(register, path, lambda _: None)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    """A pipe without a writer and a device without an end do not hold the command."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "pipe"
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"), spreadsheet.opened(path):
        pass
