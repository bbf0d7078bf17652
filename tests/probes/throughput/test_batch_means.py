"""Batch means: properties of the interval, and series with a known mean."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.probes.throughput.batch_means import Interval, batch_interval
from tests.probes.throughput.test_rates import noisy


@given(
    st.lists(st.floats(1e3, 1e9), min_size=10, max_size=60),
    st.floats(0.01, 100),
)
def test_the_interval_scales_with_its_values(values: list[float], by: float) -> None:
    """Another unit gives the same interval in that unit."""
    interval = batch_interval(values, 2)
    scaled = batch_interval([v * by for v in values], 2)
    assert interval is not None
    assert scaled is not None
    assert scaled.mean == pytest.approx(interval.mean * by)
    assert scaled.half == pytest.approx(interval.half * by, rel=1e-6, abs=1e-3)


def test_too_few_batches_have_no_interval() -> None:
    """Four batches are too few for an interval."""
    assert batch_interval([1.0] * 9, 2) is None
    assert batch_interval([1.0] * 10, 2) == Interval(1.0, 0.0)


def test_correlation_widens_the_interval() -> None:
    """With the same spread, a correlated series has a wider interval."""
    independent = batch_interval(noisy(100, 5, 400), 4)
    correlated = batch_interval(noisy(100, 5, 400, lag1=0.95), 4)
    assert independent is not None
    assert correlated is not None
    assert correlated.half > 3 * independent.half


@pytest.mark.parametrize(("lag1", "minimum"), [(0.0, 0.92), (0.6, 0.90)])
def test_the_interval_covers_the_true_mean(lag1: float, minimum: float) -> None:
    """About 95 % of the intervals contain the true mean, also with correlated bins.

    Without the correction for correlation it would be 78 % of the correlated ones.
    """
    source = random.Random(11)
    covered = 0
    for _ in range(400):
        deviation, values = 0.0, []
        for _ in range(80):
            deviation = lag1 * deviation + source.gauss(0, 10)
            values.append(100 + deviation)
        interval = batch_interval(values, 2)
        assert interval is not None
        covered += abs(interval.mean - 100) <= interval.half
    assert minimum <= covered / 400 <= 0.995
