"""Bounds of a figure if everything that is missing were good, or bad. Pure.

Silence is not random, because a bad network causes it. The bounds need no assumption
about it: each missing station and slot gets the best or the worst possible value. It
counts with the mean denominator of those that were measured.
"""

from __future__ import annotations

from fractions import Fraction

from qos_agent.report.frame import Stratum
from qos_agent.report.sums import GroupSums


def with_missing(found: GroupSums, number: int, value: float) -> float | None:
    """Return a ratio if every missing station and slot had this value.

    `number` is that of the numerator. Without any sample the result is the value
    itself, or None if nothing is missing.
    """
    above = below = missing = 0.0
    for part in found.strata:
        sums = part.bins[number]
        weight = _weight(found, part.stratum)
        above += weight * sums.y
        below += weight * sums.x
        missing += weight * part.missing
    slots = found.missing_slots / found.slots if found.slots else 0.0
    if not below:
        return value if found.missing_stations or found.missing_slots else None
    per_station = found.sums.x * (1 + slots) / found.stations if found.stations else 0.0
    added = below * slots + missing * per_station
    return (above + value * added) / (below + added)


def _weight(found: GroupSums, stratum: Stratum | None) -> float:
    """Return the registered stations for each selected one, or 1."""
    if not found.is_population or stratum is None or not stratum.selected:
        return 1.0
    return float(Fraction(stratum.registered, stratum.selected))


def quantile_bounds_with_missing(
    found: GroupSums, share: float, *, is_good: bool
) -> int | None:
    """Return the bin of a quantile if everything missing were small (good) or great.

    A bin after the last bound has the number of bounds.
    """
    for number in range(len(found.bins)):
        reached = with_missing(found, number, 1.0 if is_good else 0.0)
        if reached is None:
            return None
        if reached >= share - 1e-12:
            return number
    return len(found.bins)
