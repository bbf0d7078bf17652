"""A switch turns after its minimum time, and keeps the order between links."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.verdict.hysteresis import Hysteresis

SECOND_NS = 10**9
# A severity: 0 good, 1 between the thresholds, 2 degraded, 3 between, 4 bad.
severities = st.lists(st.integers(0, 4), min_size=1, max_size=60)


def _signals(severity: int) -> dict[int, bool | None]:
    signals: dict[int, tuple[bool | None, ...]] = {
        1: (False, None, True, True, True),
        2: (False, False, False, None, True),
    }
    return {level: values[severity] for level, values in signals.items()}


def _levels(row: list[int]) -> list[int]:
    hysteresis = Hysteresis(120.0, 300.0)
    return [hysteresis.step(n * 60 * SECOND_NS, _signals(s)) for n, s in enumerate(row)]


def test_worse_for_two_minutes_and_better_for_five() -> None:
    """The level follows the signal after the minimum time, to the cycle."""
    assert _levels([0, 4, 4, 4, 4]) == [0, 0, 0, 2, 2]
    assert _levels([4, 0, 0, 0, 0, 0, 0, 0]) == [2, 2, 2, 2, 2, 2, 0, 0]
    assert _levels([0, 4, 0, 4, 0, 4, 0]) == [0] * 7


@given(severities)
def test_it_never_flaps_within_the_minimum_time(row: list[int]) -> None:
    """A recovery is at least 5 cycles after a worsening, a worsening 2 after it."""
    levels = _levels(row)
    changes = [(n, b - a) for n, (a, b) in enumerate(pairwise(levels), 1) if a != b]
    for (first, change), (second, next_change) in pairwise(changes):
        if change > 0 > next_change:
            assert second - first >= 5
        if change < 0 < next_change:
            assert second - first >= 2


@given(severities, st.data())
def test_it_is_monotone(row: list[int], data: st.DataObject) -> None:
    """Signals that are never better give levels that are never better."""
    worse = [data.draw(st.integers(severity, 4)) for severity in row]
    assert all(a <= b for a, b in zip(_levels(row), _levels(worse), strict=True))


def test_after_a_gap_the_first_signal_counts() -> None:
    """After a sleep of an hour the minimum time does not delay the first signal."""
    hysteresis = Hysteresis(120.0, 300.0)
    assert hysteresis.step(0, _signals(0)) == 0
    assert hysteresis.step(3600 * SECOND_NS, _signals(4)) == 2
