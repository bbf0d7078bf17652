"""Statistics of throughput tests: interval of one test, mean of many. Pure functions.

A link's rate varies from second to second and from hour to hour. One test sees about a
second of it. `minute_interval` states the mean of the minute around the test.
`station_mean` and `area_mean` are the estimates of a period, from the variation between
tests and between stations (Cochran, Sampling Techniques, 3rd edition, chapters 8, 10).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# Student's t, 97.5 %, by degrees of freedom; the next lower entry is used.
_T_975 = {
    1: 12.71,
    2: 4.30,
    3: 3.18,
    4: 2.78,
    5: 2.57,
    6: 2.45,
    7: 2.36,
    8: 2.31,
    9: 2.26,
    10: 2.23,
    12: 2.18,
    15: 2.13,
    20: 2.09,
    30: 2.04,
    60: 2.00,
}
# The seconds before and after a test that its interval describes.
MINUTE_SIDE_S = 30.0
# The time in which the fast variation of a cellular link forgets itself.
_FAST_S = 1.0
# One test shows no time scale above its own length. This share of what is slower is
# taken for a variation that forgets itself within the minute; the rest outlasts it.
_MEDIUM_SHARE, _MEDIUM_S = 0.8, 20.0
# At least this share of the variance between tests is slower than that. A few tests at
# the edge of an outage have halves that differ much, and would hide it.
_SLOW_SHARE = 0.2
# On recorded cellular links tests differ about this many times more than tenths of a
# second within one test do. It is the prior, with the weight of this many tests.
_PRIOR_FACTOR = 2.7
_PRIOR_TESTS = 1.0
_PRIOR_DEGREES = 4.0
# The relative error of a test against the capacity of its own span, on constant links.
_INSTRUMENT_ERROR = 0.01
# The relative deviation between tests before a link has a history, at most.
_MAX_VARIATION = 1.5
# A link that is even within its first test may still vary from minute to minute.
_MIN_VARIATION = 0.1


@dataclass(frozen=True, slots=True)
class RateInterval:
    """The ends of a 95 % interval of a rate."""

    low_bps: float
    high_bps: float


@dataclass(frozen=True, slots=True)
class PastTest:
    """The facts of an earlier test of a link that later tests use.

    `halves_bps` is the difference between the two halves of its measured span.
    """

    rate_bps: float
    halves_bps: float
    span_s: float
    data_bytes: int


@dataclass(frozen=True, slots=True)
class Variation:
    """Relative variance of the means of tests, and its slow share.

    `mean_bps` is the mean of `count` earlier tests; None without one. `degrees` are the
    degrees of freedom of the variance, with those of the prior.
    """

    variance: float
    slow_share: float
    degrees: float
    count: int = 0
    mean_bps: float | None = None


def t_quantile(degrees: float) -> float:
    """Return Student's t at 97.5 %; between entries of the table the larger one."""
    return _T_975[max(entry for entry in _T_975 if entry <= max(1, degrees))]


def variation(past: Sequence[PastTest], within: float | None) -> Variation:
    """Return the variation between tests that a link's history and one test show.

    `within` is the relative deviation of tenths of a second within the present test,
    None if it is not known.
    """
    expected = _MAX_VARIATION if within is None else _PRIOR_FACTOR * within
    prior = min(max(expected, _MIN_VARIATION), _MAX_VARIATION) ** 2
    count = len(past)
    mean_bps = math.fsum(test.rate_bps for test in past) / count if count else 0.0
    if mean_bps <= 0:
        return Variation(prior, _SLOW_SHARE, _PRIOR_DEGREES)
    squares = math.fsum((t.rate_bps / mean_bps - 1) ** 2 for t in past)
    variance = (_PRIOR_TESTS * prior + squares) / (_PRIOR_TESTS + count - 1)
    degrees = _PRIOR_DEGREES + count - 1
    slow = 1 - _fast_variance(past, mean_bps) / max(variance, 1e-12)
    slow_share = min(1.0, max(_SLOW_SHARE, slow))
    return Variation(variance, slow_share, degrees, count, mean_bps)


def _fast_variance(past: Sequence[PastTest], mean_bps: float) -> float:
    """Return the variance of the fast variation, from the halves of each test."""
    values = [
        (test.halves_bps / mean_bps) ** 2 / _halves(test.span_s)
        for test in past
        if test.span_s > 0
    ]
    return math.fsum(values) / len(values) if values else 0.0


def _halves(span_s: float) -> float:
    """Return the expected square of the difference of a span's halves.

    In units of the variance of a process with exponential correlation.
    """
    ratio = span_s / _FAST_S
    return 4 * (_variance_share(ratio / 2) - _variance_share(ratio))


def _variance_share(ratio: float) -> float:
    """Return the variance of the mean of a span, as a share of the process's.

    `ratio` is the length of the span in correlation times of an exponential process.
    """
    if ratio < 1e-3:
        return 1.0
    return 2 / ratio - 2 / ratio**2 * (1 - math.exp(-ratio))


@dataclass(frozen=True, slots=True)
class _Shares:
    """Shares of the variance of a link's rate, of an instant, as 1 in total.

    `of_test` and `of_minute` are those of the means of a test and of its minute, and
    `common` is their covariance.
    """

    of_test: float
    of_minute: float
    common: float


def _shares(slow_share: float, span_s: float) -> _Shares:
    """Return the shares for a process with a slow, a medium and a fast part."""
    medium, window_s = slow_share * _MEDIUM_SHARE, span_s + 2 * MINUTE_SIDE_S
    of_test = of_minute = common = slow_share - medium
    for share, time_s in ((medium, _MEDIUM_S), (1 - slow_share, _FAST_S)):
        of_test += share * _variance_share(span_s / time_s)
        of_minute += share * _variance_share(window_s / time_s)
        side = (MINUTE_SIDE_S + span_s / 2) / time_s
        common += share * min(1.0, 2 * (1 - math.exp(-side)) * time_s / window_s)
    return _Shares(of_test, of_minute, common)


def minute_interval(
    rate_bps: float, span_s: float, between: Variation
) -> RateInterval | None:
    """Return the 95 % interval of the mean from 30 s before to 30 s after a test.

    The test and the earlier tests are combined in the best linear way (ordinary
    kriging). The interval is symmetric on a logarithmic scale. Return None for a rate
    of 0 without a history.
    """
    shares = _shares(between.slow_share, span_s)
    weight = shares.common / shares.of_test
    known = between.count + 1
    mean_bps = ((between.mean_bps or 0.0) * between.count + rate_bps) / known
    centre_bps = weight * rate_bps + (1 - weight) * mean_bps
    if centre_bps <= 0:
        return None
    share = shares.of_minute - weight * shares.common
    share += (1 - weight) ** 2 * shares.of_test / known
    scale = max(mean_bps, centre_bps) / centre_bps
    variance = between.variance / shares.of_test * max(0.0, share) * scale**2
    error = math.sqrt(variance + _INSTRUMENT_ERROR**2)
    return _around(centre_bps, t_quantile(between.degrees) * error)


def _around(mean_bps: float, half: float) -> RateInterval:
    """Return an interval that is symmetric on a logarithmic scale.

    Rates are never negative, and their distribution has its long tail above the mean.
    """
    return RateInterval(mean_bps * math.exp(-half), mean_bps * math.exp(half))


@dataclass(frozen=True, slots=True)
class MeanRate:
    """The mean of a set of tests with its 95 % interval.

    `interval` is None for fewer than two tests or a mean of 0. `between_tests` and
    `between_stations` are variances in (bit/s)².
    """

    mean_bps: float
    tests: int
    stations: int
    interval: RateInterval | None
    between_tests: float | None = None
    between_stations: float | None = None


def station_mean(rates_bps: Sequence[float]) -> MeanRate | None:
    """Return the mean of one station's tests, in the order of their time.

    Each test has one random moment in its own slot, so the variance is that of
    successive differences (Cochran, 8.9 and 5A.12): a slow change within the period is
    no error of its mean. Return None without tests.
    """
    count = len(rates_bps)
    if count == 0:
        return None
    mean_bps = math.fsum(rates_bps) / count
    if count == 1:
        return MeanRate(mean_bps, 1, 1, None)
    squares = math.fsum((b - a) ** 2 for a, b in pairwise(rates_bps))
    variance = squares / (2 * (count - 1))
    # Successive differences share their ends, so they have 2/3 of the freedom.
    degrees = max(1.0, 2 * (count - 1) / 3)
    half = t_quantile(degrees) * math.sqrt(variance / count)
    interval = _around(mean_bps, half / mean_bps) if mean_bps > 0 else None
    return MeanRate(mean_bps, count, 1, interval, variance)


def area_mean(
    stations: Sequence[Sequence[float]], population: int | None = None
) -> MeanRate | None:
    """Return the mean of the tests of many stations, one sequence for each station.

    Each test has the weight 1, as in a ratio of sums. The variance is that of the ratio
    estimate of a two-stage sample (Cochran, 6.3 and 11.8), with a correction if
    `population` stations exist. Return None without tests.
    """
    groups = [rates for rates in stations if rates]
    if len(groups) < 2:
        return station_mean(groups[0]) if groups else None
    tests = sum(map(len, groups))
    mean_bps = math.fsum(map(math.fsum, groups)) / tests
    count = len(groups)
    squares = math.fsum((math.fsum(g) - len(g) * mean_bps) ** 2 for g in groups)
    correction = 1 - count / population if population else 1.0
    within, between = _components(groups, mean_bps)
    variance = correction * count / (count - 1) * squares / tests**2
    if population and within is not None:
        # The stations of the sample were tested at some moments only.
        variance += count / population * within / tests
    half = t_quantile(count - 1) * math.sqrt(max(0.0, variance))
    interval = _around(mean_bps, half / mean_bps) if mean_bps > 0 else None
    return MeanRate(mean_bps, tests, count, interval, within, between)


def _components(
    groups: Sequence[Sequence[float]], mean_bps: float
) -> tuple[float | None, float]:
    """Return the variances within and between stations (analysis of variance)."""
    sizes = [len(group) for group in groups]
    means = [math.fsum(group) / len(group) for group in groups]
    tests, count = sum(sizes), len(groups)
    among = math.fsum(
        n * (m - mean_bps) ** 2 for n, m in zip(sizes, means, strict=True)
    )
    among /= count - 1
    if tests == count:
        return None, among
    inside = math.fsum(
        (rate - m) ** 2 for g, m in zip(groups, means, strict=True) for rate in g
    )
    within = inside / (tests - count)
    usual_size = (tests - sum(n * n for n in sizes) / tests) / (count - 1)
    return within, max(0.0, (among - within) / usual_size)
