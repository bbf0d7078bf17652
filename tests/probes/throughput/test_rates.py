"""Rates from counts: laws of the estimators, and series whose truth is known."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.probes.throughput.rates import (
    BIN_S,
    Interval,
    RateSeries,
    batch_interval,
    ramp_end,
    t_quantile,
)


def series(rates_bps: list[float], rtt_s: float = 0.02) -> RateSeries:
    """A series that carried these rates, one a bin."""
    made = RateSeries(rtt_s)
    total_bytes = 0.0
    made.add(0.0, 0.0)
    for number, rate_bps in enumerate(rates_bps, 1):
        total_bytes += rate_bps * BIN_S / 8
        made.add(number * BIN_S, total_bytes)
    return made


def noisy(mean: float, spread: float, count: int, lag1: float = 0.0) -> list[float]:
    """A first-order autoregressive series, always the same one."""
    source = random.Random(7)
    off, found = 0.0, []
    for _ in range(count):
        off = lag1 * off + source.gauss(0, spread)
        found.append(max(0.0, mean + off))
    return found


def test_slow_start_is_left_out() -> None:
    """Doubling ends the ramp where it stops; the rate is that of what follows."""
    doubling = [1e6 * 2**n for n in range(6) for _ in range(2)]
    got = series([*doubling, *[40e6] * 30])
    assert got.ramp_bin is not None
    assert got.ramp_s() >= 12 * BIN_S
    interval = got.interval_bps()
    assert interval is not None
    assert interval.mean == pytest.approx(40e6)


def test_while_the_rate_grows_the_ramp_goes_on() -> None:
    """A rate that still doubles has no end of its ramp, and is never precise."""
    got = series([1e6 * 1.5**n for n in range(30)])
    assert got.ramp_bin is None
    assert not got.precise(0.5)


def test_silence_is_no_full_pipe() -> None:
    """Before the first byte nothing is full, however long it takes."""
    assert ramp_end([0.0] * 50, 2) is None


@given(st.lists(st.floats(0, 1e9), max_size=60), st.integers(1, 10))
def test_a_ramp_ends_at_a_round(rates: list[float], round_bins: int) -> None:
    """Where it ends is within the series and a whole number of rounds."""
    end = ramp_end(rates, round_bins)
    assert end is None or (0 < end <= len(rates) and end % round_bins == 0)


@given(
    st.lists(st.floats(1e3, 1e9), min_size=10, max_size=60),
    st.floats(0.01, 100),
)
def test_the_interval_scales_with_its_values(values: list[float], by: float) -> None:
    """Another unit gives the same interval in that unit."""
    one = batch_interval(values, 2)
    other = batch_interval([v * by for v in values], 2)
    assert one is not None
    assert other is not None
    assert other.mean == pytest.approx(one.mean * by)
    assert other.half == pytest.approx(one.half * by, rel=1e-6, abs=1e-3)


def test_too_few_batches_say_nothing() -> None:
    """Four batches are no basis for an interval."""
    assert batch_interval([1.0] * 9, 2) is None
    assert batch_interval([1.0] * 10, 2) == Interval(1.0, 0.0)


def test_correlation_widens_the_interval() -> None:
    """What repeats itself tells less: the same spread, correlated, is less sure."""
    free = batch_interval(noisy(100, 5, 400), 4)
    bound = batch_interval(noisy(100, 5, 400, lag1=0.95), 4)
    assert free is not None
    assert bound is not None
    assert bound.half > 3 * free.half


@pytest.mark.parametrize(("lag1", "least"), [(0.0, 0.92), (0.6, 0.90)])
def test_the_interval_covers_the_truth(lag1: float, least: float) -> None:
    """Of many series 95 % or so hold the truth, also where each bin is like the last.

    With the correlation between batches left out it would be 78 % of the latter.
    """
    source = random.Random(11)
    covered = 0
    for _ in range(400):
        off, values = 0.0, []
        for _ in range(80):
            off = lag1 * off + source.gauss(0, 10)
            values.append(100 + off)
        found = batch_interval(values, 2)
        assert found is not None
        covered += abs(found.mean - 100) <= found.half
    assert least <= covered / 400 <= 0.995


def test_a_steady_rate_is_soon_precise() -> None:
    """On a steady link half a second after the ramp is enough."""
    assert series([10e6] * 20).precise(0.05)
    assert not series([10e6] * 12).precise(0.05)


def test_a_slow_link_needs_enough_packets() -> None:
    """At 0.2 Mbit/s a batch of four bins holds three packets: that is not sure."""
    assert not series([0.2e6] * 60).precise(0.05)


def test_newcomers_that_find_room_start_a_new_ramp() -> None:
    """More flows that raise the rate by a quarter show that the link was not full."""
    got = series([10e6] * 12)
    assert got.ramp_bin is not None
    got.join()
    at_s, total_bytes = got.times_s[-1], got.totals_bytes[-1]
    for number in range(1, 30):
        got.add(at_s + number * BIN_S, total_bytes + number * 30e6 * BIN_S / 8)
    interval = got.interval_bps()
    assert interval is not None
    assert interval.mean == pytest.approx(30e6)


def test_newcomers_that_find_none_change_nothing() -> None:
    """Where the rate stays, what was measured before counts; they get their rounds."""
    got = series([10e6] * 30)
    ramp_bin = got.ramp_bin
    got.join()
    assert not got.precise(0.05)
    at_s, total_bytes = got.times_s[-1], got.totals_bytes[-1]
    for number in range(1, 10):
        got.add(at_s + number * BIN_S, total_bytes + number * 10e6 * BIN_S / 8)
    assert got.ramp_bin == ramp_bin
    assert got.precise(0.05)


def test_students_t_is_never_too_small() -> None:
    """Between entries the wider one is taken."""
    assert t_quantile(0.3) == t_quantile(1) == 12.71
    assert t_quantile(11) == 2.23
    assert t_quantile(1000) == 2.00


def test_nothing_carried_is_no_rate() -> None:
    """Without a byte there is no interval, and nothing divides by 0."""
    got = series([0.0] * 30)
    assert got.interval_bps() is None
    assert not got.precise(0.05)
    assert Interval(0.0, 0.0).relative == float("inf")


def test_a_hair_above_a_whole_bin_costs_nothing() -> None:
    """A round trip of 100.3 ms is two bins, not three: the test is no longer for it."""
    rates = noisy(10e6, 1e5, 60)
    ends = [series(rates, rtt_s).ramp_bin for rtt_s in (0.1, 0.1003)]
    assert ends[0] == ends[1]
    precise = [series(rates[:30], rtt_s).precise(0.05) for rtt_s in (0.1, 0.1003)]
    assert precise == [True, True]


@pytest.mark.parametrize("after", [0, 1])
def test_a_cap_met_as_the_ramp_ends_leaves_the_whole(after: int) -> None:
    """With less than a round after the ramp the rate is that of all."""
    got = series([10e6] * (8 + after))
    assert got.ramp_bin == 8
    span_s = (8 + after) * BIN_S
    assert got.measured() == pytest.approx((10e6 / 8 * span_s, span_s))
    assert got.ramp_s() == 0
