"""CSV files of stations: rejected rows and files, and valid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config.places import provinces, regencies
from qos_agent.noc.register.faults import InvalidRegisterError
from qos_agent.noc.register.importing import described, stage
from qos_agent.noc.register.store import Difference, Register
from tests.noc.register.registers import GOOD, OTHER, csv_of, imported

AS_TEXT = "format the column as text in the spreadsheet, and save it again"


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("station", "317101000100", "must be 13 digits"),
        ("station", "٣١٧١٠١٠٠٠١٠٠١", "must be 13 digits"),
        ("province", "3", "must be 2 digits"),
        ("regency", "3199", "is not a regency of the reference data"),
        ("regency", "3201", "is not in province 31"),
        ("district", "320101", "is not in regency 3171"),
        ("district", "31710", "must be 6 digits"),
        ("village", "31710100011", "must be 10 digits"),
        ("link", "a b", "must consist of letters, digits, - and _"),
        (
            "operator_2",
            "a b",
            "must consist of letters, digits, - and _, such as telkomsel",
        ),
        ("name", "x" * 201, "must be at most 200 characters long"),
        ("latitude", "106.83", "must be between -11.5 and 6.5"),
        ("longitude", "-106.83", "must be between 94.5 and 141.5"),
        ("latitude", "6,1,8", "must be a number with a decimal point"),
        ("station", "3.17105E+12", f"must be 13 digits; {AS_TEXT}"),
        ("station", "3,17E+12", f"must be 13 digits; {AS_TEXT}"),
        ("station", "3171010001001.0", f"must be 13 digits; {AS_TEXT}"),
        ("village", "3.171E+09", f"must be 10 digits; {AS_TEXT}"),
        ("regency", "3171.0", f"must be 4 digits; {AS_TEXT}"),
        ("province", "3.1e1", f"must be 2 digits; {AS_TEXT}"),
        ("latitude", "nan", "must be a number with a decimal point"),
        ("latitude", "-6_1.8e-1", "must be a number with a decimal point"),
        ("latitude", "-61e-1", "must be a number with a decimal point"),
        ("longitude", "١٠٦.8", "must be a number with a decimal point"),
        ("operator", "", "is missing"),
        (
            "operator",
            "Kabel Kita",
            "must consist of letters, digits, - and _, such as telkomsel",
        ),
        ("time_zone", "GMT+7", "must be WIB, WITA or WIT"),
        ("replaces", "1", "must be 13 digits"),
        ("ticket_2", "a@b", "needs operator_2"),
        ("link_2", "backup", "needs operator_2"),
        ("name", "a\x07b", "must not contain control characters"),
    ],
)
def test_a_wrong_value_is_reported_with_row_column_value_and_problem(
    register: Register, tmp_path: Path, column: str, value: str, problem: str
) -> None:
    """Each fault names its place in the file, and the row is not staged."""
    path = csv_of(tmp_path, GOOD, OTHER | {column: value})
    staged = stage(register, path, lambda _: None)
    assert [(f.row, f.column, f.value, f.problem) for f in staged.faults] == [
        (3, column, value, problem)
    ]
    assert staged.stations == 1


def test_every_fault_of_a_row_is_reported(register: Register, tmp_path: Path) -> None:
    """All faults of a row are reported, so that the file is corrected only once."""
    bad = GOOD | {"name": "", "latitude": "x", "regency": "3201", "operator": "a b"}
    staged = stage(register, csv_of(tmp_path, bad), lambda _: None)
    columns = {fault.column for fault in staged.faults}
    assert columns == {"name", "latitude", "regency", "operator"}


def test_a_repeated_station_and_a_repeated_link_are_faults(
    register: Register, tmp_path: Path
) -> None:
    """A station may be in a file only once, and its link names must be unique."""
    twice = OTHER | {"link": "a", "operator_2": "xl", "link_2": "a"}
    staged = stage(register, csv_of(tmp_path, GOOD, GOOD, twice), lambda _: None)
    assert [f.problem for f in staged.faults] == [
        "is in row 2 already",
        "must be unique within a station",
    ]


def test_a_station_and_its_replacement_are_not_in_one_file(
    register: Register, tmp_path: Path
) -> None:
    """A replaced station in the file, or one replaced twice, would count twice."""
    third = GOOD | {"station": "3171010001003", "replaces": "3171010001009"}
    second = OTHER | {"replaces": GOOD["station"]}
    fourth = third | {"station": "3171010001004"}
    path = csv_of(tmp_path, GOOD, second, third, fourth)
    staged = stage(register, path, lambda _: None)
    assert [(f.row, f.column, f.problem.split(";")[0]) for f in staged.faults] == [
        (3, "replaces", "is in row 2"),
        (5, "replaces", "is replaced in row 4 already"),
    ]
    assert staged.stations == 2


def test_a_village_must_be_in_the_next_wider_area_of_the_row(
    register: Register, tmp_path: Path
) -> None:
    """Without a district, the village must be in the regency."""
    path = csv_of(tmp_path, GOOD | {"village": "3201010001"})
    (fault,) = stage(register, path, lambda _: None).faults
    assert str(fault) == "row 2, village: is not in regency 3171 (found: '3201010001')"


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("station,name", "has no column 'province', 'regency'"),
        ("", "has no column 'station'"),
        (f"{','.join(GOOD)},nmae", "has the unknown column 'nmae'"),
        (f"{','.join(GOOD)},station", "repeats the column 'station'"),
    ],
)
def test_a_wrong_header_row_is_rejected(
    register: Register, tmp_path: Path, head: str, problem: str
) -> None:
    """Missing, unknown and repeated columns are reported before any row is read."""
    path = tmp_path / "stations.csv"
    path.write_text(f"{head}\n1,2,3\n")
    with pytest.raises(
        InvalidRegisterError, match=f"the header row {problem}"
    ) as raised:
        stage(register, path, lambda _: None)
    shown = ", ".join(name for name in head.split(",")[:3] if name)
    assert f"(found: {shown}" in str(raised.value) or not shown
    assert "Indonesian names are in docs/noc/register.md." in str(raised.value)


def test_a_row_with_too_many_values_is_reported_and_the_next_is_read(
    register: Register, tmp_path: Path
) -> None:
    """An extra comma shifts the values after it, so the row gives no station."""
    rows = (GOOD, GOOD | {"name": "TPS, 1"}, OTHER)
    lines = "\n".join(",".join(row.values()) for row in rows)
    path = tmp_path / "stations.csv"
    path.write_text(f"{','.join(GOOD)}\n{lines}\n")
    staged = stage(register, path, lambda _: None)
    width = len(GOOD)
    (fault,) = staged.faults
    assert str(fault) == (
        f"row 3, row: must have {width} values, as the header row has "
        f"(found: '{width + 1} values')"
    )
    assert staged.stations == 2


@pytest.mark.parametrize(
    ("rest", "value"),
    [
        (
            (OTHER, GOOD | {"name": '"TPS 9"', "station": "3171010001009"}),
            "lines 3 to 5",
        ),
        ((OTHER,), "lines 3 to 4"),
        ((GOOD | {"name": "x" * 140_000},) * 2, ""),
    ],
    ids=["closed later", "never closed", "endless"],
)
def test_an_open_quote_is_reported_at_the_row_where_it_opens(
    register: Register, tmp_path: Path, rest: tuple[dict[str, str], ...], value: str
) -> None:
    """The rows after it become one value; the fault names the row to correct."""
    rows = (GOOD, GOOD | {"name": '"TPS 2'}, *rest)
    lines = "\n".join(",".join(row.values()) for row in rows)
    path = tmp_path / "stations.csv"
    path.write_text(f"{','.join(GOOD)}\n{lines}\n")
    staged = stage(register, path, lambda _: None)
    first, *_ = staged.faults
    problem = "a quote opens in this row and does not close in it"
    assert (first.row, first.column) == (3, "row")
    assert first.problem.endswith(problem)
    assert first.value.startswith(value)
    assert staged.stations == 1


def test_a_byte_of_another_encoding_is_a_fault_of_its_value(
    register: Register, tmp_path: Path
) -> None:
    """A name from an old file costs only its own row."""
    path = csv_of(tmp_path, GOOD, OTHER | {"name": "TPS Cafe"})
    path.write_bytes(path.read_bytes().replace(b"Cafe", b"Caf\xe9"))
    staged = stage(register, path, lambda _: None)
    (fault,) = staged.faults
    assert str(fault) == (
        r"row 3, name: is not UTF-8; save the file as CSV UTF-8 "
        r"(found: 'TPS Caf\xe9')"
    )
    assert staged.stations == 1


def test_a_file_without_rows_is_rejected(register: Register, tmp_path: Path) -> None:
    """With --close-missing, a failed export would otherwise close a nation."""
    path = csv_of(tmp_path, GOOD)
    path.write_text(path.read_text().splitlines()[0] + "\n\n")
    with pytest.raises(InvalidRegisterError, match="no row below its head"):
        stage(register, path, lambda _: None)


def test_a_byte_order_mark_before_the_head_is_ignored(
    register: Register, tmp_path: Path
) -> None:
    """UTF-8 as Excel saves it begins with a byte order mark."""
    path = csv_of(tmp_path, GOOD)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert stage(register, path, lambda _: None).stations == 1


@pytest.mark.parametrize("content", [b"station,\xff\n", b"x" * 200_000])
def test_a_file_that_is_not_csv_is_rejected(
    register: Register, tmp_path: Path, content: bytes
) -> None:
    """Other encodings and endless fields are not reported as bugs."""
    path = tmp_path / "stations.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidRegisterError, match=r"UTF-8|a value has more than"):
        stage(register, path, lambda _: None)


@pytest.mark.parametrize(
    ("columns", "zone"),
    [
        ({"time_zone": "WITA"}, "Asia/Makassar"),
        ({"time_zone": "Asia/Jayapura"}, "Asia/Jayapura"),
        ({"province": "91", "regency": "9103"}, "Asia/Jayapura"),
        ({}, "Asia/Jakarta"),
    ],
)
def test_the_zone_is_that_of_the_row_or_of_its_regency(
    register: Register, tmp_path: Path, columns: dict[str, str], zone: str
) -> None:
    """Voting starts in this zone, so a wrong zone is an hour of false silence."""
    row = GOOD | columns
    imported(register, csv_of(tmp_path, row), 100)
    (entry,) = register.stations(row["regency"], 200).values()
    assert entry.time_zone == zone


def test_progress_is_reported_before_the_end(
    register: Register, tmp_path: Path
) -> None:
    """A large file is read in parts, so that memory does not grow with it."""
    rows = (GOOD | {"station": str(3171010000000 + n)} for n in range(20_001))
    reported: list[int] = []
    stage(register, csv_of(tmp_path, *rows), reported.append)
    assert reported == [20_000, 20_001]


def test_a_long_difference_shows_the_first_lines_and_counts_the_rest() -> None:
    """The summary fits on one screen."""
    codes = tuple(str(3171010001000 + n) for n in range(12))
    lines = list(described(Difference(codes, (), (), (), 0), limit=10))
    assert len(lines) == 12
    assert lines[-1] == "+ … and 2 more"


def test_the_reference_data_is_complete() -> None:
    """38 provinces and 514 regencies, each in its province, with zone and marker."""
    assert len(provinces()) == 38
    assert len(regencies()) == 514
    for regency in regencies().values():
        assert regency.code[:2] == regency.province in provinces()
        assert regency.zone in {"WIB", "WITA", "WIT"}
        assert -11.5 < regency.latitude < 6.5
        assert 94.5 < regency.longitude < 141.5
