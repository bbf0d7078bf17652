"""Laws of levels and of operators that are down, and how long areas have been so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.noc.census.severity import (
    LEVELS,
    Outage,
    affected,
    commonest,
    down,
    level,
)
from qos_agent.noc.state import State

MINUTE_NS = 60 * 10**9
SHARE = st.sampled_from([0.05, 0.1, 0.3, 0.5, 1.0])
COUNTS = st.fixed_dictionaries({name: st.integers(0, 50) for name in LEVELS})
LIMITS = st.builds(Outage, st.floats(0.01, 1.0), st.integers(1, 6))
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
def test_an_area_is_good_only_where_something_is(
    counts: dict[str, int], unknown: int, share: float
) -> None:
    """Level 0 needs a good station; enough silent ones are level 3; nothing is None."""
    expected = sum(counts.values()) + unknown
    found = level(counts, expected, share)
    assert (found is None) == (sum(counts.values()) == 0)
    if found == 0:
        assert counts["good"] > 0
    if counts["silent"] and counts["silent"] >= share * expected:
        assert found == 3


def test_bad_and_silent_count_together() -> None:
    """Three in a hundred silent and three bad are six that are bad or worse."""
    assert level({"good": 94, "bad": 3, "silent": 3}, 100, 0.05) == 2
    assert level({"good": 96, "bad": 2, "silent": 2}, 100, 0.05) == 0


def test_nothing_expected_has_no_level() -> None:
    """An area without stations is neither good nor bad."""
    assert level({"good": 3}, 0, 0.05) is None


@given(OPERATORS, LIMITS)
def test_alone_means_another_stands(
    operators: dict[str, tuple[int, int]], limits: Outage
) -> None:
    """Down needs share and number; alone needs another, large enough, that is not."""
    expected = {o: n + hit for o, (n, hit) in operators.items()}
    hits = {o: hit for o, (_, hit) in operators.items()}
    found = down(hits, expected, limits)
    assert found.keys() == expected.keys()
    for operator, (is_down, alone) in found.items():
        enough = hits[operator] >= limits.least
        share = hits[operator] >= limits.share * expected[operator]
        assert is_down == (enough and share)
        others = [o for o in expected if o != operator and expected[o] >= limits.least]
        assert alone == (is_down and any(not found[o][0] for o in others))


def test_a_power_cut_is_no_operators_fault() -> None:
    """Where all are struck nobody is alone: the smallest is too small to tell."""
    found = down({"a": 9, "b": 5, "c": 1}, {"a": 10, "b": 5, "c": 2}, Outage(0.3, 3))
    assert found == {"a": (1, 0), "b": (1, 0), "c": (0, 0)}


def test_a_station_counts_once_for_each_operator() -> None:
    """Silent with two operators strikes both; a bad link strikes its own only."""
    operators = {"s": frozenset("ab"), "t": frozenset("ab"), "u": frozenset("b")}
    bad = [("t", "a"), ("t", "a"), ("u", "a"), ("stranger", "a")]
    assert affected(["s"], bad, operators) == {"a": 2, "b": 1}


@given(st.lists(st.sampled_from(["loss", "delay", "page", None])))
def test_the_commonest_word_is_none_but_where_there_is_none(
    words: list[str | None],
) -> None:
    """No other word occurs more often; absent words do not vote."""
    found = commonest(words)
    given_words = [word for word in words if word]
    assert (found is None) == (not given_words)
    most = given_words.count(str(found))
    assert all(given_words.count(word) <= most for word in given_words)


def rows_of(state: State) -> list[tuple[int, int]]:
    """The changes of level that are remembered."""
    rows = state._db.execute("SELECT from_ns, level FROM standing ORDER BY from_ns")
    return rows.fetchall()


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40),
    st.sets(st.integers(0, 39)),
    st.integers(1, 40),
)
def test_since_is_exact_also_for_minutes_taken_late(
    levels: list[int], missed: set[int], resumed: int
) -> None:
    """Missed minutes, taken later in their order, leave the same standing as none."""
    state = State(Path(":memory:"))
    # Who makes good what was missed has counted a later minute first.
    resumed = min(resumed, len(levels) - 1)
    gone = [m for m in range(resumed) if m in missed]
    live = [m for m in range(len(levels)) if m not in gone]
    for minute in live:
        state.since_ns("31", levels[minute], (minute + 1) * MINUTE_NS, past=False)
    for minute in gone:
        state.since_ns("31", levels[minute], (minute + 1) * MINUTE_NS, past=True)
    without = State(Path(":memory:"))
    for minute, now in enumerate(levels):
        without.since_ns("31", now, (minute + 1) * MINUTE_NS, past=False)
    assert rows_of(state) == rows_of(without)
    changes = [m for m, now in enumerate(levels) if not m or levels[m - 1] != now]
    assert [from_ns // MINUTE_NS - 1 for from_ns, _ in rows_of(state)] == changes


def test_since_is_remembered_over_a_restart_and_bounded(tmp_path: Path) -> None:
    """A new process knows it; an area that flaps for a week keeps two hours of it."""
    path = tmp_path / "census.sqlite3"
    state = State(path)
    for minute in range(1, 7 * 1440):
        state.since_ns("31", minute // 10 % 2, minute * MINUTE_NS, past=False)
    state.close()
    again = State(path)
    at_ns = 7 * 1440 * MINUTE_NS - MINUTE_NS
    level_now = (7 * 1440 - 1) // 10 % 2
    assert again.since_ns("31", level_now, at_ns, past=False) == at_ns - 9 * MINUTE_NS
    rows = again._db.execute("SELECT count(*) FROM standing").fetchone()[0]
    assert rows <= 14


@pytest.mark.parametrize(("text", "why"), [("1.5", "share"), ("0", "share")])
def test_shares_out_of_range_are_refused(text: str, why: str, tmp_path: Path) -> None:
    """A share is over 0 and at most 1; the error names the key."""
    from qos_agent.model.errors import InvalidConfigError
    from qos_agent.noc.settings import load

    path = tmp_path / "noc.toml"
    path.write_text(f"[census]\narea_{why} = {text}\n")
    with pytest.raises(InvalidConfigError, match=r"census\.area_share"):
        load(path)
