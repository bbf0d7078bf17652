"""CSV files as spreadsheet programs export them."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
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


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
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
    lines = [
        *[empty] * 40,
        empty,
        "",
        *lines[:2],
        empty,
        lines[2],
        "  " + empty,
        empty,
        "",
    ]
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
        ("Kd_Prov", "province"),
        ("ISP 2", "operator_2"),
        ("Penyedia layanan", "operator"),
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
        file.write(b"x" * 10_000)
        file.truncate(100_000_000_000)
    with pytest.raises(InvalidRegisterError, match="is not a CSV file: a value has"):
        stage(register, path, lambda _: None)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    """A pipe without a writer and a device without an end do not hold the command."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / "pipe"
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"), spreadsheet.opened(path):
        pass


def test_a_head_cell_may_have_lines(register: Register, tmp_path: Path) -> None:
    """A spreadsheet wraps long names; rows keep the numbers that it shows."""
    head, first, second = text_of(";", INDONESIAN).splitlines()
    head = head.replace("Nama TPS", '"Nama\nTPS"').replace("Bujur", '" Bujur\r\n(Lon)"')
    lines = [head, first, second.replace("-6.18", "x")]
    result = staged(register, tmp_path, "\n".join(lines))
    assert [(f.row, f.column) for f in result.faults] == [(3, "latitude")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "title",
    [
        "DAFTAR TPS",
        "DAFTAR TPS PROVINSI DKI JAKARTA*",
        '"DAFTAR TPS\nPEMILU 2024"',
        "DAFTAR TPS*\n*\nTanggal: 1 Januari 2029*KPU*TPS",
        "*\n\nDAFTAR, TPS; 2024 | DKI*",
    ],
)
def test_titles_above_the_head_are_skipped(
    register: Register, tmp_path: Path, separator: str, title: str
) -> None:
    """Official lists begin with a title; rows keep the numbers of the spreadsheet."""
    title = title.replace("*", separator)
    head, first, second = text_of(separator, INDONESIAN).splitlines()
    lines = [title, head, first, second.replace("-6.18", "x")]
    result = staged(register, tmp_path, "\n".join(lines))
    rows_above = 1 if title.startswith('"') else len(title.split("\n"))
    assert [(f.row, f.column) for f in result.faults] == [(rows_above + 3, "latitude")]
    assert result.stations == 1


@pytest.mark.parametrize("name", ["No", "No.", "NO URUT", "Nomor", "#", "№"])
def test_a_column_of_row_numbers_is_ignored(
    register: Register, tmp_path: Path, name: str
) -> None:
    """A row with nothing but its number is empty."""
    head, first, second = text_of(";").splitlines()
    lines = [f"{name};{head}", f"1;{first}", f"2;{second}", "3" + ";" * len(GOOD), "4"]
    result = staged(register, tmp_path, "\n".join(lines))
    assert (result.stations, result.faults) == (2, [])


@pytest.mark.parametrize("name", ["Operator 1", "operator_1", "Operator1"])
def test_the_first_operator_may_have_a_number(
    register: Register, tmp_path: Path, name: str
) -> None:
    """The second one has a number, so people number the first one too."""
    text = text_of(";", {"operator": name, "ticket": "Tiket 1"})
    assert staged(register, tmp_path, text).faults == []
    register.apply(100, close_missing=False)
    assert register.expected_by_operator(200) == {("3171", "telkomsel"): 2}


def test_two_names_of_one_operator_are_one(register: Register, tmp_path: Path) -> None:
    """Legal names, brands and unknown operators of two spellings count once."""
    head, first, second = text_of(";").splitlines()
    names = [
        ("PT XLSMART Telecom Sejahtera Tbk", "XL Smart"),
        ("Orbit_Star", "orbit-star"),
    ]
    for one, other in names:
        lines = [head, first.replace("telkomsel", one, 1)]
        lines.append(second.replace("telkomsel", other, 1))
        assert staged(register, tmp_path, "\n".join(lines)).faults == []
        register.apply(100, close_missing=False)
        assert len(register.expected_by_operator(200)) == 1


def test_a_quoted_decimal_comma_is_read(register: Register, tmp_path: Path) -> None:
    """Quotes make it plain that the comma does not separate two values."""
    text = text_of(",").replace("-6.18", '"-6,18"').replace("106.83", '"106,83"')
    assert staged(register, tmp_path, text).faults == []
    register.apply(100, close_missing=False)
    entry = register.stations("3171", 200)[GOOD["station"]]
    assert (entry.latitude, entry.longitude) == (-6.18, 106.83)


def test_the_minus_sign_of_typography_is_read(
    register: Register, tmp_path: Path
) -> None:
    """Spreadsheet programs write it in some languages, and documents contain it."""
    text = text_of().replace("-6.", "\u22126.")
    assert "\u2212" in text
    assert staged(register, tmp_path, text).faults == []


@pytest.mark.parametrize("form", ['="{}"', '"=""{}"""', "'{}", '"\'{}"', '" {} "'])
def test_codes_that_were_forced_to_be_text_are_read(
    register: Register, tmp_path: Path, form: str
) -> None:
    """People write them so that the spreadsheet keeps every digit."""
    text = text_of(",")
    for code in (GOOD["station"], "3171010001002"):
        text = text.replace(f"{code},", form.format(code) + ",")
    text = text.replace(",31,3171,", f",{form.format('31')},{form.format('3171')},")
    assert staged(register, tmp_path, text).faults == []


def test_a_name_may_begin_with_an_apostrophe(
    register: Register, tmp_path: Path
) -> None:
    """Only the apostrophe before a number is one of a spreadsheet."""
    text = text_of(",").replace("TPS 001", "'Aisyiyah 1")
    assert staged(register, tmp_path, text).faults == []
    register.apply(100, close_missing=False)
    (row,) = register.history(GOOD["station"])
    assert row["name"] == "'Aisyiyah 1"


@pytest.mark.parametrize(
    "content", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"sep=;\r\n", b";;;\n ; ;\n"]
)
def test_an_empty_file_is_named_as_such(
    register: Register, tmp_path: Path, content: bytes
) -> None:
    """The names of seven missing columns would hide it."""
    with pytest.raises(InvalidRegisterError) as raised:
        staged(register, tmp_path, content)
    assert str(raised.value) == (
        f"{tmp_path}/stations.csv: is empty. Fix: export the table again."
    )


def test_a_file_with_only_a_head_is_named_as_such(
    register: Register, tmp_path: Path
) -> None:
    """It would close every station of the nation."""
    head = text_of().splitlines()[0]
    for content in (head, f"{head}\r\n", f"DAFTAR TPS\n{head}\n,,,\n"):
        with pytest.raises(InvalidRegisterError, match="has no row below its head"):
            staged(register, tmp_path, content)


@pytest.mark.parametrize("length", [100_000, 130_000, 200_000, 2_000_000])
@pytest.mark.parametrize("column", ["station", "name", "operator", "latitude"])
def test_a_long_value_is_not_printed_whole(
    register: Register, tmp_path: Path, length: int, column: str
) -> None:
    """The line names the row, and shows the beginning at most."""
    text = text_of().replace(OTHER[column], "x" * length, 2)
    faults = staged(register, tmp_path, text).faults
    assert faults
    for fault in faults:
        assert len(str(fault)) < 400
        assert "field larger" not in str(fault)


def _zip(name: str, content: str = "") -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(name, content)
        archive.writestr("more.xml", "x" * 1000)
    return memory.getvalue()


def _compound(stream: str) -> bytes:
    """Return a Compound File Binary with a stream, as old Excel writes it."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[30:32] = (9).to_bytes(2, "little")  # sectors of 512 bytes
    header[48:52] = (1).to_bytes(4, "little")  # the sector of the directory
    directory = bytearray(512)
    for at, name in ((0, "Root Entry"), (128, stream)):
        directory[at : at + 2 * len(name)] = name.encode("utf-16-le")
    return bytes(header) + bytes(512) + bytes(directory)


_ODS = "application/vnd.oasis.opendocument.spreadsheet"
_BINARY = {
    "xlsx": (_zip("[Content_Types].xml"), "is an Excel workbook"),
    "xlsb": (_zip("xl/workbook.bin"), "is an Excel workbook"),
    "xlsx of Python": (_zip("docProps/app.xml"), "is an Excel workbook"),
    "xlsx of LibreOffice": (_zip("_rels/.rels"), "is an Excel workbook"),
    "ods": (_zip("mimetype", _ODS), "is an OpenDocument spreadsheet"),
    "zip": (_zip("stations.csv", text_of()), "is a ZIP archive"),
    "xls": (_compound("Workbook"), "is an old Excel workbook"),
    "xls of 1990": (b"\x09\x04\x06\x00\x00\x00\x10\x00", "is an old Excel workbook"),
    "password": (_compound("EncryptedPackage"), "is an Excel workbook with a password"),
    "cut compound": (_compound("Workbook")[:20], "is an old Excel workbook"),
    "html": (b"\r\n <html><table><tr>", "is an HTML or XML page"),
    "html with BOM": ("<table>".encode("utf-8-sig"), "is an HTML or XML page"),
    "html in UTF-16": ("<HTML>".encode("utf-16"), "is an HTML or XML page"),
    "xml": (b"<?xml version='1.0'?><Workbook>", "is an HTML or XML page"),
    "pdf": (b"%PDF-1.7\n", "is a PDF document"),
    "zeros": (bytes(500_000), "is a binary file"),
    "program": (b"\x7fELF\x02\x01\x01\0\0", "is a binary file"),
    "gzip": (gzip.compress(text_of().encode()), "is a compressed file"),
}


@pytest.mark.parametrize("name", ["stations.csv", "stations.xlsx", "stations.xls"])
@pytest.mark.parametrize(("content", "problem"), _BINARY.values(), ids=_BINARY)
def test_a_file_of_another_kind_is_one_line(
    register: Register, tmp_path: Path, content: bytes, problem: str, name: str
) -> None:
    """The content counts, not the name, which people change by hand."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidRegisterError) as raised:
        stage(register, path, lambda _: None)
    assert str(raised.value).startswith(f"{path}: {problem}. Fix: ")
    assert "save the sheet as CSV UTF-8" in str(raised.value)


def test_a_text_file_with_the_name_of_a_workbook_is_read(
    register: Register, tmp_path: Path
) -> None:
    """Programs save CSV under such a name."""
    path = tmp_path / "stations.xlsx"
    path.write_text(text_of(";"))
    assert stage(register, path, lambda _: None).stations == 2
