"""Loss, delay and their intervals: known values and laws."""

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
    found = statistics.wilson(events, trials)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_wilson_of_nothing_is_absent() -> None:
    """Nothing sent is no loss of 0 %."""
    assert statistics.wilson(0, 0) is None


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_ratio(counts: tuple[int, int]) -> None:
    """The interval lies in 0 to 1 and holds what was seen."""
    events, trials = counts
    found = statistics.wilson(events, trials)
    assert found is not None
    assert 0 <= found.low <= events / trials <= found.high <= 1


@pytest.mark.parametrize("probability", [0.01, 0.05, 0.2])
def test_wilson_covers_independent_loss(probability: float) -> None:
    """At least 93 % of the intervals of trains of 200 hold the true loss."""
    source = random.Random(4)
    covered, trains = 0, 1000
    for _ in range(trains):
        lost = sum(source.random() < probability for _ in range(200))
        found = statistics.wilson(lost, 200)
        assert found is not None
        covered += found.low <= probability <= found.high
    assert covered / trains >= 0.93


@given(DELAYS)
def test_delays_are_ordered_and_measured(values: list[int]) -> None:
    """min ≤ p50 ≤ p95 ≤ max, each a value that was measured; PDV is p95 − min."""
    found = statistics.delays(values)
    assert found is not None
    assert found.least <= found.p50 <= found.p95 <= found.greatest
    assert {found.least, found.p50, found.p95, found.greatest} <= set(values)
    assert found.variation_p95 == found.p95 - found.least
    assert found.total == sum(values)


@given(DELAYS, st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_quantile_has_its_share_below_it(values: list[int], share: float) -> None:
    """At least the share lies at or below, and less than it strictly below."""
    ordered = sorted(values)
    found = statistics.quantile(ordered, share)
    assert found is not None
    assert statistics.at_most(ordered, found) >= share * len(ordered) - 1e-9
    assert sum(v < found for v in ordered) < share * len(ordered) + 1e-9


def test_delays_of_nothing_are_absent() -> None:
    """Without an answer there is no delay."""
    assert statistics.delays([]) is None
    assert statistics.quantile([], 0.5) is None


@given(LOSSES)
def test_longest_run_is_the_longest(lost: list[bool]) -> None:
    """It equals the longest group of losses, counted in another way."""
    text = "".join("x" if one else " " for one in lost)
    assert statistics.longest_run(lost) == max(map(len, text.split()), default=0)


def test_lag1_tells_bursts_from_independent_loss() -> None:
    """Near 1 for two blocks, near −1 for every other one, near 0 for a coin."""
    coin = random.Random(4)
    assert statistics.lag1([True] * 100 + [False] * 100) == pytest.approx(
        0.985, abs=0.01
    )
    assert statistics.lag1([True, False] * 100) == pytest.approx(-1, abs=0.01)
    tosses = [coin.random() < 0.2 for _ in range(5000)]
    assert statistics.lag1(tosses) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("lost", [[], [True], [False] * 9, [True] * 9])
def test_lag1_is_absent_where_nothing_varies(lost: list[bool]) -> None:
    """No correlation is made up where none can be computed."""
    assert statistics.lag1(lost) is None
