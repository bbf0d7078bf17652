"""Replays recorded capacity without a network, with the agent's own estimator.

A simulated test sees the capacity of the trace behind a doubling start. It contains no
TCP: the error against its own span is measured by the live bench. The first half of
each trace was used to choose constants, so the second half is the judgement.
"""

from __future__ import annotations

import random
import statistics
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.cellular.traces import Trace
from qos_agent.model.rate_statistics import (
    PastTest,
    RateInterval,
    minute_interval,
    station_mean,
    variation,
)
from qos_agent.probes.throughput.rates import BIN_S, RateSeries
from qos_agent.probes.throughput.stalls import StallWatch

RTT_S = 0.05
_FIRST_WINDOW_BYTES = 14_600
_TIME_LIMIT_S = 10.0
_STALL_BINS = 80
_TOLERANCE = 0.05
_SIDE_BINS = round(30 / BIN_S)
_PHASE_BINS = round(900 / BIN_S)
_TEN_STEP = 7
_TEN_BINS = round(10 / BIN_S)
LIMITS = {"down": 8_000_000, "up": 3_000_000}
HISTORIES = (0, 6, 24)
# As many bytes as this many ten-second tests.
_TEN_SECOND_TESTS = 4
# An oracle chooses the best of these. Below 0.8 s the errors of TCP itself count.
_LENGTHS_S = (0.8, 1.0, 1.5, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Test:
    """A simulated test: its facts and the bins of its measured span."""

    past: PastTest
    within: float | None
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Spans:
    """The results of tests with a history of one length, in one trace."""

    history: int
    covered: int
    tests: int
    width: float
    oracle_width: float


@dataclass(frozen=True, slots=True)
class Phases:
    """The results of simulated phases in one trace.

    Errors are medians of the amount of the relative error, at equal bytes.
    """

    tests: int
    error: float
    ten_error: float
    oracle_error: float
    covered: float
    width: float


def simulate(trace: Trace, start: int, past: Sequence[PastTest]) -> Test:
    """Run one test of the agent that begins in bin `start`."""
    return _run(trace, start, lambda s: s.precise(_TOLERANCE) or s.long_enough(past))


def _run(trace: Trace, start: int, is_over: Callable[[RateSeries], bool]) -> Test:
    series, limit_bytes = RateSeries(RTT_S), LIMITS[trace.direction]
    stalls = StallWatch(trace.direction == "up", series.round_bins + 1)
    series.add(0.0, 0.0)
    total_bytes, window_bytes, idle = 0.0, _FIRST_WINDOW_BYTES, 0
    for number in range(1, round(_TIME_LIMIT_S / BIN_S) + 1):
        offered = trace.between(start + number - 1, start + number)
        moved_bytes = min(offered, window_bytes)
        if moved_bytes == window_bytes:
            window_bytes *= 2
        idle = 0 if moved_bytes else idle + 1
        usual_bytes = series.fastest_bps() / 8 * BIN_S
        total_bytes += moved_bytes * 1448 / 1500
        series.add(number * BIN_S, total_bytes)
        if idle >= _STALL_BINS or total_bytes > limit_bytes:
            break
        # Without TCP no acknowledgement is late, so each stall is the link's own.
        stall_bins = stalls.add(moved_bytes, usual_bytes, starved=False, round_s=RTT_S)
        in_span = stall_bins is not None and series.ramp_bin is not None
        if in_span and series.leave_out(stall_bins or 0):
            break
        if is_over(series):
            break
    return _test(series, start, total_bytes)


def _test(series: RateSeries, start: int, total_bytes: float) -> Test:
    moved_bytes, span_s = series.measured()
    first = start + round(series.start_s() / BIN_S)
    return Test(
        PastTest(
            rate_bps=moved_bytes * 8 / span_s,
            halves_bps=series.halves_bps(),
            span_s=span_s,
            data_bytes=round(total_bytes),
        ),
        series.within(),
        first,
        first + round(span_s / BIN_S),
    )


def pool(trace: Trace, moments: range, source: random.Random, count: int) -> list[Test]:
    """Return tests at random moments, each with the history of those before it."""
    tests: list[Test] = []
    for _ in range(count):
        past = [test.past for test in tests[-24:]]
        tests.append(simulate(trace, source.choice(moments), past))
    return tests


def spans(trace: Trace, tests: Sequence[Test], seed: int) -> list[Spans]:
    """Return the coverage of the minute around each test, for each history length."""
    source = random.Random(seed)
    truths = [
        trace.mean_between_bps(t.first - _SIDE_BINS, t.end + _SIDE_BINS) * 1448 / 1500
        for t in tests
    ]
    oracle = _oracle_width([t.past.rate_bps for t in tests], truths)
    results = []
    for length in HISTORIES:
        covered, widths = 0, []
        for test, truth_bps in zip(tests, truths, strict=True):
            past = [t.past for t in source.sample(tests, length)]
            interval = _interval(test, past)
            if interval is None:
                continue
            covered += interval.low_bps <= truth_bps <= interval.high_bps
            widths.append((interval.high_bps - interval.low_bps) / 2 / truth_bps)
        width = statistics.median(widths)
        results.append(Spans(length, covered, len(widths), width, oracle))
    return results


def _interval(test: Test, past: Sequence[PastTest]) -> RateInterval | None:
    between = variation(past, test.within)
    return minute_interval(test.past.rate_bps, test.past.span_s, between)


def _oracle_width(rates: Sequence[float], truths: Sequence[float]) -> float:
    """Return the half width of an oracle that knows the trace's moments."""
    slope, base = statistics.linear_regression(rates, truths)
    errors = [t - base - slope * r for r, t in zip(rates, truths, strict=True)]
    return 1.96 * statistics.pstdev(errors) / statistics.fmean(truths)


def phases(trace: Trace, tests: Sequence[Test], seed: int, count: int) -> Phases:
    """Return errors and coverage of the means of simulated phases."""
    source = random.Random(seed)
    truth_bps = trace.mean_bps * 1448 / 1500
    ten = [_ten_second_test(trace, at) for at in range(0, trace.bins, _TEN_STEP)]
    budget = _TEN_SECOND_TESTS * statistics.fmean(size for _, size in ten)
    number = _affordable(budget, tests)
    ours, tens, covered, widths = [], [], 0, []
    for _ in range(count):
        offset = source.randrange(trace.bins)
        chosen = _in_slots(tests, trace.bins, offset, number, source)
        estimate = station_mean([t.past.rate_bps for t in chosen])
        assert estimate is not None
        assert estimate.interval is not None
        low, high = estimate.interval.low_bps, estimate.interval.high_bps
        covered += low <= truth_bps <= high
        widths.append((high - low) / 2 / truth_bps)
        ours.append(abs(estimate.mean_bps / truth_bps - 1))
        starts = _slots(_TEN_SECOND_TESTS, offset, source)
        rates = [ten[at % trace.bins // _TEN_STEP][0] for at in starts]
        tens.append(abs(statistics.fmean(rates) / truth_bps - 1))
    return Phases(
        number,
        statistics.median(ours),
        statistics.median(tens),
        _oracle_error(trace, budget, source, count),
        covered / count,
        statistics.median(widths),
    )


def _slots(number: int, offset: int, source: random.Random) -> list[int]:
    """Return a random bin in each of `number` equal slots of a phase.

    The trace repeats within the phase.
    """
    slot = _PHASE_BINS / number
    return [offset + int((i + source.random()) * slot) for i in range(number)]


def _in_slots(
    tests: Sequence[Test], bins: int, offset: int, number: int, source: random.Random
) -> list[Test]:
    """Return the next test of the pool at the random moment of each slot."""
    ordered = sorted(tests, key=lambda test: test.first % bins)
    moments = [test.first % bins for test in ordered]
    return [
        ordered[bisect_left(moments, at % bins) % len(ordered)]
        for at in _slots(number, offset, source)
    ]


def _ten_second_test(trace: Trace, start: int) -> tuple[float, float]:
    """Return the rate and the bytes of a transfer of ten seconds."""
    total_bytes, window_bytes = 0.0, _FIRST_WINDOW_BYTES
    for number in range(_TEN_BINS):
        offered = trace.between(start + number, start + number + 1)
        moved_bytes = min(offered, window_bytes)
        if moved_bytes == window_bytes:
            window_bytes *= 2
        total_bytes += moved_bytes * 1448 / 1500
    return total_bytes * 8 / 10, total_bytes


def _oracle_error(
    trace: Trace, budget: float, source: random.Random, count: int
) -> float:
    """Return the error of tests of the best fixed length for this trace.

    An oracle chooses the length. Its tests have the same start-up as ours.
    """
    errors = []
    for length_s in _LENGTHS_S:
        tests = [
            _run(trace, source.randrange(trace.bins), _lasts(length_s))
            for _ in range(count)
        ]
        number = _affordable(budget, tests)
        errors.append(
            statistics.median(_phase_errors(trace, tests, number, source, count))
        )
    return min(errors)


def _lasts(length_s: float) -> Callable[[RateSeries], bool]:
    """Return the stopping rule of a test with a measured span of a fixed length."""
    bins = round(length_s / BIN_S)

    def is_over(series: RateSeries) -> bool:
        ramp_bin = series.ramp_bin
        return ramp_bin is not None and series.bins - ramp_bin >= bins

    return is_over


def _affordable(budget: float, tests: Sequence[Test]) -> int:
    """Return the number of tests that move as many bytes as the budget has."""
    return max(2, round(budget / statistics.fmean(t.past.data_bytes for t in tests)))


def _phase_errors(
    trace: Trace,
    tests: Sequence[Test],
    number: int,
    source: random.Random,
    count: int,
) -> Iterator[float]:
    truth_bps = trace.mean_bps * 1448 / 1500
    for _ in range(count):
        offset = source.randrange(trace.bins)
        chosen = _in_slots(tests, trace.bins, offset, number, source)
        yield abs(statistics.fmean(t.past.rate_bps for t in chosen) / truth_bps - 1)
