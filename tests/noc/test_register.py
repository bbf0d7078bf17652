"""The register: what is refused and why, what an import changes, what history keeps."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from qos_agent.noc.places import provinces, regencies
from qos_agent.noc.register.importing import described, stage
from qos_agent.noc.register.rows import InvalidRegisterError
from qos_agent.noc.register.store import Difference, Note, Register

GOOD = {
    "station": "3171010001001", "name": "TPS 001", "province": "31",
    "regency": "3171", "latitude": "-6.18", "longitude": "106.83",
    "operator": "telkomsel", "ticket": "noc@telkomsel.example.id",
}  # fmt: skip
OTHER = GOOD | {"station": "3171010001002", "name": "TPS 002"}


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(tmp_path / "register.sqlite3")


def _csv(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "stations.csv"
    with path.open("w", newline="") as file:
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _import(
    register: Register, path: Path, at_s: int, *, close: bool = False
) -> Difference:
    found = stage(register, path, lambda _: None)
    assert found.faults == []
    difference = register.difference()
    register.apply(at_s, close_missing=close)
    return difference


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("station", "317101000100", "13 digits"),
        ("station", "٣١٧١٠١٠٠٠١٠٠١", "13 digits"),
        ("province", "3", "2 digits"),
        ("regency", "3199", "no such regency in the reference data"),
        ("regency", "3201", "does not lie in province 31"),
        ("district", "320101", "does not lie in regency 3171"),
        ("latitude", "106.83", "between -11.5 and 6.5"),
        ("latitude", "6,18", "a number, with a point"),
        ("latitude", "nan", "between -11.5 and 6.5"),
        ("operator", "", "must be given"),
        ("operator", "XL Axiata", "letters, digits, - and _"),
        ("time_zone", "GMT+7", "WIB, WITA or WIT"),
        ("replaces", "1", "13 digits"),
        ("ticket_2", "a@b", "without operator_2"),
        ("name", "a\x07b", "without control characters"),
    ],
)
def test_a_wrong_value_is_told_with_row_column_value_and_why(
    register: Register, tmp_path: Path, column: str, value: str, why: str
) -> None:
    """Each fault names its place in the file, and the row is not staged."""
    path = _csv(tmp_path, GOOD, OTHER | {column: value})
    found = stage(register, path, lambda _: None)
    assert [(f.row, f.column, f.value, f.why) for f in found.faults] == [
        (3, column, value, why)
    ]
    assert found.stations == 1


def test_a_repeated_station_and_a_repeated_link_are_faults(
    register: Register, tmp_path: Path
) -> None:
    """A station stands once in a file; link names are unique within it."""
    twice = OTHER | {"link": "a", "operator_2": "xl", "link_2": "a"}
    found = stage(register, _csv(tmp_path, GOOD, GOOD, twice), lambda _: None)
    assert [f.why for f in found.faults] == [
        "stands in row 2 already",
        "link names are unique within a station",
    ]


@pytest.mark.parametrize("head", ["station,name", "", "station,station,nmae"])
def test_a_head_that_is_no_registers_is_refused(
    register: Register, tmp_path: Path, head: str
) -> None:
    """Missing, unknown and repeated columns are told before any row is read."""
    path = tmp_path / "stations.csv"
    path.write_text(f"{head}\n1,2,3\n")
    with pytest.raises(InvalidRegisterError, match="the head"):
        stage(register, path, lambda _: None)


def test_the_difference_is_known_before_it_applies(
    register: Register, tmp_path: Path
) -> None:
    """Added, renamed, moved, missing: shown, and nothing changed by showing."""
    _import(register, _csv(tmp_path, GOOD, OTHER), 100)
    moved = GOOD | {"province": "32", "regency": "3201", "name": "TPS 1"}
    new = GOOD | {"station": "3171010001003"}
    stage(register, _csv(tmp_path, moved, new), lambda _: None)
    difference = register.difference()
    assert difference == Difference(
        ("3171010001003",),
        (("3171010001001", ("name", "province", "regency")),),
        (),
        ("3171010001002",),
        0,
    )
    assert "1 added, 1 changed (1 moved, 1 renamed)" in next(described(difference))
    assert register.expected(200) == {"3171": 2}


def test_a_station_that_moves_is_counted_once_at_every_moment(
    register: Register, tmp_path: Path
) -> None:
    """Before the change in the old area, after it in the new one, never in both."""
    _import(register, _csv(tmp_path, GOOD, OTHER), 100)
    moved = GOOD | {"regency": "3172"}
    _import(register, _csv(tmp_path, moved, OTHER), 200)
    assert register.expected(99) == {}
    assert register.expected(199) == {"3171": 2}
    assert register.expected(200) == {"3171": 1, "3172": 1}
    assert register.home("3171010001001", 150) == "3171"
    assert [row["valid_to"] for row in register.history("3171010001001")] == [200, None]


def test_a_renumbered_station_closes_the_one_it_replaces(
    register: Register, tmp_path: Path
) -> None:
    """A new code with `replaces` keeps the history and the count."""
    _import(register, _csv(tmp_path, GOOD), 100)
    new = OTHER | {"replaces": GOOD["station"]}
    difference = _import(register, _csv(tmp_path, new), 200)
    assert difference.replaced == (GOOD["station"],)
    assert difference.missing == ()
    assert register.expected(300) == {"3171": 1}
    codes = [row["code"] for row in register.history(OTHER["station"])]
    assert codes == [GOOD["station"], OTHER["station"]]


def test_only_when_told_are_missing_stations_closed(
    register: Register, tmp_path: Path
) -> None:
    """A file of one province does not close the rest of the nation by accident."""
    _import(register, _csv(tmp_path, GOOD, OTHER), 100)
    _import(register, _csv(tmp_path, GOOD), 200)
    assert register.expected(300) == {"3171": 2}
    _import(register, _csv(tmp_path, GOOD), 400, close=True)
    assert register.expected(500) == {"3171": 1}


def test_importing_the_same_file_again_changes_nothing(
    register: Register, tmp_path: Path
) -> None:
    """An import is idempotent: no new rows, no new history."""
    path = _csv(tmp_path, GOOD, OTHER)
    _import(register, path, 100)
    again = _import(register, path, 200)
    assert (again.added, again.changed, again.unchanged) == ((), (), 2)
    assert len(register.history(GOOD["station"])) == 1


def test_stations_are_counted_by_operator_once_each(
    register: Register, tmp_path: Path
) -> None:
    """Two links of one operator are one station of it; two operators are two."""
    same = GOOD | {"operator_2": "telkomsel"}
    both = OTHER | {"operator_2": "xl"}
    _import(register, _csv(tmp_path, both, same), 100)
    assert register.expected_by_operator(200) == {
        ("3171", "telkomsel"): 2,
        ("3171", "xl"): 1,
    }


def test_notes_hold_for_their_time(register: Register) -> None:
    """Maintenance and acknowledgements end by themselves."""
    note = Note("maintenance", "3171", 100, 200, "PLN")
    register.note(note)
    assert [register.notes(at) for at in (99, 100, 199, 200)] == [
        (), (note,), (note,), ()
    ]  # fmt: skip


def test_the_reference_data_is_whole() -> None:
    """38 provinces and 514 regencies, each in its province, with a zone and marker."""
    assert len(provinces()) == 38
    assert len(regencies()) == 514
    for regency in regencies().values():
        assert regency.code[:2] == regency.province in provinces()
        assert regency.zone in {"WIB", "WITA", "WIT"}
        assert -11.5 < regency.latitude < 6.5
        assert 94.5 < regency.longitude < 141.5
