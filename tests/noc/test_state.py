"""The state of the census: missed minutes, and files of the version before them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.noc.state import State
from tests.noc.nation import MINUTE_NS, START_NS

# The tables of the version that recorded a gap in three marks.
MARKS_VERSION = """
PRAGMA journal_mode = WAL;
CREATE TABLE mark (name TEXT PRIMARY KEY, at_ns INTEGER NOT NULL);
CREATE TABLE heard (station TEXT PRIMARY KEY, at_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE standing (
    area TEXT NOT NULL, from_ns INTEGER NOT NULL, level INTEGER NOT NULL,
    PRIMARY KEY (area, from_ns)) WITHOUT ROWID;
"""


def minute(number: int) -> int:
    """Return the start of a minute by number."""
    return START_NS + number * MINUTE_NS


def missed_minutes(state: State, province: str) -> list[int]:
    """Return the numbers of a province's missed minutes, counting each of them."""
    numbers = []
    while (first_ns := state.missed().get(province)) is not None:
        numbers.append((first_ns - START_NS) // MINUTE_NS)
        state.counted(province, first_ns)
    return numbers


def file_of_marks(path: Path, marks: dict[str, int]) -> None:
    """Write a file of the version that recorded a gap in three marks."""
    with sqlite3.connect(path) as db:
        db.executescript(MARKS_VERSION)
        db.executemany("INSERT INTO mark VALUES (?, ?)", marks.items())
        db.execute("INSERT INTO heard VALUES ('3171010001001', 7)")
        db.execute("INSERT INTO standing VALUES ('3171/all', 5, 2)")
    db.close()


@given(st.lists(st.sampled_from(["counted", "failed", "stopped"]), max_size=30))
def test_minutes_are_missed_until_they_are_counted(events: list[str]) -> None:
    """Minutes with an error and minutes without a running service are missed."""
    state = State(Path(":memory:"))
    expected: list[int] = []
    begun = False
    for number, event in enumerate(events):
        if event == "stopped":
            # Before the first start no minute was expected.
            expected += [number] if begun else []
            continue
        begun = True
        assert not state.expect_census(["31"], minute(number), minute(-100))
        if event == "counted":
            state.counted("31", minute(number))
        else:
            expected.append(number)
    while expected and events and events[-1] == "stopped":
        # The next start records minutes of the last stop.
        events.pop()
        expected.pop()
    assert missed_minutes(state, "31") == (expected if begun else [])


@pytest.mark.parametrize("offset_s", [0, 30])
def test_minutes_older_than_the_limit_are_dropped(offset_s: int) -> None:
    """They are dropped from a new gap and from recorded minutes, and reported."""
    state = State(Path(":memory:"))
    earliest_ns = minute(5) - offset_s * 10**9
    state.expect_census(["31"], minute(0), minute(-60))
    assert state.expect_census(["31"], minute(9), earliest_ns)
    assert not state.expect_census(["31"], minute(10), earliest_ns)
    assert state.expect_census(["31"], minute(11), minute(7))
    assert missed_minutes(state, "31") == [7, 8, 9, 10, 11]


def test_a_clock_that_was_set_back_skips_no_minute() -> None:
    """The minutes after the correction are recorded like all others."""
    state = State(Path(":memory:"))
    for number in (1000, 3, 6):
        state.expect_census(["31"], minute(number), minute(-60))
    assert missed_minutes(state, "31") == [3, 4, 5, 6, 1000]


def test_missed_minutes_survive_a_restart(tmp_path: Path) -> None:
    """They are committed before the census is taken."""
    path = tmp_path / "census.sqlite3"
    State(path).expect_census(["31", "94"], minute(0), minute(-60))
    reopened = State(path)
    assert reopened.missed() == {"31": minute(0), "94": minute(0)}


@pytest.mark.parametrize(
    ("marks", "missed"),
    [
        pytest.param({"census": 4}, [5, 6, 7, 8, 9, 10], id="no gap yet"),
        pytest.param({"census": 4, "resumed": None}, [5, 6, 7, 8, 9, 10], id="failing"),
        pytest.param(
            {"census": 2, "resumed": 6, "taken": 9}, [3, 4, 5, 10], id="after a gap"
        ),
        pytest.param(
            {"census": 2, "resumed": 6}, [3, 4, 5, 7, 8, 9, 10], id="just resumed"
        ),
        pytest.param(
            {"census": 8, "resumed": None, "taken": 8}, [9, 10], id="gap closed"
        ),
    ],
)
def test_a_file_with_three_marks_is_taken_over(
    tmp_path: Path, marks: dict[str, int | None], missed: list[int]
) -> None:
    """Its gaps become missed minutes, and all other contents stay."""
    path = tmp_path / "census.sqlite3"
    # In the old format, 0 means that no census followed the gap.
    values = {
        f"{name}/31": 0 if number is None else minute(number)
        for name, number in marks.items()
    }
    file_of_marks(path, values | {"fresh/31": minute(3)})
    state = State(path)
    state.expect_census(["31"], minute(10), minute(-60))
    assert missed_minutes(state, "31") == missed
    assert (state.mark("resumed/31"), state.mark("taken/31")) == (None, None)
    assert state.mark("fresh/31") == minute(3)
    assert state.heard(["3171010001001"]) == {"3171010001001": 7}
    assert state.since_ns("3171/all", 2, minute(10), past=False) == 5
    state.close()
    reopened = State(path)
    assert reopened.mark("census/31") == minute(10)
    assert reopened.missed() == {}


def test_a_gap_of_months_is_taken_over_in_part(tmp_path: Path) -> None:
    """At most a week of minutes is recorded; `census.catch_up` is far shorter."""
    path = tmp_path / "census.sqlite3"
    file_of_marks(path, {"census/31": minute(0), "resumed/31": minute(200_000)})
    State(path).close()
    week = 7 * 1440
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT count(*), min(minute_ns), max(minute_ns) FROM missed"
        row = db.execute(query).fetchone()
    assert row == (week, minute(200_000 - week), minute(199_999))
