"""The probability that so many stations of an area are affected by chance. Pure."""

from __future__ import annotations

import math
from functools import lru_cache

CHANCE = 1e-7
"""Maximum probability that an area looks affected by chance.

A nation has about 31,000 pairs of area and cause with its operators. They are evaluated
every minute, and are independent about every ten minutes. In a day and a half these are
6.7 million, of which less than one is wrong.
"""


@lru_cache(100_000)
def tail(stations: int, affected: int, usual: float) -> float:
    """Return the probability of at least this many affected stations.

    Stations fail independently with the probability `usual`: a binomial distribution.
    """
    if affected <= 0:
        return 1.0
    if affected > stations:
        return 0.0
    if affected <= stations * usual:
        return 1.0  # It is at least a half, which is never unlikely.
    log_odds = math.log(usual) - math.log1p(-usual)
    log_term = (
        math.lgamma(stations + 1)
        - math.lgamma(affected + 1)
        - math.lgamma(stations - affected + 1)
        + affected * math.log(usual)
        + (stations - affected) * math.log1p(-usual)
    )
    total = term = math.exp(log_term)
    for k in range(affected, stations):
        term *= (stations - k) / (k + 1) * math.exp(log_odds)
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, total)


def is_unlikely(stations: int, affected: int, usual: float) -> bool:
    """Return True if so many affected stations are not chance."""
    return tail(stations, affected, usual) <= CHANCE


@lru_cache(1000)
def smallest_area(usual: float) -> int:
    """Return the number of stations from which all of them failing is not chance."""
    return math.ceil(math.log(CHANCE) / math.log(usual))
