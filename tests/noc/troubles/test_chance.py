"""The binomial tail, compared with its definition."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.noc.troubles.chance import CHANCE, is_unlikely, smallest_area, tail


@given(
    stations=st.integers(1, 60),
    affected=st.integers(0, 61),
    usual=st.floats(0.01, 0.3),
)
def test_the_tail_is_that_of_the_definition(
    stations: int, affected: int, usual: float
) -> None:
    """It equals the sum of the probabilities, or 1 if the number is not above usual."""
    exact = sum(
        comb(stations, k) * usual**k * (1 - usual) ** (stations - k)
        for k in range(affected, stations + 1)
    )
    if 0 < affected <= stations * usual:
        assert tail(stations, affected, usual) == 1.0
    else:
        assert tail(stations, affected, usual) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("usual", [0.02, 0.05, 0.17])
def test_the_smallest_area_can_show_a_trouble(usual: float) -> None:
    """All stations of the smallest area are not chance; one station less is."""
    smallest = smallest_area(usual)
    assert is_unlikely(smallest, smallest, usual)
    assert not is_unlikely(smallest - 1, smallest - 1, usual)
    assert usual**smallest <= CHANCE


def test_a_nation_is_counted_quickly_and_exactly_enough() -> None:
    """Large numbers do not overflow: 2 % of a nation is usual, 3 % is not."""
    assert tail(823_220, 16_464, 0.02) == 1.0
    assert is_unlikely(823_220, 24_696, 0.02)
    assert not is_unlikely(823_220, 16_700, 0.02)
