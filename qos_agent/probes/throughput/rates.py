"""Computes a rate from a byte count over time: the end of the ramp and the interval.

The end of slow start is detected, not set to a constant time. The test is that of BBR
for a full pipe: three rounds without 25 % growth (draft-ietf-ccwg-bbr, 5.3.1.2). All
functions are pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from qos_agent.model.rate_statistics import (
    PastTest,
    minute_interval,
    variation,
)
from qos_agent.probes.throughput.batch_means import (
    Batches,
    Interval,
    batch_interval,
    batches,
)

BIN_S = 0.05
_GROWTH = 1.25
_FULL_ROUNDS = 3
_MIN_MEASURED_S = 0.5
# With fewer packets in a batch, its mean depends on which batch gets a packet.
_PACKETS_IN_BATCH = 32
_PACKET_BYTES = 1448
_RECENT_BINS = 40
_STALL_BINS = 3
# With more packets in a bin than this, an empty bin is a pause.
_PACKETS_IN_BIN = 3
_MIN_PAST = 3
# A test of a link that varies ends at this length at the earliest.
_MIN_VARYING_S = 0.8
_MIN_VARYING_ROUNDS = 10
# After an outage its own error falls slowly, while the mean of many tests needs other
# tests more than a longer one.
_MAX_VARYING_S = 2.0
# With fewer packets than in a long batch, it lasts this long.
_MIN_SLOW_S = 3.0
# In batches of this many packets, a deviation above this is the link's.
_PACKETS_IN_SHORT_BATCH = 8
_VARYING = 0.15
# The fastest batches of a constant link differ by this, and by one packet.
_CAPPED = 0.05
# A test is long enough if its own variance is at most this share of that between tests.
_OWN_SHARE = 0.5


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


def _moves(short: Batches) -> bool:
    """Return True if short batches show that the capacity of the link varies."""
    if short.mean <= 0 or short.deviation <= _VARYING * short.mean:
        return False
    packets = short.mean / 8 * 2 * BIN_S / _PACKET_BYTES
    return not short.capped(_CAPPED + 1 / max(packets, _PACKETS_IN_SHORT_BATCH))


@dataclass(slots=True)
class RateSeries:
    """A growing byte count, read about every BIN_S.

    `rtt_s` is the round trip without load: one round of the ramp, half of a batch. In
    a count of what was `acknowledged`, a pause followed by a burst is one of the
    acknowledgements. `first_data_s` is the time of the first count above zero, in the
    middle of its bin unless the caller knows it better.
    """

    rtt_s: float
    acknowledged: bool = False
    first_data_s: float | None = None
    times_s: list[float] = field(default_factory=list)
    totals_bytes: list[float] = field(default_factory=list)
    ramp_bin: int | None = None
    _ramp_from: int = 0
    _joined_bin: int | None = None

    def add(self, at_s: float, total_bytes: float) -> None:
        """Add the count at a time; the first call sets the start."""
        self.times_s.append(at_s)
        self.totals_bytes.append(total_bytes)
        if self.first_data_s is None and total_bytes > 0:
            self.first_data_s = at_s - BIN_S / 2
        if self.ramp_bin is None:
            end = ramp_end(self._rates(self._ramp_from), self.round_bins)
            self.ramp_bin = None if end is None else self._ramp_from + end
        elif not self._settled():
            self._check_joined_flows()

    def join(self) -> None:
        """Note that more flows have started.

        The next rounds show whether the link was full.
        """
        self._joined_bin = self.bins

    def end_ramp(self) -> None:
        """End the ramp here, because something else shows that the link is full."""
        self.ramp_bin = self.bins

    def leave_out(self, stall_bins: int) -> bool:
        """Leave out the latest bins; return True if the test is complete.

        The span before the stall is kept if it is long enough for a rate. Otherwise a
        new ramp starts after the stall.
        """
        first, until = self._first(), self.bins - stall_bins
        span_s = self.times_s[until] - self.times_s[first]
        moved_bytes = self.totals_bytes[until] - self.totals_bytes[first]
        enough = moved_bytes >= _PACKETS_IN_BATCH * _PACKET_BYTES
        if first > 0 and enough and span_s >= _MIN_MEASURED_S and self._settled():
            del self.times_s[until + 1 :], self.totals_bytes[until + 1 :]
            return True
        self._ramp_from = self.bins
        self.ramp_bin = self._joined_bin = None
        return False

    def has_levelled(self) -> bool:
        """Return True if data arrives and the last round was not 25 % faster."""
        end, width = self.bins, self.round_bins
        if end - self._ramp_from < 2 * width:
            return False
        now_bytes = self.totals_bytes[end] - self.totals_bytes[end - width]
        first = end - 2 * width
        before_bytes = self.totals_bytes[end - width] - self.totals_bytes[first]
        return 0 < now_bytes <= before_bytes * _GROWTH

    def _check_joined_flows(self) -> None:
        """Start a new ramp if the link was not full.

        In that case, the joined flows raised the rate.
        """
        if self._joined_bin is None or self.ramp_bin is None:
            return
        before = self._rates(0)[: self._joined_bin][-self.round_bins :]
        best = sum(before) / len(before) * _GROWTH
        if self.latest_bps() > best:
            self._ramp_from = self._joined_bin
            self.ramp_bin = self._joined_bin = None

    def _settled(self) -> bool:
        """Return True if joined flows have had enough rounds to raise the rate."""
        if self._joined_bin is None:
            return True
        rounds = _FULL_ROUNDS + 1
        return self.bins >= self._joined_bin + rounds * self.round_bins

    @property
    def bins(self) -> int:
        """The number of bins."""
        return max(0, len(self.times_s) - 1)

    def latest_bps(self) -> float:
        """Return the rate of the last round."""
        first = max(0, self.bins - self.round_bins)
        span_s = self.times_s[-1] - self.times_s[first]
        moved = self.totals_bytes[-1] - self.totals_bytes[first]
        return moved * 8 / span_s if span_s > 0 else 0.0

    def fastest_bps(self) -> float:
        """Return the fastest rate of a tenth of a second in the last two seconds."""
        recent = range(max(2, self.bins - _RECENT_BINS), self.bins + 1)
        return max((self._rate_before(end) for end in recent), default=0.0)

    def _rate_before(self, end: int) -> float:
        """Return the rate of the two bins before a bin."""
        span_s = self.times_s[end] - self.times_s[end - 2]
        moved_bytes = self.totals_bytes[end] - self.totals_bytes[end - 2]
        return moved_bytes * 8 / max(span_s, BIN_S)

    def measured(self) -> tuple[float, float]:
        """Return bytes and seconds after the ramp, or of the whole test."""
        first = self._first()
        moved = self.totals_bytes[-1] - self._count_at(first)
        return moved, self.times_s[-1] - self.times_s[first]

    def _count_at(self, first: int) -> float:
        """Return the count at a bin, in a pause of acknowledgements one between."""
        count = self.totals_bytes[first]
        after = next(
            (n for n in range(first, self.bins + 1) if self.totals_bytes[n] > count),
            first + 1,
        )
        if not self.acknowledged or after - first < 2:
            return count
        before = self.totals_bytes.index(count)
        share = (first - before) / (after - before)
        return count + (self.totals_bytes[after] - count) * share

    def interval_bps(self) -> Interval | None:
        """Return the rate after the ramp with its interval; None if it is too short."""
        moved, span_s = self.measured()
        if span_s <= 0 or moved <= 0:
            return None
        batch = max(round(2 * self.rtt_s / BIN_S), self._bins_of(_PACKETS_IN_BATCH))
        interval = batch_interval(self._rates(self._first()), batch)
        return interval and Interval(moved * 8 / span_s, interval.half)

    def precise(self, tolerance: float) -> bool:
        """Return True if the ramp is over and the interval within `tolerance`."""
        if self.ramp_bin is None or self._first() == 0 or not self._settled():
            return False
        if self.measured()[1] < _MIN_MEASURED_S:
            return False
        interval = self.interval_bps()
        return interval is not None and interval.relative <= tolerance

    def _bins_of(self, packets: int) -> int:
        """Return the bins in which this many packets arrive, at least two."""
        moved_bytes, span_s = self.measured()
        return max(2, math.ceil(packets * _PACKET_BYTES * span_s / moved_bytes / BIN_S))

    def short_batches(self) -> Batches | None:
        """Return the statistics of tenths of a second, or of eight packets."""
        if self.measured()[0] <= 0:
            return None
        bins = self._bins_of(_PACKETS_IN_SHORT_BATCH)
        return batches(self._rates(self._first()), bins)

    def within(self) -> float | None:
        """Return the relative deviation of tenths of a second; None if unknown."""
        short = self.short_batches()
        return short.deviation / short.mean if short and short.mean > 0 else None

    def varies(self, past: Sequence[PastTest]) -> bool:
        """Return True if this test or earlier ones show a link that varies."""
        short = self.short_batches()
        if self._first() > 0 and short is not None and _moves(short):
            return True
        between = variation(past, 0.0)
        return between.count >= _MIN_PAST and between.variance > _VARYING**2

    def halves_bps(self) -> float:
        """Return the difference between the halves of the measured span."""
        rates = self._rates(self._first())
        half = len(rates) // 2
        return fmean(rates[-half:]) - fmean(rates[:half]) if half else 0.0

    def long_enough(self, past: Sequence[PastTest]) -> bool:
        """Return True if a longer test would hardly improve a mean of many tests.

        That is, if this test's own error adds little to the variation between tests.
        A link that does not vary has no such variation, and its test goes on.
        """
        least_s = max(_MIN_VARYING_S, _MIN_VARYING_ROUNDS * self.rtt_s)
        if self.ramp_bin is None or self._first() == 0 or not self._settled():
            return False
        moved_bytes, span_s = self.measured()
        if self._has_stopped(moved_bytes * BIN_S / max(span_s, BIN_S)):
            # The link, or what confirms its data, has stopped. What follows shows how
            # much it transferred.
            return False
        if moved_bytes < _PACKETS_IN_BATCH * _PACKET_BYTES:
            least_s = max(least_s, _MIN_SLOW_S)
        if span_s < least_s - BIN_S / 2:
            return False
        short = self.short_batches()
        if short is None or short.mean <= 0:
            return False
        between = variation(past, short.deviation / short.mean).variance
        own = (short.error / short.mean) ** 2
        if not self.varies(past):
            return False
        return own <= _OWN_SHARE * between or span_s >= max(least_s, _MAX_VARYING_S)

    def _has_stopped(self, in_bin_bytes: float) -> bool:
        """Return True if no data arrived lately, with this much in a usual bin."""
        often = in_bin_bytes >= _PACKETS_IN_BIN * _PACKET_BYTES
        recent = 1 if often else _STALL_BINS
        return self.totals_bytes[-1] <= self.totals_bytes[-1 - recent]

    def minute_bps(self, past: Sequence[PastTest]) -> tuple[float, float] | None:
        """Return the interval of the mean of the minute around this test."""
        moved_bytes, span_s = self.measured()
        if span_s <= 0:
            return None
        between = variation(past, self.within())
        interval = minute_interval(moved_bytes * 8 / span_s, span_s, between)
        return None if interval is None else (interval.low_bps, interval.high_bps)

    def start_s(self) -> float:
        """Return the time at which the measured span begins."""
        return self.times_s[self._first()]

    def passed_s(self) -> float:
        """Return the time at which the data of the measured span began to pass.

        An acknowledgement arrives a round trip after its data, and a download passes
        the middle of the path half a round trip before it arrives.
        """
        return self.start_s() - self.rtt_s / (1 if self.acknowledged else 2)

    def ramp_ms(self) -> float | None:
        """Return the time from the first data to the measured span.

        None if the ramp did not end within the test.
        """
        first_s = self.first_data_s
        if self._first() == 0 or first_s is None:
            return None
        if self.acknowledged:
            first_s = max(first_s, self.times_s[0] + self.rtt_s)
        return max(0.0, self.start_s() - first_s) * 1e3

    def _first(self) -> int:
        """Return the end of the ramp if at least a round follows it, else bin 0."""
        if self.ramp_bin is None or self.ramp_bin + self.round_bins > self.bins:
            return 0
        return self.ramp_bin

    @property
    def round_bins(self) -> int:
        """The bins of a round, the unloaded round trip."""
        # Rounded to the nearest bin. A round trip is never a whole number of bins. Each
        # bin too many costs three bins in the ramp and five in the batches.
        return max(2, round(self.rtt_s / BIN_S))

    def _rates(self, first: int) -> list[float]:
        marks = zip(self.times_s[first:], self.totals_bytes[first:], strict=True)
        return [
            (b1 - b0) * 8 / max(t1 - t0, 1e-6) for (t0, b0), (t1, b1) in pairwise(marks)
        ]
