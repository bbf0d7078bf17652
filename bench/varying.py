"""Varying links: several short tests compared with one long test of as many bytes.

`python -m bench.varying` simulates the capacity of a link. The capacity is log-normal
with a slow part (a minute) and a fast one (a second), as on radio links. A test sees
the capacity during its time, and the agent's own estimator decides when it ends. The
truth is the mean of the quarter of an hour. `bench.varying_live` runs the real test on
links that replay such a capacity.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass

from qos_agent.model.rate_statistics import t_quantile
from qos_agent.probes.throughput.rates import BIN_S, RateSeries

_PERIOD_S = 900.0
_LINKS = 100
_TESTS = (3, 6, 10)
_LONGEST_S = 6.0
_RTT_S = 0.05
_SLOW_S, _FAST_S = 60.0, 1.0
_SPREADS = ((0.2, 0.2), (0.5, 0.3), (0.9, 0.5))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One period: errors relative to its mean, and coverage of the interval."""

    many_error: float
    one_error: float
    covered: bool
    one_covered: bool
    seconds: float


def main() -> int:
    """Simulate and print."""
    print(
        "spread    k   many: median |e| %   one long: median |e| %   seconds"
        "   many: coverage   one long: coverage   n"
    )
    for slow, fast in _SPREADS:
        for k in _TESTS:
            outcomes = [
                _period(random.Random(seed), slow, fast, k) for seed in range(_LINKS)
            ]
            _print(slow, fast, k, outcomes)
    return 0


def _period(source: random.Random, slow: float, fast: float, k: int) -> Outcome:
    offered = capacity(source, slow, fast)
    truth = statistics.fmean(offered)
    short = [_test(offered, at, 0.05, _LONGEST_S) for at in _moments(source, k)]
    seconds = sum(s.times_s[-1] for s in short)
    rates = [_mean(s) for s in short]
    mean, half = interval(rates)
    at = source.uniform(0, _PERIOD_S - seconds - 1)
    one = _test(offered, at, 0.0, seconds)
    within = one.interval_bps()
    return Outcome(
        many_error=abs(mean / truth - 1),
        one_error=abs(_mean(one) / truth - 1),
        covered=abs(mean - truth) <= half,
        one_covered=within is not None and abs(within.mean - truth) <= within.half,
        seconds=seconds,
    )


def interval(rates: list[float]) -> tuple[float, float]:
    """Return the mean of several tests, and half of its 95 % interval."""
    count = len(rates)
    half = t_quantile(count - 1) * statistics.stdev(rates) / math.sqrt(count)
    return statistics.fmean(rates), half


def capacity(
    source: random.Random,
    slow: float,
    fast: float,
    period_s: float = _PERIOD_S,
    slow_s: float = _SLOW_S,
) -> list[float]:
    """Return the bits per second in each bin of the period, about 10 Mbit/s."""
    state = {tau: source.gauss(0, 1) for tau in (slow_s, _FAST_S)}
    rates_bps = []
    for _ in range(int(period_s / BIN_S)):
        for tau, previous in state.items():
            keep = math.exp(-BIN_S / tau)
            state[tau] = keep * previous + math.sqrt(1 - keep**2) * source.gauss(0, 1)
        rates_bps.append(1e7 * math.exp(slow * state[slow_s] + fast * state[_FAST_S]))
    return rates_bps


def _moments(source: random.Random, k: int) -> list[float]:
    """Draw one moment in each k-th part of the period."""
    part_s = (_PERIOD_S - _LONGEST_S - 1) / k
    return [(i + source.random()) * part_s for i in range(k)]


def _test(
    offered: list[float], at_s: float, tolerance: float, longest_s: float
) -> RateSeries:
    series = RateSeries(_RTT_S)
    total_bytes = 0.0
    series.add(0.0, 0.0)
    first = int(at_s / BIN_S)
    for number, rate_bps in enumerate(offered[first:], 1):
        total_bytes += rate_bps * BIN_S / 8
        series.add(number * BIN_S, total_bytes)
        if number * BIN_S >= longest_s or (tolerance and series.precise(tolerance)):
            break
    return series


def _mean(series: RateSeries) -> float:
    moved_bytes, span_s = series.measured()
    return moved_bytes * 8 / span_s


def _print(slow: float, fast: float, k: int, outcomes: list[Outcome]) -> None:
    many = statistics.median(o.many_error for o in outcomes) * 100
    one = statistics.median(o.one_error for o in outcomes) * 100
    seconds = statistics.median(o.seconds for o in outcomes)
    covered = statistics.fmean(o.covered for o in outcomes) * 100
    own = statistics.fmean(o.one_covered for o in outcomes) * 100
    print(
        f"{slow}/{fast} {k:4} {many:20.1f} {one:24.1f} {seconds:9.1f}"
        f" {covered:14.1f} % {own:18.1f} % {len(outcomes):4}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
