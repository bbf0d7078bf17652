"""Properties of the severity, of operators that are down, and of durations."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.errors import InvalidConfigError
from qos_agent.noc.census.counting import affected, most_common
from qos_agent.noc.census.severity import LEVELS, OutageThreshold, down, level
from qos_agent.noc.settings import load
from qos_agent.noc.state import State

MINUTE_NS = 60 * 10**9
SHARE = st.sampled_from([0.05, 0.1, 0.3, 0.5, 1.0])
COUNTS = st.fixed_dictionaries({name: st.integers(0, 50) for name in LEVELS})
LIMITS = st.builds(OutageThreshold, st.floats(0.01, 1.0), st.integers(1, 6))
OPERATORS = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(0, 30), st.integers(0, 30))
)


@given(COUNTS, st.integers(0, 100), SHARE, st.data())
def test_one_station_worse_never_makes_an_area_better(
    counts: dict[str, int], unknown: int, share: float, data: st.DataObject
) -> None:
    """Moving one station to a worse class keeps the level or raises it."""
    expected = sum(counts.values()) + unknown
    before = level(counts, expected, share)
    able = [rank for rank in range(3) if counts[LEVELS[rank]]]
    if not able:
        return
    rank = data.draw(st.sampled_from(able))
    worse = data.draw(st.integers(rank + 1, 3))
    moved = dict(counts)
    moved[LEVELS[rank]] -= 1
    moved[LEVELS[worse]] += 1
    after = level(moved, expected, share)
    assert before is not None
    assert after is not None
    assert after >= before


@given(COUNTS, st.integers(0, 100), SHARE)
def test_an_area_is_good_only_if_a_station_is_good(
    counts: dict[str, int], unknown: int, share: float
) -> None:
    """Level 0 needs a good station, level 3 enough silent ones, None no station."""
    expected = sum(counts.values()) + unknown
    severity = level(counts, expected, share)
    assert (severity is None) == (sum(counts.values()) == 0)
    if severity == 0:
        assert counts["good"] > 0
    if counts["silent"] and counts["silent"] >= share * expected:
        assert severity == 3


def test_bad_and_silent_count_together() -> None:
    """Of 100 stations, three silent and three bad make six that are bad or worse."""
    assert level({"good": 94, "bad": 3, "silent": 3}, 100, 0.05) == 2
    assert level({"good": 96, "bad": 2, "silent": 2}, 100, 0.05) == 0


def test_nothing_expected_has_no_level() -> None:
    """An area without expected stations is neither good nor bad."""
    assert level({"good": 3}, 0, 0.05) is None


@given(OPERATORS, LIMITS)
def test_alone_means_that_another_operator_is_up(
    operators: dict[str, tuple[int, int]], limits: OutageThreshold
) -> None:
    """Down needs share and number; alone needs another large operator that is up."""
    expected = {o: n + hit for o, (n, hit) in operators.items()}
    hits = {o: hit for o, (_, hit) in operators.items()}
    downs = down(hits, expected, limits)
    assert downs.keys() == expected.keys()
    for operator, (is_down, alone) in downs.items():
        enough = hits[operator] >= limits.minimum
        share = hits[operator] >= limits.share * expected[operator]
        assert is_down == (enough and share)
        others = [
            o for o in expected if o != operator and expected[o] >= limits.minimum
        ]
        assert alone == (is_down and any(not downs[o][0] for o in others))


def test_no_operator_is_down_alone_in_a_power_cut() -> None:
    """Two are down, and the third has too few stations to count as up."""
    downs = down(
        {"a": 9, "b": 5, "c": 1}, {"a": 10, "b": 5, "c": 2}, OutageThreshold(0.3, 3)
    )
    assert downs == {"a": (1, 0), "b": (1, 0), "c": (0, 0)}


def test_a_station_counts_once_for_each_operator() -> None:
    """A silent station affects all its operators, a bad link only its own."""
    operators = {"s": frozenset("ab"), "t": frozenset("ab"), "u": frozenset("b")}
    bad = [("t", "a"), ("t", "a"), ("u", "a"), ("other", "a")]
    assert affected(["s"], bad, operators) == {"a": 2, "b": 1}


@given(st.lists(st.sampled_from(["loss", "delay", "page", None])))
def test_no_value_is_more_frequent_than_the_most_common(
    values: list[str | None],
) -> None:
    """Absent values do not count, and the result is None only without any value."""
    result = most_common(values)
    present = [value for value in values if value]
    assert (result is None) == (not present)
    most = present.count(str(result))
    assert all(present.count(value) <= most for value in present)


def rows_of(state: State) -> list[tuple[int, int]]:
    """Return the stored changes of level."""
    rows = state._db.execute("SELECT from_ns, level FROM standing ORDER BY from_ns")
    return rows.fetchall()


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
    st.integers(1, 40),
)
def test_durations_are_exact_for_minutes_counted_late(
    levels: list[int], missed: set[int], resumed: int
) -> None:
    """Missed minutes counted later leave the same changes as none missed."""
    state = State(Path(":memory:"))
    # A missed minute is counted after at least one later minute.
    resumed = min(resumed, len(levels) - 1)
    missed_minutes = [m for m in range(resumed) if m in missed]
    live = [m for m in range(len(levels)) if m not in missed_minutes]
    for minute in live:
        state.since_ns("31", levels[minute], (minute + 1) * MINUTE_NS, past=False)
    for minute in missed_minutes:
        state.since_ns("31", levels[minute], (minute + 1) * MINUTE_NS, past=True)
    without = State(Path(":memory:"))
    for minute, now in enumerate(levels):
        without.since_ns("31", now, (minute + 1) * MINUTE_NS, past=False)
    assert rows_of(state) == rows_of(without)
    changes = [m for m, now in enumerate(levels) if not m or levels[m - 1] != now]
    assert [from_ns // MINUTE_NS - 1 for from_ns, _ in rows_of(state)] == changes


@pytest.mark.slow
def test_durations_survive_a_restart_and_are_bounded(tmp_path: Path) -> None:
    """After a week of changes every ten minutes, two hours of them are stored."""
    path = tmp_path / "census.sqlite3"
    state = State(path)
    for minute in range(1, 7 * 1440):
        state.since_ns("31", minute // 10 % 2, minute * MINUTE_NS, past=False)
    state.close()
    reopened = State(path)
    at_ns = 7 * 1440 * MINUTE_NS - MINUTE_NS
    level_now = (7 * 1440 - 1) // 10 % 2
    assert (
        reopened.since_ns("31", level_now, at_ns, past=False) == at_ns - 9 * MINUTE_NS
    )
    rows = reopened._db.execute("SELECT count(*) FROM standing").fetchone()[0]
    assert rows <= 14


@pytest.mark.parametrize("text", ["1.5", "0"])
def test_shares_out_of_range_are_rejected(text: str, tmp_path: Path) -> None:
    """A share is over 0 and at most 1, and the error names the key."""
    path = tmp_path / "noc.toml"
    path.write_text(f"[census]\narea_share = {text}\n")
    with pytest.raises(InvalidConfigError, match=r"census\.area_share"):
        load(path)
