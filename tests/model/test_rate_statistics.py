"""Means and intervals of throughput tests, against populations that are known."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.rate_statistics import (
    PastTest,
    area_mean,
    minute_interval,
    station_mean,
    t_quantile,
    variation,
)

RATES = st.lists(st.floats(1e3, 1e9), min_size=2, max_size=40)


def past(rates: list[float], halves: float = 0.3) -> list[PastTest]:
    """Return tests of one second whose halves differ by this share of their rate."""
    return [PastTest(rate, halves * rate, 1.0, 10**6) for rate in rates]


def test_students_t_is_never_too_small() -> None:
    """Between two entries of the table the larger one is used."""
    assert t_quantile(0.3) == t_quantile(1) == 12.71
    assert t_quantile(11) == 2.23
    assert t_quantile(1000) == 2.00


def test_without_a_history_the_variation_within_the_test_decides() -> None:
    """A test that hardly varies has a narrow interval, and one that does a wide one."""
    narrow = minute_interval(10e6, 1.0, variation([], 0.01))
    wide = minute_interval(10e6, 1.0, variation([], 0.4))
    unknown = minute_interval(10e6, 1.0, variation([], None))
    assert narrow is not None
    assert wide is not None
    assert unknown is not None
    assert 7e6 < narrow.low_bps < 10e6 < narrow.high_bps < 14e6
    assert wide.high_bps > 20e6
    assert unknown.high_bps >= wide.high_bps


def test_a_constant_link_has_a_narrow_interval() -> None:
    """A history of equal rates makes the interval narrow."""
    interval = minute_interval(10e6, 1.0, variation(past([10e6] * 20, 0.0), 0.01))
    assert interval is not None
    assert 9.7e6 < interval.low_bps < 10e6 < interval.high_bps < 10.3e6


def test_a_history_draws_the_interval_to_the_usual_rate() -> None:
    """One slow second on a fast link does not make its minute slow."""
    rates = [5e6, 15e6] * 12
    interval = minute_interval(1e6, 1.0, variation(past(rates, 0.5), 0.3))
    assert interval is not None
    assert interval.high_bps > 8e6


def test_a_slow_variation_draws_the_interval_to_the_test() -> None:
    """The less the halves of tests differ, the closer the minute is to the test."""
    rates = [5e6, 15e6] * 12
    slow = minute_interval(5e6, 1.0, variation(past(rates, 0.001), 0.02))
    fast = minute_interval(5e6, 1.0, variation(past(rates, 0.5), 0.02))
    assert slow is not None
    assert fast is not None
    assert slow.low_bps < 5e6 < slow.high_bps
    assert slow.low_bps * slow.high_bps < fast.low_bps * fast.high_bps


def test_nothing_moved_and_nothing_known_has_no_interval() -> None:
    """A rate of 0 without a history has no interval; with one it has."""
    assert minute_interval(0.0, 4.0, variation([], None)) is None
    interval = minute_interval(0.0, 4.0, variation(past([1e6, 2e6, 3e6]), None))
    assert interval is not None
    assert interval.high_bps > 1e6


@given(RATES, st.floats(1e3, 1e9), st.floats(0.01, 10), st.floats(0, 3))
def test_an_interval_is_finite_and_ordered(
    rates: list[float], rate: float, span_s: float, within: float
) -> None:
    """Whatever the history, the ends are positive and in order."""
    interval = minute_interval(rate, span_s, variation(past(rates), within))
    assert interval is not None
    assert 0 <= interval.low_bps <= interval.high_bps
    assert not math.isnan(interval.high_bps)


@given(RATES)
def test_the_mean_of_a_station_is_that_of_its_tests(rates: list[float]) -> None:
    """Each test has the weight 1, and the interval contains the mean."""
    estimate = station_mean(rates)
    assert estimate is not None
    assert estimate.interval is not None
    assert estimate.mean_bps == pytest.approx(statistics.fmean(rates))
    low, high = estimate.interval.low_bps, estimate.interval.high_bps
    assert low <= estimate.mean_bps <= high


def test_one_test_has_no_interval_and_none_no_mean() -> None:
    """An interval needs two tests."""
    assert station_mean([]) is None
    assert area_mean([[], []]) is None
    one = station_mean([5e6])
    assert one is not None
    assert one.interval is None
    assert area_mean([[5e6], []]) == one


def test_the_interval_of_a_station_covers_the_mean_of_its_phase() -> None:
    """93 to 98 % of intervals over 24 tests contain the mean they are drawn from."""
    source = random.Random(3)
    covered = 0
    for _ in range(2000):
        rates = [source.lognormvariate(0, 0.6) for _ in range(24)]
        estimate = station_mean(rates)
        assert estimate is not None
        assert estimate.interval is not None
        low, high = estimate.interval.low_bps, estimate.interval.high_bps
        covered += low <= math.exp(0.18) <= high
    assert 0.92 <= covered / 2000 <= 0.98


def test_a_trend_within_the_phase_is_no_error_of_its_mean() -> None:
    """Tests in slots follow a slow change, so it does not widen the interval."""
    source = random.Random(5)
    rates = [100.0 + 10 * hour + source.gauss(0, 1) for hour in range(24)]
    estimate = station_mean(rates)
    assert estimate is not None
    assert estimate.between_tests is not None
    assert estimate.between_tests < statistics.variance(rates) / 20


def test_the_interval_of_an_area_covers_its_mean() -> None:
    """About 95 % of intervals contain the mean of the population of stations."""
    source = random.Random(9)
    covered = 0
    for _ in range(1000):
        stations = [
            [100 + level + source.gauss(0, 20) for _ in range(6)]
            for level in (source.gauss(0, 10) for _ in range(20))
        ]
        estimate = area_mean(stations)
        assert estimate is not None
        assert estimate.interval is not None
        covered += estimate.interval.low_bps <= 100 <= estimate.interval.high_bps
    assert 0.93 <= covered / 1000 <= 0.97


def test_the_variances_within_and_between_stations_are_separate() -> None:
    """The components equal those of the made-up population."""
    source = random.Random(4)
    stations = [
        [level + source.gauss(0, 5) for _ in range(10)]
        for level in (source.gauss(200, 20) for _ in range(300))
    ]
    estimate = area_mean(stations)
    assert estimate is not None
    assert estimate.between_tests == pytest.approx(25, rel=0.1)
    assert estimate.between_stations == pytest.approx(400, rel=0.2)


def test_a_census_of_stations_keeps_the_error_of_their_tests() -> None:
    """If every station is in the sample, only the variation of tests remains."""
    source = random.Random(6)
    stations = [
        [level + source.gauss(0, 5) for _ in range(4)] for level in range(100, 500, 10)
    ]
    some, all_of_them = area_mean(stations), area_mean(stations, len(stations))
    assert some is not None
    assert some.interval is not None
    assert all_of_them is not None
    assert all_of_them.interval is not None
    half = (all_of_them.interval.high_bps - all_of_them.interval.low_bps) / 2
    assert half < (some.interval.high_bps - some.interval.low_bps) / 20
    assert half == pytest.approx(2.04 * 5 / math.sqrt(160), rel=0.3)
