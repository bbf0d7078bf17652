"""A switch turns after its time and not before, and keeps order between links."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.verdict.hysteresis import Hysteresis

SECOND_NS = 10**9
# A severity: 0 well, 1 between the thresholds, 2 degraded, 3 between, 4 bad.
severities = st.lists(st.integers(0, 4), min_size=1, max_size=60)


def _signals(severity: int) -> dict[int, bool | None]:
    known: dict[int, tuple[bool | None, ...]] = {
        1: (False, None, True, True, True),
        2: (False, False, False, None, True),
    }
    return {level: words[severity] for level, words in known.items()}


def _levels(row: list[int]) -> list[int]:
    held = Hysteresis(120.0, 300.0)
    return [held.step(n * 60 * SECOND_NS, _signals(s)) for n, s in enumerate(row)]


def test_worse_for_two_minutes_and_better_for_five() -> None:
    """The class follows the signal after its hold, to the cycle."""
    assert _levels([0, 4, 4, 4, 4]) == [0, 0, 0, 2, 2]
    assert _levels([4, 0, 0, 0, 0, 0, 0, 0]) == [2, 2, 2, 2, 2, 2, 0, 0]
    assert _levels([0, 4, 0, 4, 0, 4, 0]) == [0] * 7


@given(severities)
def test_it_never_flaps_within_its_time(row: list[int]) -> None:
    """After a worsening 5 cycles pass before a recovery, after that 2 before worse."""
    levels = _levels(row)
    changes = [(n, b - a) for n, (a, b) in enumerate(pairwise(levels), 1) if a != b]
    for (first, one), (second, two) in pairwise(changes):
        if one > 0 > two:
            assert second - first >= 5
        if one < 0 < two:
            assert second - first >= 2


@given(severities, st.data())
def test_it_is_monotone(row: list[int], data: st.DataObject) -> None:
    """A signal that is never better gives a level that is never better."""
    worse = [data.draw(st.integers(severity, 4)) for severity in row]
    assert all(a <= b for a, b in zip(_levels(row), _levels(worse), strict=True))


def test_after_a_gap_the_first_signal_counts() -> None:
    """What was known before a sleep of an hour is no reason to doubt what is seen."""
    held = Hysteresis(120.0, 300.0)
    assert held.step(0, _signals(0)) == 0
    assert held.step(3600 * SECOND_NS, _signals(4)) == 2
