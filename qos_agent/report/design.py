"""Estimates for all registered stations, by the design of the sample. Pure.

A ratio of weighted totals has the variance of its linearised residuals, by stratum and
sampling unit, with the finite-population correction (Särndal, Swensson and Wretman,
Model Assisted Survey Sampling, 5.7; Cochran, Sampling Techniques, chapters 5 and 6).
Units without a reading in the domain count as zeros, as in R's `survey`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from qos_agent.model.statistics import Bounds
from qos_agent.report.distributions import beta_quantile, t_quantile
from qos_agent.report.estimates import Sums, around

# Below this effective number of events or non-events, the normal interval is too short.
_SMALL = 10.0


@dataclass(frozen=True, slots=True)
class Cell:
    """The sums of a domain in one stratum.

    `weight` is the number of registered stations for each reporting one. `units` are
    the reporting sampling units of the stratum, in the domain or not, of
    `registered_units`; None stands for a population without an end.
    """

    sums: Sums
    weight: Fraction
    units: int
    registered_units: int | None

    @property
    def correction(self) -> float:
        """The finite-population correction."""
        if self.registered_units is None:
            return 1.0
        return max(0.0, 1 - self.units / self.registered_units)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio, its standard error, and the degrees of freedom of the design.

    `units` have a value. The error is None if no stratum has two units.
    """

    value: float
    error: float | None
    degrees: int
    units: int
    is_complete: bool


def estimate(cells: Sequence[Cell]) -> Estimate | None:
    """Return the ratio of a domain, or None without a denominator."""
    above = math.fsum(float(c.weight * c.sums.y) for c in cells)
    below = math.fsum(float(c.weight * c.sums.x) for c in cells)
    if not below:
        return None
    value = above / below
    degrees = sum(c.units for c in cells) - len(cells)
    variance = math.fsum(_variance(c, value) for c in cells) / below**2
    return Estimate(
        value,
        math.sqrt(variance) if degrees > 0 else None,
        degrees,
        sum(c.sums.stations for c in cells),
        all(c.correction == 0 for c in cells),
    )


def _variance(cell: Cell, value: float) -> float:
    """Return the variance of the total of residuals y - value * x in a stratum.

    The only unit of a stratum is compared with the mean of all residuals, which is 0
    (`lonely.psu = "adjust"` of R's `survey`).
    """
    # Exact numbers: residuals of large counts would lose digits as floats.
    p, q = value.as_integer_ratio()
    sums = cell.sums
    first = sums.y * q - p * sums.x
    second = sums.yy * q * q - 2 * p * q * sums.xy + p * p * sums.xx
    scale = float(cell.weight) ** 2 * cell.correction
    if cell.units < 2:
        return scale * (second / (q * q))
    spread = cell.units * second - first * first
    return scale * (spread / ((cell.units - 1) * q * q))


def interval(found: Estimate, *, is_share: bool) -> tuple[Bounds, str] | None:
    """Return the 95 % interval and its name; None if nothing shows the variation."""
    if found.error is None or found.is_complete:
        return None
    if is_share:
        trials = effective_trials(found)
        events = min(found.value, 1 - found.value) * trials
        if events < _SMALL:
            return exact_interval(found.value, trials), "95 % Clopper-Pearson"
    if not found.error:
        return None
    half = t_quantile(found.degrees, 0.975) * found.error
    return around(found.value, half, is_share=is_share), "95 % design-based"


def effective_trials(found: Estimate) -> float:
    """Return the number of independent trials with the same variance.

    Korn and Graubard, Survey Methodology 24 (1998). Without any variance the units are
    the trials, because a unit counts once, whatever its number of packets.
    """
    variance = (found.error or 0.0) ** 2
    if not variance:
        return float(found.units)
    trials = found.value * (1 - found.value) / variance
    ratio = t_quantile(max(1, found.units - 1), 0.975)
    return trials * (ratio / t_quantile(found.degrees, 0.975)) ** 2


def exact_interval(share: float, trials: float) -> Bounds:
    """Return Clopper and Pearson's 95 % interval of share * trials events."""
    events = share * trials
    others = trials - events
    if events <= 0 or others <= 0:
        # All or nothing has a closed form.
        end = 0.025 ** (1 / trials)
        return Bounds(0.0, 1 - end) if events <= 0 else Bounds(end, 1.0)
    low = beta_quantile(0.025, events, others + 1)
    return Bounds(low, beta_quantile(0.975, events + 1, others))


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile and its Woodruff interval, as numbers of bins from 0."""

    index: int
    low: int
    high: int


def quantile(
    cells: Callable[[int], Sequence[Cell]], bins: int, share: float
) -> Quantile | None:
    """Return the bin of a quantile, and those of its 95 % interval.

    `cells(k)` has the counts up to bound k, of all `bins` bounds. A bin after the last
    bound has the number `bins`. The interval is that of the share at the quantile,
    turned into values (Woodruff, JASA 47, 1952).
    """
    found = [estimate(cells(k)) for k in range(bins)]
    known = [f for f in found if f is not None]
    if len(known) < bins:
        return None
    shares = [f.value for f in known]
    index = _first(shares, share)
    at = known[min(index, bins - 1)]
    if at.error is None or at.is_complete:
        return None
    half = t_quantile(at.degrees, 0.975) * at.error
    return Quantile(index, _first(shares, share - half), _first(shares, share + half))


def _first(shares: Sequence[float], share: float) -> int:
    """Return the first bin whose share reaches a share."""
    for index, found in enumerate(shares):
        # A share that equals the wanted one up to rounding reaches it.
        if found >= share - 1e-12:
            return index
    return len(shares)


@dataclass(frozen=True, slots=True)
class Pair:
    """Sums of one station at the same hours: of the first and of the second group."""

    y_first: int
    x_first: int
    y_second: int
    x_second: int


def paired_difference(pairs: Sequence[Pair]) -> tuple[float, float, float, float]:
    """Return both ratios, their difference, and its standard error.

    The stations are the sampling units. Residuals of both ratios at a station are
    subtracted, so what is common to both does not count. The error is NaN for one pair.
    """
    below = sum(p.x_first for p in pairs), sum(p.x_second for p in pairs)
    first = Fraction(sum(p.y_first for p in pairs), below[0])
    second = Fraction(sum(p.y_second for p in pairs), below[1])
    residuals = [
        (p.y_second - float(second) * p.x_second) / below[1]
        - (p.y_first - float(first) * p.x_first) / below[0]
        for p in pairs
    ]
    count = len(pairs)
    difference = float(second - first)
    if count < 2:
        return float(first), float(second), difference, math.nan
    mean = math.fsum(residuals) / count
    squares = math.fsum((r - mean) ** 2 for r in residuals)
    error = math.sqrt(count / (count - 1) * squares)
    return float(first), float(second), difference, error
