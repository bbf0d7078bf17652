"""A file of stations: what is refused and why, what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config.places import provinces, regencies
from qos_agent.noc.register.importing import described, stage
from qos_agent.noc.register.rows import InvalidRegisterError
from qos_agent.noc.register.store import Difference, Register
from tests.noc.register.registers import GOOD, OTHER, csv_of, imported


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("station", "317101000100", "13 digits"),
        ("station", "٣١٧١٠١٠٠٠١٠٠١", "13 digits"),
        ("province", "3", "2 digits"),
        ("regency", "3199", "no such regency in the reference data"),
        ("regency", "3201", "does not lie in province 31"),
        ("district", "320101", "does not lie in regency 3171"),
        ("district", "31710", "6 digits"),
        ("village", "31710100011", "10 digits"),
        ("link", "a b", "letters, digits, - and _"),
        ("operator_2", "a b", "letters, digits, - and _"),
        ("name", "x" * 201, "at most 200 characters"),
        ("latitude", "106.83", "between -11.5 and 6.5"),
        ("longitude", "-106.83", "between 94.5 and 141.5"),
        ("latitude", "6,18", "a number, with a point"),
        ("latitude", "nan", "between -11.5 and 6.5"),
        ("operator", "", "must be given"),
        ("operator", "XL Axiata", "letters, digits, - and _"),
        ("time_zone", "GMT+7", "WIB, WITA or WIT"),
        ("replaces", "1", "13 digits"),
        ("ticket_2", "a@b", "without operator_2"),
        ("link_2", "backup", "without operator_2"),
        ("name", "a\x07b", "without control characters"),
    ],
)
def test_a_wrong_value_is_told_with_row_column_value_and_why(
    register: Register, tmp_path: Path, column: str, value: str, why: str
) -> None:
    """Each fault names its place in the file, and the row is not staged."""
    path = csv_of(tmp_path, GOOD, OTHER | {column: value})
    found = stage(register, path, lambda _: None)
    assert [(f.row, f.column, f.value, f.why) for f in found.faults] == [
        (3, column, value, why)
    ]
    assert found.stations == 1


def test_every_fault_of_a_row_is_told(register: Register, tmp_path: Path) -> None:
    """Not only the first one: a clerk mends a file once."""
    bad = GOOD | {"name": "", "latitude": "x", "regency": "3201", "operator": "a b"}
    found = stage(register, csv_of(tmp_path, bad), lambda _: None)
    assert {f.column for f in found.faults} == {
        "name", "latitude", "regency", "operator"
    }  # fmt: skip


def test_a_repeated_station_and_a_repeated_link_are_faults(
    register: Register, tmp_path: Path
) -> None:
    """A station stands once in a file; link names are unique within it."""
    twice = OTHER | {"link": "a", "operator_2": "xl", "link_2": "a"}
    found = stage(register, csv_of(tmp_path, GOOD, GOOD, twice), lambda _: None)
    assert [f.why for f in found.faults] == [
        "stands in row 2 already",
        "link names are unique within a station",
    ]


def test_a_station_and_its_replacement_are_not_in_one_file(
    register: Register, tmp_path: Path
) -> None:
    """Nor is one replaced twice: it would be counted twice."""
    third = GOOD | {"station": "3171010001003", "replaces": "3171010001009"}
    path = csv_of(tmp_path, GOOD, OTHER | {"replaces": GOOD["station"]}, third,
                third | {"station": "3171010001004"})  # fmt: skip
    found = stage(register, path, lambda _: None)
    assert [(f.row, f.column, f.why.split(":")[0]) for f in found.faults] == [
        (3, "replaces", "stands in row 2"),
        (5, "replaces", "replaced in row 4 already"),
    ]
    assert found.stations == 2


def test_a_village_is_held_against_the_next_wider_area_that_is_given(
    register: Register, tmp_path: Path
) -> None:
    """Without a district it must lie in the regency."""
    path = csv_of(tmp_path, GOOD | {"village": "3201010001"})
    (fault,) = stage(register, path, lambda _: None).faults
    assert str(fault) == ("row 2, village: '3201010001': does not lie in regency 3171")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("station,name", "lacks 'province', 'regency'"),
        ("", "lacks 'station'"),
        (f"{','.join(GOOD)},nmae", "has unknown 'nmae'"),
        (f"{','.join(GOOD)},station", "repeats 'station'"),
    ],
)
def test_a_head_that_is_no_registers_is_refused(
    register: Register, tmp_path: Path, head: str, said: str
) -> None:
    """Missing, unknown and repeated columns are told before any row is read."""
    path = tmp_path / "stations.csv"
    path.write_text(f"{head}\n1,2,3\n")
    with pytest.raises(InvalidRegisterError, match=f"the head {said}"):
        stage(register, path, lambda _: None)


def test_a_row_of_another_width_is_told_and_the_next_is_read(
    register: Register, tmp_path: Path
) -> None:
    """A comma too many shifts every value behind it: nothing of the row is taken."""
    rows = (GOOD, GOOD | {"name": "TPS, 1"}, OTHER)
    lines = "\n".join(",".join(row.values()) for row in rows)
    path = tmp_path / "stations.csv"
    path.write_text(f"{','.join(GOOD)}\n{lines}\n")
    found = stage(register, path, lambda _: None)
    width = len(GOOD)
    assert [str(fault) for fault in found.faults] == [
        f"row 3, row: '{width + 1} values': {width} as in the head"
    ]
    assert found.stations == 2


@pytest.mark.parametrize(
    ("rest", "value"),
    [
        ((OTHER, GOOD | {"name": '"TPS 9"', "station": "3171010001009"}),
         "lines 3 to 5"),
        ((OTHER,), "lines 3 to 4"),
        ((GOOD | {"name": "x" * 140_000},) * 2, "field larger than field limit"),
    ],
    ids=["closed later", "never closed", "endless"],
)  # fmt: skip
def test_an_open_quote_is_told_where_it_opens(
    register: Register, tmp_path: Path, rest: tuple[dict[str, str], ...], value: str
) -> None:
    """It swallows the rows behind it: told by the row that a clerk must mend."""
    rows = (GOOD, GOOD | {"name": '"TPS 2'}, *rest)
    lines = "\n".join(",".join(row.values()) for row in rows)
    path = tmp_path / "stations.csv"
    path.write_text(f"{','.join(GOOD)}\n{lines}\n")
    found = stage(register, path, lambda _: None)
    first, *_ = found.faults
    why = "a quote opens here and does not close in this row"
    assert (first.row, first.column, first.why) == (3, "row", why)
    assert first.value.startswith(value)
    assert found.stations == 1


def test_a_byte_of_another_encoding_is_a_fault_of_its_value(
    register: Register, tmp_path: Path
) -> None:
    """One name out of an old file costs its own row, and is told where it stands."""
    path = csv_of(tmp_path, GOOD, OTHER | {"name": "TPS Cafe"})
    path.write_bytes(path.read_bytes().replace(b"Cafe", b"Caf\xe9"))
    found = stage(register, path, lambda _: None)
    assert list(map(str, found.faults)) == [
        r"row 3, name: 'TPS Caf\udce9': not UTF-8; save the file as CSV UTF-8"
    ]
    assert found.stations == 1


def test_a_file_without_rows_is_refused(register: Register, tmp_path: Path) -> None:
    """Else --close-missing would close a nation by an export that went wrong."""
    path = csv_of(tmp_path, GOOD)
    path.write_text(path.read_text().splitlines()[0] + "\n\n")
    with pytest.raises(InvalidRegisterError, match="no row below its head"):
        stage(register, path, lambda _: None)


def test_a_spreadsheets_mark_before_the_head_is_no_part_of_it(
    register: Register, tmp_path: Path
) -> None:
    """UTF-8 as Excel saves it begins with a byte order mark."""
    path = csv_of(tmp_path, GOOD)
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert stage(register, path, lambda _: None).stations == 1


@pytest.mark.parametrize("content", [b"station,\xff\n", b"x" * 200_000])
def test_a_file_that_is_no_csv_is_refused_in_words(
    register: Register, tmp_path: Path, content: bytes
) -> None:
    """Neither other encodings nor endless fields are a fault of ours."""
    path = tmp_path / "stations.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidRegisterError, match=r"UTF-8|field larger"):
        stage(register, path, lambda _: None)


@pytest.mark.parametrize(
    ("where", "zone"),
    [
        ({"time_zone": "WITA"}, "Asia/Makassar"),
        ({"time_zone": "Asia/Jayapura"}, "Asia/Jayapura"),
        ({"province": "91", "regency": "9103"}, "Asia/Jayapura"),
        ({}, "Asia/Jakarta"),
    ],
)
def test_the_zone_is_the_given_one_or_the_regencys(
    register: Register, tmp_path: Path, where: dict[str, str], zone: str
) -> None:
    """Polls open by it, so that a wrong one is an hour of false silence."""
    row = GOOD | where
    imported(register, csv_of(tmp_path, row), 100)
    (entry,) = register.stations(row["regency"], 200).values()
    assert entry.time_zone == zone


def test_progress_is_heard_before_the_end(register: Register, tmp_path: Path) -> None:
    """A nation's file is read in parts, and memory does not grow with it."""
    rows = (GOOD | {"station": str(3171010000000 + n)} for n in range(20_001))
    heard: list[int] = []
    stage(register, csv_of(tmp_path, *rows), heard.append)
    assert heard == [20_000, 20_001]


def test_of_a_long_difference_the_first_are_shown_and_the_rest_counted() -> None:
    """A clerk sees what it is about, on one screen."""
    codes = tuple(str(3171010001000 + n) for n in range(12))
    lines = list(described(Difference(codes, (), (), (), 0), limit=10))
    assert len(lines) == 12
    assert lines[-1] == "+ … and 2 more"


def test_the_reference_data_is_whole() -> None:
    """38 provinces and 514 regencies, each in its province, with a zone and marker."""
    assert len(provinces()) == 38
    assert len(regencies()) == 514
    for regency in regencies().values():
        assert regency.code[:2] == regency.province in provinces()
        assert regency.zone in {"WIB", "WITA", "WIT"}
        assert -11.5 < regency.latitude < 6.5
        assert 94.5 < regency.longitude < 141.5
