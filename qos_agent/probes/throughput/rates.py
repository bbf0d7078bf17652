"""Computes a rate from a byte count over time: the end of the ramp and the interval.

The end of slow start is detected, not set to a constant time. The test is that of BBR
for a full pipe: three rounds without 25 % growth (draft-ietf-ccwg-bbr, 5.3.1.2). The
confidence interval uses batch means. It is widened for the correlation between
batches. All functions are pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

BIN_S = 0.05
_GROWTH = 1.25
_FULL_ROUNDS = 3
_MIN_BATCHES = 5
_MIN_MEASURED_S = 0.5
_MAX_CORRELATION = 0.9
# With fewer packets in a batch, its mean depends on which batch gets a packet.
_PACKETS_IN_BATCH = 32
_PACKET_BYTES = 1448
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


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the half width of its 95 % interval, in the unit of the values."""

    mean: float
    half: float

    @property
    def relative(self) -> float:
        """The half width divided by the mean; infinite for a mean of 0."""
        return self.half / self.mean if self.mean > 0 else math.inf

    def ends(self) -> tuple[float, float]:
        """Return the lower and upper end; a rate is never negative."""
        return max(0.0, self.mean - self.half), self.mean + self.half


def t_quantile(degrees: float) -> float:
    """Return Student's t at 97.5 %; between entries of the table the larger one."""
    return _T_975[max(entry for entry in _T_975 if entry <= max(1, degrees))]


def ramp_end(rates: Sequence[float], round_bins: int) -> int | None:
    """Return the bin from which the rate no longer grows; None while it grows."""
    best, full = 0.0, 0
    for end in range(round_bins, len(rates) + 1, round_bins):
        in_round = sum(rates[end - round_bins : end])
        if in_round > best * _GROWTH:
            best, full = in_round, 0
        else:
            full += 1
        # Without any data the link is idle, not full.
        if full >= _FULL_ROUNDS and best > 0:
            return end
    return None


def batch_interval(values: Sequence[float], batch: int) -> Interval | None:
    """Return the mean of `values` with its interval; None below five batches.

    The effective number of batches is n(1-r)/(1+r), with r their lag-1 correlation, as
    for a first-order autoregressive series.
    """
    count = len(values) // batch
    if count < _MIN_BATCHES:
        return None
    used = values[len(values) - count * batch :]
    means = [sum(used[i * batch : (i + 1) * batch]) / batch for i in range(count)]
    mean = sum(means) / count
    deviations = [value - mean for value in means]
    squares = sum(value * value for value in deviations)
    products = sum(a * b for a, b in pairwise(deviations))
    lag1 = products / squares if squares > 0 else 0.0
    lag1 = min(max(lag1, 0.0), _MAX_CORRELATION)
    effective = max(2.0, count * (1 - lag1) / (1 + lag1))
    error = math.sqrt(squares / (count - 1) / effective)
    return Interval(mean, t_quantile(effective - 1) * error)


@dataclass(slots=True)
class RateSeries:
    """A growing byte count, read about every BIN_S.

    `rtt_s` is the round trip without load: one round of the ramp, half of a batch.
    """

    rtt_s: float
    times_s: list[float] = field(default_factory=list)
    totals_bytes: list[float] = field(default_factory=list)
    ramp_bin: int | None = None
    _ramp_from: int = 0
    _joined_bin: int | None = None

    def add(self, at_s: float, total_bytes: float) -> None:
        """Add the count at a time; the first call sets the start."""
        self.times_s.append(at_s)
        self.totals_bytes.append(total_bytes)
        if self.ramp_bin is None:
            end = ramp_end(self._rates(self._ramp_from), self._round_bins())
            self.ramp_bin = None if end is None else self._ramp_from + end
        elif not self._settled():
            self._check_joined_flows()

    def join(self) -> None:
        """Note that more flows have started.

        The next rounds show whether the link was full.
        """
        self._joined_bin = self.bins

    def _check_joined_flows(self) -> None:
        """Start a new ramp if the link was not full.

        In that case, the joined flows raised the rate.
        """
        if self._joined_bin is None or self.ramp_bin is None:
            return
        before = self._rates(0)[: self._joined_bin][-self._round_bins() :]
        best = sum(before) / len(before) * _GROWTH
        if self.latest_bps() > best:
            self._ramp_from = self._joined_bin
            self.ramp_bin = self._joined_bin = None

    def _settled(self) -> bool:
        """Return True if joined flows have had enough rounds to raise the rate."""
        if self._joined_bin is None:
            return True
        rounds = _FULL_ROUNDS + 1
        return self.bins >= self._joined_bin + rounds * self._round_bins()

    @property
    def bins(self) -> int:
        """The number of bins."""
        return max(0, len(self.times_s) - 1)

    def latest_bps(self) -> float:
        """Return the rate of the last round."""
        first = max(0, self.bins - self._round_bins())
        span_s = self.times_s[-1] - self.times_s[first]
        moved = self.totals_bytes[-1] - self.totals_bytes[first]
        return moved * 8 / span_s if span_s > 0 else 0.0

    def measured(self) -> tuple[float, float]:
        """Return bytes and seconds after the ramp, or of the whole test."""
        first = self._first()
        moved = self.totals_bytes[-1] - self.totals_bytes[first]
        return moved, self.times_s[-1] - self.times_s[first]

    def interval_bps(self) -> Interval | None:
        """Return the rate after the ramp with its interval; None if it is too short."""
        moved, span_s = self.measured()
        if span_s <= 0 or moved <= 0:
            return None
        packets_bins = _PACKETS_IN_BATCH * _PACKET_BYTES / (moved / span_s) / BIN_S
        batch = max(2, round(2 * self.rtt_s / BIN_S), math.ceil(packets_bins))
        interval = batch_interval(self._rates(self._first()), batch)
        return interval and Interval(moved * 8 / span_s, interval.half)

    def precise(self, tolerance: float) -> bool:
        """Return True if the ramp is over and the interval within `tolerance`."""
        if self.ramp_bin is None or not self._settled():
            return False
        if self.measured()[1] < _MIN_MEASURED_S:
            return False
        interval = self.interval_bps()
        return interval is not None and interval.relative <= tolerance

    def ramp_s(self) -> float:
        """Return the time at the start that the rate leaves out."""
        return self.times_s[self._first()] - self.times_s[0]

    def _first(self) -> int:
        """Return the end of the ramp if at least a round follows it, else bin 0."""
        if self.ramp_bin is None or self.ramp_bin + self._round_bins() > self.bins:
            return 0
        return self.ramp_bin

    def _round_bins(self) -> int:
        # Rounded to the nearest bin. A round trip is never a whole number of bins. Each
        # bin too many costs three bins in the ramp and five in the batches.
        return max(2, round(self.rtt_s / BIN_S))

    def _rates(self, first: int) -> list[float]:
        marks = zip(self.times_s[first:], self.totals_bytes[first:], strict=True)
        return [
            (b1 - b0) * 8 / max(t1 - t0, 1e-6) for (t0, b0), (t1, b1) in pairwise(marks)
        ]
