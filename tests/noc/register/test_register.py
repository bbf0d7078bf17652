"""The register: what an import changes, what history keeps."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qos_agent.noc.register.importing import described, stage
from qos_agent.noc.register.store import Difference, Note, Register
from tests.noc.register.registers import GOOD, OTHER, csv_of, imported

CODES = [f"317101000100{n}" for n in range(1, 5)]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "TPS 9"}, {"latitude": "-6.2"}, {"longitude": "106.9"},
        {"operator": "xl"}, {"ticket": "other@example.id"}, {"contact": "Sari"},
        {"time_zone": "WITA"}, {"district": "317101"}, {"village": "3171010001"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_change_of_any_column_is_shown_and_kept(
    register: Register, tmp_path: Path, change: dict[str, str]
) -> None:
    """Whom to call and where it stands change as well as what it is called."""
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
    """One transaction: a fault in the middle of it takes back what came before."""
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


def test_a_station_ends_no_earlier_than_it_began(
    register: Register, tmp_path: Path
) -> None:
    """Closed of a moment before its import, it never held; its row makes sense."""
    imported(register, csv_of(tmp_path, GOOD), 200)
    assert register.close_station(GOOD["station"], 100)
    (row,) = register.history(GOOD["station"])
    assert (row["valid_from"], row["valid_to"]) == (200, 200)


def test_same_stations_hold_from_one_change_to_the_next(
    register: Register, tmp_path: Path
) -> None:
    """What the census may keep between two changes, and not a second longer."""
    imported(register, csv_of(tmp_path, GOOD), 100)
    imported(register, csv_of(tmp_path, GOOD | {"name": "TPS 9"}), 200)
    assert register.unchanged(99) == (0, 100)
    assert register.unchanged(100) == (100, 200)
    assert register.unchanged(200) == (200, None)


def test_a_ticket_address_is_one_that_was_given(
    register: Register, tmp_path: Path
) -> None:
    """Most stations leave it out: nobody is no address to write to."""
    without = [OTHER | {"ticket": "", "station": code} for code in CODES[1:]]
    imported(register, csv_of(tmp_path, GOOD, *without), 100)
    assert register.tickets(200) == {("3171", "telkomsel"): GOOD["ticket"]}


def test_some_stations_are_those_of_the_regency_that_is_asked(
    register: Register, tmp_path: Path
) -> None:
    """One that is registered elsewhere is no station of this regency."""
    away = OTHER | {"regency": "3172"}
    imported(register, csv_of(tmp_path, GOOD, away), 100)
    both = [GOOD["station"], OTHER["station"]]
    assert set(register.some("3171", both, 200)) == {GOOD["station"]}


def test_the_difference_is_known_before_it_applies(
    register: Register, tmp_path: Path
) -> None:
    """Added, renamed, moved, missing: shown, and nothing changed by showing."""
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
    """Before the change in the old area, after it in the new one, never in both."""
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


def test_only_when_told_are_missing_stations_closed(
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
    """Two links of one operator are one station of it; two operators are two."""
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
            imported(register, csv_of(Path(folder), *rows), moment, close=close)
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


def test_a_closed_station_keeps_its_history(register: Register, tmp_path: Path) -> None:
    """Closing on the day takes it out from then on, and not before."""
    imported(register, csv_of(tmp_path, GOOD, OTHER), 100)
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
    for at_s, ends in ((500, 300), (50, 100)):
        assert register.end_note(number, at_s)
        assert register.all_notes()[0][1].ends == ends


def test_notes_hold_for_their_time(register: Register) -> None:
    """Maintenance and acknowledgements end by themselves."""
    note = Note("maintenance", "3171", 100, 200, "PLN")
    register.note(note)
    assert [register.notes(at) for at in (99, 100, 199, 200)] == [
        (), (note,), (note,), ()
    ]  # fmt: skip
