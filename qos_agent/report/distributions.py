"""Quantiles of Student's t and of the beta distribution. Pure.

SciPy has them too, but it takes 115 MB. The tests compare them with R.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

_STEPS = 400
_TINY = 1e-300
_PRECISION = 1e-15


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    The continued fraction converges fast on one side of the mean, and the symmetry
    gives the other side (Numerical Recipes, 3rd edition, 6.4).
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction by Lentz's method."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return result


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


@lru_cache(65_536)
def beta_quantile(share: float, a: float, b: float) -> float:
    """Return the x with I_x(a, b) = share."""
    return _inverse(lambda x: incomplete_beta(x, a, b), share)


@lru_cache(4096)
def t_quantile(degrees: float, share: float) -> float:
    """Return the quantile of Student's t, for shares above one half."""
    x = _inverse(lambda x: incomplete_beta(x, degrees / 2, 0.5), 2 * (1 - share))
    return math.sqrt(degrees * (1 - x) / x)


def _inverse(rising: Callable[[float], float], share: float) -> float:
    """Return the x from 0 to 1 at which a rising function has a value."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if rising(middle) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
