"""Loss, delay and their intervals have known values and obey laws."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model import statistics

DELAYS = st.lists(st.integers(0, 10**10), min_size=1, max_size=200)
LOSSES = st.lists(st.booleans(), max_size=200)


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (20, 20, 0.8389, 1.0)],
)
def test_wilson_gives_the_textbook_interval(
    events: int, trials: int, low: float, high: float
) -> None:
    """The interval equals published values to four digits."""
    result = statistics.wilson(events, trials)
    assert result is not None
    assert (result.low, result.high) == pytest.approx((low, high), abs=1e-4)


def test_wilson_without_trials_is_none() -> None:
    """Without sent packets there is no loss, which differs from a loss of 0 %."""
    assert statistics.wilson(0, 0) is None


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_the_ratio(counts: tuple[int, int]) -> None:
    """The interval lies within 0 and 1 and contains the observed ratio."""
    events, trials = counts
    result = statistics.wilson(events, trials)
    assert result is not None
    assert 0 <= result.low <= events / trials <= result.high <= 1


@pytest.mark.parametrize("probability", [0.01, 0.05, 0.2])
def test_wilson_covers_independent_loss(probability: float) -> None:
    """At least 93 % of the intervals of trains of 200 contain the true loss."""
    source = random.Random(4)
    covered, trains = 0, 1000
    for _ in range(trains):
        lost = sum(source.random() < probability for _ in range(200))
        result = statistics.wilson(lost, 200)
        assert result is not None
        covered += result.low <= probability <= result.high
    assert covered / trains >= 0.93


@given(DELAYS)
def test_delays_are_ordered_and_measured(values: list[int]) -> None:
    """min ≤ p50 ≤ p95 ≤ max, and each is a measured value; PDV is p95 − min."""
    result = statistics.delays(values)
    assert result is not None
    assert result.least <= result.p50 <= result.p95 <= result.greatest
    assert {result.least, result.p50, result.p95, result.greatest} <= set(values)
    assert result.variation_p95 == result.p95 - result.least
    assert result.total == sum(values)


@given(DELAYS, st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_quantile_has_its_share_below_it(values: list[int], share: float) -> None:
    """At least the share of values is at or below, and less is strictly below."""
    ordered = sorted(values)
    result = statistics.quantile(ordered, share)
    assert result is not None
    assert statistics.at_most(ordered, result) >= share * len(ordered) - 1e-9
    assert sum(v < result for v in ordered) < share * len(ordered) + 1e-9


def test_delays_without_responses_are_none() -> None:
    """Without a response there is no delay."""
    assert statistics.delays([]) is None
    assert statistics.quantile([], 0.5) is None


@given(LOSSES)
def test_longest_run_is_the_longest(lost: list[bool]) -> None:
    """The result equals the longest group of losses in a text."""
    text = "".join("x" if packet_lost else " " for packet_lost in lost)
    assert statistics.longest_run(lost) == max(map(len, text.split()), default=0)


def test_lag1_separates_bursts_from_independent_loss() -> None:
    """Near 1 for two blocks, near −1 for alternating and near 0 for random loss."""
    coin = random.Random(4)
    assert statistics.lag1([True] * 100 + [False] * 100) == pytest.approx(
        0.985, abs=0.01
    )
    assert statistics.lag1([True, False] * 100) == pytest.approx(-1, abs=0.01)
    tosses = [coin.random() < 0.2 for _ in range(5000)]
    assert statistics.lag1(tosses) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("lost", [[], [True], [False] * 9, [True] * 9])
def test_lag1_is_none_if_nothing_varies(lost: list[bool]) -> None:
    """The correlation is None if it is undefined."""
    assert statistics.lag1(lost) is None
