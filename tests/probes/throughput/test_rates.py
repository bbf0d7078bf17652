"""Rates from counts: properties of the estimators, and series with a known rate."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.rate_statistics import PastTest
from qos_agent.probes.throughput.batch_means import Interval
from qos_agent.probes.throughput.rates import (
    BIN_S,
    RateSeries,
    ramp_end,
)


def series(rates_bps: list[float], rtt_s: float = 0.02) -> RateSeries:
    """Return a series with these rates, one per bin."""
    rates = RateSeries(rtt_s)
    total_bytes = 0.0
    rates.add(0.0, 0.0)
    for number, rate_bps in enumerate(rates_bps, 1):
        total_bytes += rate_bps * BIN_S / 8
        rates.add(number * BIN_S, total_bytes)
    return rates


def noisy(mean: float, spread: float, count: int, lag1: float = 0.0) -> list[float]:
    """Return a first-order autoregressive series, the same at each call."""
    source = random.Random(7)
    deviation, values = 0.0, []
    for _ in range(count):
        deviation = lag1 * deviation + source.gauss(0, spread)
        values.append(max(0.0, mean + deviation))
    return values


def test_slow_start_is_left_out() -> None:
    """The ramp ends when the doubling ends; the rate is that of the rest."""
    doubling = [1e6 * 2**n for n in range(6) for _ in range(2)]
    rates = series([*doubling, *[40e6] * 30])
    assert rates.ramp_bin is not None
    assert rates.start_s() - rates.times_s[0] >= 12 * BIN_S
    interval = rates.interval_bps()
    assert interval is not None
    assert interval.mean == pytest.approx(40e6)


def test_while_the_rate_grows_the_ramp_goes_on() -> None:
    """A growing rate has no end of its ramp and is never precise."""
    rates = series([1e6 * 1.5**n for n in range(30)])
    assert rates.ramp_bin is None
    assert not rates.precise(0.5)


def test_silence_is_no_full_pipe() -> None:
    """Before the first byte the ramp does not end, however long that takes."""
    assert ramp_end([0.0] * 50, 2) is None


@given(st.lists(st.floats(0, 1e9), max_size=60), st.integers(1, 10))
def test_a_ramp_ends_at_a_round(rates: list[float], round_bins: int) -> None:
    """Its end is within the series and a whole number of rounds from the start."""
    end = ramp_end(rates, round_bins)
    assert end is None or (0 < end <= len(rates) and end % round_bins == 0)


def test_a_steady_rate_is_soon_precise() -> None:
    """On a steady link half a second after the ramp is enough."""
    assert series([10e6] * 20).precise(0.05)
    assert not series([10e6] * 12).precise(0.05)


def test_a_slow_link_needs_enough_packets() -> None:
    """At 0.2 Mbit/s a batch of four bins has three packets, too few for precision."""
    assert not series([0.2e6] * 60).precise(0.05)


def test_joined_flows_that_raise_the_rate_start_a_new_ramp() -> None:
    """Joined flows that raise the rate by 25 % show that the link was not full."""
    rates = series([10e6] * 12)
    assert rates.ramp_bin is not None
    rates.join()
    at_s, total_bytes = rates.times_s[-1], rates.totals_bytes[-1]
    for number in range(1, 30):
        rates.add(at_s + number * BIN_S, total_bytes + number * 30e6 * BIN_S / 8)
    interval = rates.interval_bps()
    assert interval is not None
    assert interval.mean == pytest.approx(30e6)


def test_joined_flows_that_do_not_raise_the_rate_change_nothing() -> None:
    """If the rate stays the same for some rounds, the earlier bins still count."""
    rates = series([10e6] * 30)
    ramp_bin = rates.ramp_bin
    rates.join()
    assert not rates.precise(0.05)
    at_s, total_bytes = rates.times_s[-1], rates.totals_bytes[-1]
    for number in range(1, 10):
        rates.add(at_s + number * BIN_S, total_bytes + number * 10e6 * BIN_S / 8)
    assert rates.ramp_bin == ramp_bin
    assert rates.precise(0.05)


def test_without_data_there_is_no_interval() -> None:
    """Without a byte there is no interval, and no division by zero."""
    rates = series([0.0] * 30)
    assert rates.interval_bps() is None
    assert not rates.precise(0.05)
    assert Interval(0.0, 0.0).relative == float("inf")


def test_a_little_more_than_a_whole_bin_is_rounded_down() -> None:
    """A round trip of 100.3 ms is two bins, so the test is no longer than needed."""
    rates = noisy(10e6, 1e5, 60)
    ends = [series(rates, rtt_s).ramp_bin for rtt_s in (0.1, 0.1003)]
    assert ends[0] == ends[1]
    precise = [series(rates[:30], rtt_s).precise(0.05) for rtt_s in (0.1, 0.1003)]
    assert precise == [True, True]


@pytest.mark.parametrize("after", [0, 1])
def test_a_limit_reached_as_the_ramp_ends_keeps_the_ramp(after: int) -> None:
    """With less than a round after the ramp, the rate is that of the whole test."""
    rates = series([10e6] * (8 + after))
    assert rates.ramp_bin == 8
    span_s = (8 + after) * BIN_S
    assert rates.measured() == pytest.approx((10e6 / 8 * span_s, span_s))
    assert rates.start_s() - rates.times_s[0] == 0


def moving(count: int, seed: int = 3) -> list[float]:
    """Return the rates of a link whose capacity changes every 100 ms."""
    source = random.Random(seed)
    return [rate for _ in range(count) for rate in [source.uniform(2e6, 14e6)] * 2]


def test_a_link_that_varies_needs_a_minimum_length() -> None:
    """Without a history a moving link is measured for 0.8 s after the ramp."""
    rates = [8e6] * 8 + moving(20)
    lengths = [n for n in range(9, 48) if series(rates[:n]).long_enough([])]
    assert 23 <= lengths[0] <= 26


def test_a_link_that_never_varied_is_measured_until_it_is_precise() -> None:
    """With a history of equal rates, one that moves today is no reason to stop."""
    rates = series([8e6] * 8 + moving(10))
    past = [PastTest(8e6, 0.0, 1.0, 10**6)] * 40
    assert rates.long_enough([])
    assert not rates.long_enough(past)


def test_a_link_that_varied_before_need_not_move_within_a_test() -> None:
    """A test that sees an even second is long enough if earlier tests differ."""
    even = series(noisy(8e6, 4e5, 40))
    past = [PastTest(rate, 0.0, 1.0, 10**6) for rate in (4e6, 8e6, 12e6) * 4]
    assert not even.long_enough([])
    assert even.long_enough(past)


def test_a_constant_link_is_never_long_enough() -> None:
    """Noise of packets and short losses of a flow are no variation of the link."""
    assert not series(noisy(10e6, 5e5, 60)).long_enough([])
    dips = [10e6] * 20 + [4e6] * 6 + [10e6] * 10
    assert not series(dips).long_enough([])


def test_a_test_does_not_end_within_a_stall() -> None:
    """The end of a stall shows how much the link transferred in it."""
    rates = [8e6] * 8 + moving(10)
    assert series(rates).long_enough([])
    assert not series([*rates, 0.0, 0.0, 0.0]).long_enough([])
    assert series([*rates, 0.0, 0.0, 0.0, 8e6]).long_enough([])


def test_an_outage_is_part_of_the_rate() -> None:
    """A second without data after the ramp lowers the rate of the test."""
    rates = series([8e6] * 20 + [0.0] * 20 + [8e6] * 8)
    moved_bytes, span_s = rates.measured()
    assert moved_bytes * 8 / span_s == pytest.approx(8e6 * 20 / 40, rel=0.01)
    interval = rates.minute_bps([])
    assert interval is not None
    assert interval[0] < 4e6 < interval[1]


def test_the_start_and_the_halves_describe_the_measured_span() -> None:
    """The span begins after the ramp, and its halves have their own rates."""
    rates = series([10e6] * 18 + [20e6] * 10)
    assert rates.start_s() == pytest.approx(8 * BIN_S)
    assert rates.halves_bps() == pytest.approx(10e6)
    assert rates.fastest_bps() == pytest.approx(20e6)


def acknowledged(rates_bps: list[float]) -> RateSeries:
    """Return a series that counts acknowledgements."""
    counts = series(rates_bps, 0.06)
    result = RateSeries(0.06, acknowledged=True)
    for at_s, total_bytes in zip(counts.times_s, counts.totals_bytes, strict=True):
        result.add(at_s, total_bytes)
    return result


def test_a_pause_of_acknowledgements_at_the_start_is_shared() -> None:
    """A burst after a pause counts for the whole pause, also before the span."""
    rates = acknowledged([8e6] * 6 + [0.0] * 3 + [32e6] + [8e6] * 12)
    assert rates.ramp_bin == 8
    moved_bytes, span_s = rates.measured()
    assert moved_bytes * 8 / span_s == pytest.approx(8e6)


def test_a_stall_ends_a_test_that_is_long_enough() -> None:
    """Half a second before the stall is kept as the measured span."""
    rates = series([8e6] * 20 + [0.0] * 6)
    assert rates.leave_out(6)
    assert rates.bins == 20
    moved_bytes, span_s = rates.measured()
    assert moved_bytes * 8 / span_s == pytest.approx(8e6)


def test_a_stall_early_in_a_test_starts_a_new_ramp() -> None:
    """With too little before the stall, the span begins after it."""
    rates = series([8e6] * 10 + [0.0] * 6)
    assert not rates.leave_out(6)
    assert rates.ramp_bin is None
    at_s, total_bytes = rates.times_s[-1], rates.totals_bytes[-1]
    for number in range(1, 21):
        rates.add(at_s + number * BIN_S, total_bytes + number * 8e6 * BIN_S / 8)
    moved_bytes, span_s = rates.measured()
    assert moved_bytes * 8 / span_s == pytest.approx(8e6)
    assert rates.start_s() >= at_s


def test_the_rate_of_the_ramp_alone_is_never_precise() -> None:
    """Without a round after the ramp the rate is that of the whole test."""
    assert not series([10e6] * 11, 0.1).precise(0.05)


def test_the_ramp_begins_with_the_first_data() -> None:
    """A request that waits for an interrupted link is no part of the ramp."""
    early, late = series([8e6] * 20), series([0.0] * 10 + [8e6] * 20)
    assert early.ramp_ms() == pytest.approx((8 - 0.5) * BIN_S * 1e3)
    assert late.ramp_ms() == pytest.approx(early.ramp_ms())
