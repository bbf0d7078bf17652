"""Statistics of stations: against direct formulas, and against a known truth."""

from __future__ import annotations

import math
import random
from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.statistics import quantile
from qos_agent.report.estimates import (
    Sums,
    between_stations,
    quantile_bounds,
    ratio,
    standard_error,
    station_sums,
)

NONE = station_sums(0, 0)
BOUNDS = (5, 10, 20, 50)
counts = st.integers(0, 10**12)
stations = st.lists(st.tuples(counts, st.integers(1, 10**12)), min_size=2, max_size=20)


def _sums(units: list[tuple[int, int]]) -> Sums:
    return reduce(add, (station_sums(y, x) for y, x in units), NONE)


@given(stations)
def test_the_standard_error_is_that_of_the_residuals(
    units: list[tuple[int, int]],
) -> None:
    """The formula of textbooks gives the same, from the values of each station."""
    above, below = math.fsum(y for y, _ in units), math.fsum(x for _, x in units)
    residuals = [y - above / below * x for y, x in units]
    scale = len(units) / (len(units) - 1)
    expected = math.sqrt(scale * math.fsum(r * r for r in residuals)) / below
    error = standard_error(_sums(units))
    # The residuals of large counts lose digits as floats.
    noise = 1e-9 * max(above, below) / below
    assert error == pytest.approx(expected, rel=1e-6, abs=noise)


@given(stations, stations)
def test_sums_of_groups_add_up(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    """The order of stations and groups does not change a digit."""
    both = _sums(one) + _sums(other)
    assert both == _sums([*other, *reversed(one)])
    assert ratio(both) == sum(y for y, _ in one + other) / sum(
        x for _, x in one + other
    )


def test_one_station_and_no_station_have_no_interval() -> None:
    """One station does not show the variation between stations."""
    assert ratio(NONE) is None
    assert standard_error(NONE) is None
    assert between_stations(_sums([(3, 10)]), is_share=True) is None
    assert station_sums(5, 0) == NONE


def test_everything_lost_is_a_result_without_an_interval() -> None:
    """Equal stations do not prove that all stations are equal."""
    sums = _sums([(20, 20), (40, 40)])
    assert ratio(sums) == 1.0
    assert between_stations(sums, is_share=True) is None


def test_an_interval_of_a_share_stays_between_0_and_1() -> None:
    """An interval of a mean has no such limits."""
    sums = _sums([(0, 100), (50, 100)])
    bounds = between_stations(sums, is_share=True)
    assert bounds is not None
    assert bounds.low == 0.0
    assert bounds.high == pytest.approx(0.74, abs=0.01)
    mean = between_stations(sums, is_share=False)
    assert mean is not None
    assert mean.low < 0


def test_intervals_cover_the_truth_of_a_nation() -> None:
    """95 % intervals of 1,000 samples of 200 stations cover between 93 and 97 %."""
    chosen = random.Random(20240214)
    nation = []
    for _ in range(20_000):
        sent = chosen.randint(100, 2000)
        loss = chosen.betavariate(1, 30)
        nation.append((round(sent * loss), sent))
    truth = sum(y for y, _ in nation) / sum(x for _, x in nation)
    covered = 0
    for _ in range(1000):
        bounds = between_stations(_sums(chosen.sample(nation, 200)), is_share=True)
        assert bounds is not None
        covered += bounds.low <= truth <= bounds.high
    assert 930 <= covered <= 970


@given(st.lists(st.integers(0, 80)), st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_the_bin_of_a_quantile_has_the_quantile(
    values: list[int], share: float
) -> None:
    """The exact quantile of the values is in the bin."""
    histogram = [sum(value <= bound for value in values) for bound in BOUNDS]
    found = quantile_bounds(histogram, BOUNDS, len(values), share)
    exact = quantile(sorted(values), share)
    if found is None:
        assert exact is None
        return
    low, high = found
    assert exact is not None
    assert low <= exact
    assert exact > low or low == 0
    assert high is None or exact <= high


def test_a_histogram_that_falls_is_refused() -> None:
    """Such counts come from no measurement."""
    with pytest.raises(ValueError, match="must not fall"):
        quantile_bounds([5, 4], (5, 10), 9, 0.5)
