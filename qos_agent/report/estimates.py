"""Figures and their uncertainty, from whole-numbered sums. Pure.

A station is the sampling unit, because its readings are alike. The variance of a ratio
is therefore that of the stations' residuals (Taylor linearisation; Cochran, Sampling
Techniques, 3rd edition, 6.3), not that of the packets. It is calculated from sums, in
exact numbers up to the last step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from qos_agent.model.statistics import Bounds

# The normal distribution's 97.5th percentile: a 95 % interval, two-sided.
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the stations of a group: numerators y, denominators x, and products.

    A station without a denominator does not count.
    """

    stations: int
    y: int
    x: int
    yy: int
    xy: int
    xx: int

    def __add__(self, other: Sums) -> Sums:
        """Return the sums of two groups without a station in common."""
        return Sums(
            self.stations + other.stations,
            self.y + other.y,
            self.x + other.x,
            self.yy + other.yy,
            self.xy + other.xy,
            self.xx + other.xx,
        )


NOTHING = Sums(0, 0, 0, 0, 0, 0)


def station_sums(y: int, x: int) -> Sums:
    """Return the sums of one station."""
    return Sums(1, y, x, y * y, x * y, x * x) if x else NOTHING


def ratio(sums: Sums) -> float | None:
    """Return y / x, or None without a denominator."""
    return float(Fraction(sums.y, sums.x)) if sums.x else None


def standard_error(sums: Sums) -> float | None:
    """Return the linearised standard error of the ratio; None for one station.

    The stations are a simple random sample, and the population is much larger.
    """
    if sums.stations < 2 or not sums.x:
        return None
    share = Fraction(sums.y, sums.x)
    residuals = sums.yy - 2 * share * sums.xy + share * share * sums.xx
    scale = Fraction(sums.stations, sums.stations - 1)
    return math.sqrt(scale * residuals) / sums.x


def between_stations(sums: Sums, *, is_share: bool) -> Bounds | None:
    """Return the 95 % interval of the ratio; None if nothing shows the variation.

    Equal stations do not prove that all are equal, so a variance of 0 has no interval.
    The interval of a share stays between 0 and 1.
    """
    value, error = ratio(sums), standard_error(sums)
    if value is None or not error:
        return None
    return around(value, _Z_95 * error, is_share=is_share)


def around(value: float, half: float, *, is_share: bool) -> Bounds:
    """Return the interval around a value; that of a share is between 0 and 1."""
    low, high = value - half, value + half
    return Bounds(max(0.0, low), min(1.0, high)) if is_share else Bounds(low, high)


def quantile_bounds(
    counts: Sequence[int], bounds: Sequence[int], total: int, share: float
) -> tuple[int, int | None] | None:
    """Return the bin of a quantile: above the first bound, at most the second.

    `counts` has the number of values up to each bound. The first bin begins at 0, and
    the last one has no end. The result is None without values. Raises ValueError for
    counts that fall or that are above the total.
    """
    if any(low > high for low, high in pairwise([0, *counts, total])):
        raise ValueError("the counts of a cumulative histogram must not fall")
    if not total:
        return None
    needed = max(1, math.ceil(Fraction(str(share)) * total))
    for low, high, count in zip((0, *bounds), bounds, counts, strict=False):
        if count >= needed:
            return low, high
    return bounds[-1], None
