"""Statistics of loss and delay: pure functions over counts and lists.

Absent is None: with nothing sent there is no loss, with nothing received no delay.
Delays are in nanoseconds as integers, so that nothing is rounded before the end.
Rates and their batch means live in `rates`.
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
    """Both ends of an interval of a ratio, from 0 to 1."""

    low: float
    high: float


def wilson(events: int, trials: int) -> Bounds | None:
    """Wilson's 95 % score interval of events/trials; None without trials.

    Honest for few trials and for no events at all: none of 10 is 0 to 28 %. It
    assumes independence, which bursts break: see `lag1`.
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
    """The least value with at least `share` of all at or below it; None for none.

    The empirical distribution's quantile (RFC 2330, 11.3): always a value that was
    measured, never one between two.
    """
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def at_most(values: Sequence[int], bound: int) -> int:
    """How many values are at most `bound`: one step of a cumulative histogram."""
    return sum(value <= bound for value in values)


def longest_run(lost: Sequence[bool]) -> int:
    """The longest run of losses (RFC 3357's loss period, in packets)."""
    longest = run = 0
    for one in lost:
        run = run + 1 if one else 0
        longest = max(longest, run)
    return longest


def lag1(lost: Sequence[bool]) -> float | None:
    """Lag-1 autocorrelation of loss: 0 independent, towards 1 in bursts.

    None where it is undefined: fewer than two probes, none lost, or all.
    """
    count, mean = len(lost), sum(lost) / max(1, len(lost))
    if count < 2 or mean in (0.0, 1.0):
        return None
    off = [one - mean for one in lost]
    products = sum(a * b for a, b in pairwise(off))
    return products / sum(a * a for a in off)


@dataclass(frozen=True, slots=True)
class Delays:
    """What a train's round trips say, in nanoseconds; made by `delays`."""

    total: int
    least: int
    mean: float
    p50: int
    p95: int
    greatest: int
    variation_p95: int


def delays(values_ns: Sequence[int]) -> Delays | None:
    """Summary of round trips; delay variation is PDV, p95 − min (RFC 5481, 4.2)."""
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
