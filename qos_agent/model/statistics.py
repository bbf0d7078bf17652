"""Statistics of loss and delay: pure functions over counts and lists.

A missing value is None: without sent packets there is no loss, and without received
packets no delay. Delays are integers in nanoseconds, so that only the last step rounds.
Rates and their batch means are in `probes.throughput.rates`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# The normal distribution's 97.5th percentile: a 95 % interval, two-sided.
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Bounds:
    """The ends of an interval of a ratio, from 0 to 1."""

    low: float
    high: float


def wilson(events: int, trials: int) -> Bounds | None:
    """Return Wilson's 95 % score interval of events/trials; None without trials.

    The interval is valid for few trials and without events: 0 of 10 gives 0 to 28 %.
    It assumes independent events, and bursts break this assumption (see `lag1`).
    """
    if trials == 0:
        return None
    share, z2 = events / trials, _Z_95 * _Z_95
    centre = share + z2 / (2 * trials)
    half = _Z_95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    low = 0.0 if events == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if events == trials else min(1.0, (centre + half) / scale)
    return Bounds(low, high)


def quantile(ordered: Sequence[int], share: float) -> int | None:
    """Return the smallest value with at least `share` of all values at or below it.

    This is the quantile of the empirical distribution (RFC 2330, 11.3). It is always a
    measured value, never one between two. It is None without values.
    """
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def at_most(values: Sequence[int], bound: int) -> int:
    """Count the values up to `bound`: one step of a cumulative histogram."""
    return sum(value <= bound for value in values)


def longest_run(lost: Sequence[bool]) -> int:
    """Return the longest run of losses (the loss period of RFC 3357, in packets)."""
    longest = run = 0
    for packet_lost in lost:
        run = run + 1 if packet_lost else 0
        longest = max(longest, run)
    return longest


def lag1(lost: Sequence[bool]) -> float | None:
    """Return the lag-1 autocorrelation of loss: 0 if independent, near 1 in bursts.

    It is undefined, and None, for fewer than two packets, or if none or all are lost.
    """
    count, mean = len(lost), sum(lost) / max(1, len(lost))
    if count < 2 or mean in (0.0, 1.0):
        return None
    deviations = [packet_lost - mean for packet_lost in lost]
    products = sum(a * b for a, b in pairwise(deviations))
    return products / sum(a * a for a in deviations)


@dataclass(frozen=True, slots=True)
class Delays:
    """A summary of a train's round trips in nanoseconds; `delays` builds it."""

    total: int
    least: int
    mean: float
    p50: int
    p95: int
    greatest: int
    variation_p95: int


def delays(values_ns: Sequence[int]) -> Delays | None:
    """Summarise round trips; delay variation is PDV, p95 − min (RFC 5481, 4.2)."""
    ordered = sorted(values_ns)
    p50, p95 = quantile(ordered, 0.50), quantile(ordered, 0.95)
    if p50 is None or p95 is None:
        return None
    total = sum(ordered)
    return Delays(
        total=total,
        least=ordered[0],
        mean=total / len(ordered),
        p50=p50,
        p95=p95,
        greatest=ordered[-1],
        variation_p95=p95 - ordered[0],
    )
