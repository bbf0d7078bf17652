"""The mean of a series with its confidence interval, from the means of batches.

The interval is widened for the correlation between batches. All functions are pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from qos_agent.model.rate_statistics import t_quantile

_MIN_BATCHES = 5
_MAX_CORRELATION = 0.9


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


@dataclass(frozen=True, slots=True)
class Batches:
    """The means of consecutive batches: their mean, deviation and effective number."""

    mean: float
    deviation: float
    effective: float
    means: Sequence[float] = ()

    def capped(self, tolerance: float) -> bool:
        """Return True if the fastest batches are equal: a constant link with losses.

        A flow that recovers from a loss is slower than its link for a while, and the
        rest of the time exactly as fast as the link.
        """
        fastest = sorted(self.means, reverse=True)
        third = fastest[max(1, round(len(fastest) * 0.3)) - 1 :][0]
        return fastest[0] <= third * (1 + tolerance)

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.deviation / math.sqrt(self.effective)


def batches(values: Sequence[float], batch: int) -> Batches | None:
    """Return the statistics of batch means; None below five batches.

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
    return Batches(mean, math.sqrt(squares / (count - 1)), effective, means)


def batch_interval(values: Sequence[float], batch: int) -> Interval | None:
    """Return the mean of `values` with its interval; None below five batches."""
    of_batches = batches(values, batch)
    if of_batches is None:
        return None
    half = t_quantile(of_batches.effective - 1) * of_batches.error
    return Interval(of_batches.mean, half)
