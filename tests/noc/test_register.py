"""The register: what is refused and why, what an import changes, what history keeps."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qos_agent.noc.places import provinces, regencies
from qos_agent.noc.register.importing import described, stage
from qos_agent.noc.register.mismatch import Mismatch, mismatches
from qos_agent.noc.register.rows import InvalidRegisterError
from qos_agent.noc.register.store import Difference, Note, Register
from tests.noc import nation
from tests.servers.database import Database

GOOD = {
    "station": "3171010001001", "name": "TPS 001", "province": "31",
    "regency": "3171", "latitude": "-6.18", "longitude": "106.83",
    "operator": "telkomsel", "ticket": "noc@telkomsel.example.id",
}  # fmt: skip
OTHER = GOOD | {"station": "3171010001002", "name": "TPS 002"}

CODES = [f"317101000100{n}" for n in range(1, 5)]


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


files = st.dictionaries(
    st.sampled_from(CODES), st.sampled_from(["3171", "3172", "3173"]), min_size=1
)
imports = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), files, st.sampled_from(CODES)),
    max_size=5,
)


@settings(deadline=None)
@given(imports, st.sampled_from(CODES), st.integers(0, 9))
def test_a_station_holds_once_at_every_moment_whatever_the_order_of_imports(
    steps: list[tuple[int, bool, dict[str, str], str]], closed: str, at_s: int
) -> None:
    """Forward, backdated, replaced, closed: counted once, where the last import says.

    One station of each file replaces another one where that is not in the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        register = Register(Path(folder) / "register.sqlite3")
        for moment, close, stations, old in steps:
            rows = [GOOD | {"station": c, "regency": r} for c, r in stations.items()]
            rows[0] |= {"replaces": "" if old in stations else old}
            _import(register, _csv(Path(folder), *rows), moment, close=close)
            for code, regency in stations.items():
                assert register.home(code, 10) == regency
            assert old in stations or register.home(old, 10) is None
            _once_each(register)
        register.close_station(closed, at_s)
        _once_each(register)
        later = [register.home(closed, moment) for moment in range(at_s, 11)]
        assert set(later) == {None}
        register.close()


def _once_each(register: Register) -> None:
    for moment in range(11):
        held = [
            row
            for code in CODES
            for row in register.history(code)
            if row["code"] == code
            and _int(row["valid_from"]) <= moment
            and (row["valid_to"] is None or moment < _int(row["valid_to"]))
        ]
        codes = [row["code"] for row in held]
        assert len(codes) == len(set(codes))
        assert sum(register.expected(moment).values()) == len(codes)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def test_a_station_and_its_replacement_are_not_in_one_file(
    register: Register, tmp_path: Path
) -> None:
    """Nor is one replaced twice: it would be counted twice."""
    third = GOOD | {"station": "3171010001003", "replaces": "3171010001009"}
    path = _csv(tmp_path, GOOD, OTHER | {"replaces": GOOD["station"]}, third,
                third | {"station": "3171010001004"})  # fmt: skip
    found = stage(register, path, lambda _: None)
    assert [(f.row, f.column, f.why.split(":")[0]) for f in found.faults] == [
        (3, "replaces", "stands in row 2"),
        (5, "replaces", "replaced in row 4 already"),
    ]
    assert found.stations == 2


def test_a_closed_station_keeps_its_history(register: Register, tmp_path: Path) -> None:
    """Closing on the day takes it out from then on, and not before."""
    _import(register, _csv(tmp_path, GOOD, OTHER), 100)
    assert register.close_station(GOOD["station"], 200)
    assert not register.close_station(GOOD["station"], 300)
    assert [sum(register.expected(s).values()) for s in (199, 200)] == [2, 1]
    assert register.history(GOOD["station"])[0]["valid_to"] == 200


def test_an_ended_note_stays_on_record(register: Register) -> None:
    """It holds no more, and is shown among all notes with when it ended."""
    register.note(Note("acknowledged", "3171", 100, 900, "NOC: ticket 17"))
    ((number, _),) = register.all_notes()
    assert register.end_note(number, 300)
    assert not register.end_note(number + 1, 300)
    assert [len(register.notes(s)) for s in (299, 300)] == [1, 0]
    assert register.all_notes()[0][1].ends == 300


@pytest.mark.parametrize("content", [b"station,\xff\n", b"x" * 200_000])
def test_a_file_that_is_no_csv_is_refused_in_words(
    register: Register, tmp_path: Path, content: bytes
) -> None:
    """Neither other encodings nor endless fields are a fault of ours."""
    path = tmp_path / "stations.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidRegisterError, match=r"UTF-8|field larger"):
        stage(register, path, lambda _: None)


def test_a_village_is_held_against_the_next_wider_area_that_is_given(
    register: Register, tmp_path: Path
) -> None:
    """Without a district it must lie in the regency."""
    path = _csv(tmp_path, GOOD | {"village": "3201010001"})
    (fault,) = stage(register, path, lambda _: None).faults
    assert str(fault) == ("row 2, village: '3201010001': does not lie in regency 3171")


def test_every_fault_of_a_row_is_told(register: Register, tmp_path: Path) -> None:
    """Not only the first one: a clerk mends a file once."""
    bad = GOOD | {"name": "", "latitude": "x", "regency": "3201", "operator": "a b"}
    found = stage(register, _csv(tmp_path, bad), lambda _: None)
    assert {f.column for f in found.faults} == {
        "name", "latitude", "regency", "operator"
    }  # fmt: skip


def test_a_station_that_reports_from_elsewhere_is_listed(
    influxdb: Database, tmp_path: Path
) -> None:
    """With where it is seen and where it is registered; the others are not."""
    wanted = nation.scenario(stations=12, minutes=1, targets=["anchor"])
    register = nation.registered(wanted, tmp_path)
    made = nation.begin(wanted)
    for batch in made.run():
        for lines in batch.lines.values():
            nation.deliver(influxdb, lines)
    centre = nation.settings(influxdb, influxdb, tmp_path)
    at_ns = nation.START_NS + nation.MINUTE_NS
    assert list(mismatches(centre, register, at_ns)) == []
    moved, closed = (s.identity for s in made.stations[:2])
    elsewhere = "9404" if moved.regency != "9404" else "9401"
    row = GOOD | {"station": moved.station, "province": "94", "regency": elsewhere}
    _import(register, _csv(tmp_path, row), nation.START_NS // 10**9)
    register.close_station(closed.station, nation.START_NS // 10**9)
    assert set(mismatches(centre, register, at_ns)) == {
        Mismatch(moved.station, moved.regency, elsewhere),
        Mismatch(closed.station, closed.regency, None),
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
