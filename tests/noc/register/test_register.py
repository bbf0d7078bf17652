"""The register: changes of an import, and history."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qos_agent.noc.register.exporting import write_stations
from qos_agent.noc.register.importing import described, stage
from qos_agent.noc.register.store import Difference, Note, Register
from tests.noc.register.registers import GOOD, OTHER, csv_of, imported

CODES = [f"317101000100{n}" for n in range(1, 5)]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "TPS 9"},
        {"latitude": "-6.2"},
        {"longitude": "106.9"},
        {"operator": "xl"},
        {"ticket": "other@example.id"},
        {"contact": "Sari"},
        {"time_zone": "WITA"},
        {"district": "317101"},
        {"village": "3171010001"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_any_column_is_shown_and_kept(
    register: Register, tmp_path: Path, change: dict[str, str]
) -> None:
    """Contact, place, links and name can change; each change opens a new row."""
    imported(register, csv_of(tmp_path, GOOD), 100)
    difference = imported(register, csv_of(tmp_path, GOOD | change), 200)
    ((code, columns),) = difference.changed
    (name,) = change
    links = name in {"operator", "ticket"}
    assert (code, columns) == (GOOD["station"], ("links",) if links else (name,))
    assert len(register.history(GOOD["station"])) == 2
    moved = int(name in {"latitude", "longitude", "district", "village"})
    assert f"({moved} moved" in next(described(difference))


def test_an_import_that_fails_leaves_the_register_as_it_was(
    register: Register, tmp_path: Path
) -> None:
    """An import is one transaction: an error in the middle undoes it."""
    imported(register, csv_of(tmp_path, GOOD, OTHER), 100)
    stage(register, csv_of(tmp_path, GOOD | {"name": "TPS 9"}), lambda _: None)
    with sqlite3.connect(tmp_path / "register.sqlite3") as other:
        other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON station "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError):
        register.apply(200, close_missing=False)
    assert register.expected(300) == {"3171": 2}
    assert len(register.history(GOOD["station"])) == 1


def test_a_station_ends_no_earlier_than_it_starts(
    register: Register, tmp_path: Path
) -> None:
    """A station closed before its import was never valid, and its span is empty."""
    imported(register, csv_of(tmp_path, GOOD), 200)
    assert register.close_station(GOOD["station"], 100)
    (row,) = register.history(GOOD["station"])
    assert (row["valid_from"], row["valid_to"]) == (200, 200)


def test_the_same_stations_are_valid_between_two_changes(
    register: Register, tmp_path: Path
) -> None:
    """The census may reuse its counts in this span, and not a second longer."""
    imported(register, csv_of(tmp_path, GOOD), 100)
    imported(register, csv_of(tmp_path, GOOD | {"name": "TPS 9"}), 200)
    assert register.unchanged(99) == (0, 100)
    assert register.unchanged(100) == (100, 200)
    assert register.unchanged(200) == (200, None)


def test_an_empty_ticket_address_is_not_used(
    register: Register, tmp_path: Path
) -> None:
    """Most stations leave it out, and a NOC cannot write to an empty address."""
    without = [OTHER | {"ticket": "", "station": code} for code in CODES[1:]]
    imported(register, csv_of(tmp_path, GOOD, *without), 100)
    assert register.tickets(200) == {("3171", "telkomsel"): GOOD["ticket"]}


def test_stations_of_other_regencies_are_left_out(
    register: Register, tmp_path: Path
) -> None:
    """A station that is registered elsewhere does not belong to this regency."""
    away = OTHER | {"regency": "3172"}
    imported(register, csv_of(tmp_path, GOOD, away), 100)
    both = [GOOD["station"], OTHER["station"]]
    assert set(register.some("3171", both, 200)) == {GOOD["station"]}


def test_the_difference_is_known_before_it_applies(
    register: Register, tmp_path: Path
) -> None:
    """Added, renamed, moved and missing stations are shown, and nothing changes."""
    imported(register, csv_of(tmp_path, GOOD, OTHER), 100)
    moved = GOOD | {"province": "32", "regency": "3201", "name": "TPS 1"}
    new = GOOD | {"station": "3171010001003"}
    stage(register, csv_of(tmp_path, moved, new), lambda _: None)
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
    """It counts in the old area before the change and in the new one after it."""
    imported(register, csv_of(tmp_path, GOOD, OTHER), 100)
    moved = GOOD | {"regency": "3172"}
    imported(register, csv_of(tmp_path, moved, OTHER), 200)
    assert register.expected(99) == {}
    assert register.expected(199) == {"3171": 2}
    assert register.expected(200) == {"3171": 1, "3172": 1}
    assert register.home("3171010001001", 150) == "3171"
    assert [row["valid_to"] for row in register.history("3171010001001")] == [200, None]


def test_a_renumbered_station_closes_the_one_it_replaces(
    register: Register, tmp_path: Path
) -> None:
    """A new code with `replaces` keeps the history and the count."""
    imported(register, csv_of(tmp_path, GOOD), 100)
    new = OTHER | {"replaces": GOOD["station"]}
    difference = imported(register, csv_of(tmp_path, new), 200)
    assert difference.replaced == (GOOD["station"],)
    assert difference.missing == ()
    assert register.expected(300) == {"3171": 1}
    codes = [row["code"] for row in register.history(OTHER["station"])]
    assert codes == [GOOD["station"], OTHER["station"]]


def test_missing_stations_are_closed_only_on_request(
    register: Register, tmp_path: Path
) -> None:
    """A file of one province does not close the rest of the nation by accident."""
    imported(register, csv_of(tmp_path, GOOD, OTHER), 100)
    imported(register, csv_of(tmp_path, GOOD), 200)
    assert register.expected(300) == {"3171": 2}
    imported(register, csv_of(tmp_path, GOOD), 400, close=True)
    assert register.expected(500) == {"3171": 1}


def test_importing_the_same_file_again_changes_nothing(
    register: Register, tmp_path: Path
) -> None:
    """An import is idempotent: no new rows, no new history."""
    path = csv_of(tmp_path, GOOD, OTHER)
    imported(register, path, 100)
    again = imported(register, path, 200)
    assert (again.added, again.changed, again.unchanged) == ((), (), 2)
    assert len(register.history(GOOD["station"])) == 1


def test_stations_are_counted_by_operator_once_each(
    register: Register, tmp_path: Path
) -> None:
    """Two links of one operator count once; links of two operators count for each."""
    same = GOOD | {"operator_2": "telkomsel"}
    both = OTHER | {"operator_2": "xl"}
    imported(register, csv_of(tmp_path, both, same), 100)
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


@pytest.mark.slow
@settings(deadline=None)
@given(imports, st.sampled_from(CODES), st.integers(0, 9))
def test_a_station_is_valid_once_at_every_moment_in_any_order_of_imports(
    steps: list[tuple[int, bool, dict[str, str], str]], closed: str, at_s: int
) -> None:
    """It is counted once, in the regency of the last import.

    One station of each file replaces another one if that is not in the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        register = Register(Path(folder) / "register.sqlite3")
        for moment, close, stations, old in steps:
            rows = [GOOD | {"station": c, "regency": r} for c, r in stations.items()]
            rows[0] |= {"replaces": "" if old in stations else old}
            imported(register, csv_of(Path(folder), *rows), moment, close=close)
            for code, regency in stations.items():
                assert register.home(code, 10) == regency
            assert old in stations or register.home(old, 10) is None
            _assert_once_each(register)
        register.close_station(closed, at_s)
        _assert_once_each(register)
        later = [register.home(closed, moment) for moment in range(at_s, 11)]
        assert set(later) == {None}
        register.close()


def _assert_once_each(register: Register) -> None:
    for moment in range(11):
        valid = [
            row
            for code in CODES
            for row in register.history(code)
            if row["code"] == code
            and _int(row["valid_from"]) <= moment
            and (row["valid_to"] is None or moment < _int(row["valid_to"]))
        ]
        codes = [row["code"] for row in valid]
        assert len(codes) == len(set(codes))
        assert sum(register.expected(moment).values()) == len(codes)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def test_a_closed_station_keeps_its_history(register: Register, tmp_path: Path) -> None:
    """A closed station is not expected from then on."""
    imported(register, csv_of(tmp_path, GOOD, OTHER), 100)
    assert register.close_station(GOOD["station"], 200)
    assert not register.close_station(GOOD["station"], 300)
    assert [sum(register.expected(s).values()) for s in (199, 200)] == [2, 1]
    assert register.history(GOOD["station"])[0]["valid_to"] == 200


def test_an_ended_note_stays_on_record(register: Register) -> None:
    """It is no longer in effect, and all notes show when it ended."""
    register.note(Note("acknowledged", "3171", 100, 900, "NOC: ticket 17"))
    ((number, _),) = register.all_notes()
    assert register.end_note(number, 300)
    assert not register.end_note(number + 1, 300)
    assert [len(register.notes(s)) for s in (299, 300)] == [1, 0]
    assert register.all_notes()[0][1].ends == 300
    for at_s, ends in ((500, 300), (50, 100)):
        assert register.end_note(number, at_s)
        assert register.all_notes()[0][1].ends == ends


def test_notes_are_in_effect_for_their_span(register: Register) -> None:
    """Maintenance and acknowledgements end without an action."""
    note = Note("maintenance", "3171", 100, 200, "PLN")
    register.note(note)
    in_effect = [register.notes(at_s) for at_s in (99, 100, 199, 200)]
    assert in_effect == [(), (note,), (note,), ()]


def test_a_station_that_is_not_selected_is_not_expected(
    register: Register, tmp_path: Path
) -> None:
    """It is registered for the size of its stratum, and no device is there."""
    sample = {"selection": "acak", "stratum": "rural", "cluster": "v1"}
    none = OTHER | sample | {"selection": "none"}
    imported(register, csv_of(tmp_path, GOOD | sample, none), 100)
    assert register.expected(200) == {"3171": 1}
    assert register.home(OTHER["station"], 200) is None
    found = [*register.registered(200)]
    assert [row["selection"] for row in found] == ["random", "none"]
    assert {(row["stratum"], row["cluster"]) for row in found} == {("rural", "v1")}


def test_an_export_can_be_imported_again(register: Register, tmp_path: Path) -> None:
    """It has every column, so the second import changes nothing."""
    links = {"link_2": "backup", "operator_2": "xl", "selection": "all"}
    imported(register, csv_of(tmp_path, GOOD | links, OTHER), 100)
    path = tmp_path / "export.csv"
    assert write_stations(register, path, 200) == 2
    difference = imported(register, path, 300)
    assert (difference.unchanged, difference.added, difference.changed) == (2, (), ())


def test_a_register_of_an_earlier_version_gets_the_columns(tmp_path: Path) -> None:
    """Its stations have no selection, and they are expected as before."""
    path = tmp_path / "register.sqlite3"
    with closing(Register(path)) as register:
        imported(register, csv_of(tmp_path, GOOD), 100)
    with closing(sqlite3.connect(path)) as db, db:
        for name in ("selection", "stratum", "cluster"):
            db.execute(f"ALTER TABLE station DROP COLUMN {name}")
    with closing(Register(path)) as register:
        assert register.expected(200) == {"3171": 1}
        assert imported(register, csv_of(tmp_path, GOOD), 300).unchanged == 1
