"""The severity of an area or an operator as a small number. Pure.

The severity is the worst class such that at least a given share of the stations has
this class or a worse one. If one station gets worse, the severity never gets better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LEVELS = ("good", "degraded", "bad", "silent")


@dataclass(frozen=True, slots=True)
class OutageThreshold:
    """The share and the number of stations from which an operator is down."""

    share: float
    minimum: int

    def is_down(self, affected: int, expected: int) -> bool:
        """Return True if an operator with this many affected stations is down."""
        return affected >= max(self.minimum, self.share * expected)


def level(counts: Mapping[str, int], expected: int, share: float) -> int | None:
    """Return the severity for counts by class; None if nothing is expected or known.

    It is 0 only if at least one station is known to be good. If no class reaches the
    share and no station is good, the worst class that occurs counts.
    """
    numbers = [counts.get(name, 0) for name in LEVELS]
    if expected <= 0 or not any(numbers):
        return None
    for minimum in (share * expected, 1):
        for rank in (3, 2, 1):
            if sum(numbers[rank:]) >= max(minimum, 1):
                return rank
        if numbers[0]:
            return 0
    return None


def down(
    affected: Mapping[str, int],
    expected: Mapping[str, int],
    threshold: OutageThreshold,
) -> dict[str, tuple[int, int]]:
    """Return (down, down_alone) of each operator that is expected in an area.

    An operator is down alone if another one with enough stations is not down.
    """
    is_down = {
        operator: threshold.is_down(affected.get(operator, 0), n)
        for operator, n in expected.items()
    }
    another_is_up = any(
        not is_down[operator]
        for operator, n in expected.items()
        if n >= threshold.minimum
    )
    return {
        operator: (int(fails), int(fails and another_is_up))
        for operator, fails in is_down.items()
    }


def most_common(values: Iterable[str | None]) -> str | None:
    """Return the most frequent value, and of equals the first in the alphabet."""
    counts = Counter(value for value in values if value)
    return min(counts, key=lambda value: (-counts[value], value), default=None)


def affected(
    silent: Iterable[str],
    bad: Iterable[tuple[str, str]],
    operators: Mapping[str, frozenset[str]],
) -> dict[str, int]:
    """Count, by operator, the stations that are silent or have a bad link of it.

    `bad` has pairs (station, operator), `operators` those of each registered station.
    """
    pairs = {(s, o) for s in silent for o in operators.get(s, frozenset())}
    pairs |= {(s, o) for s, o in bad if o in operators.get(s, frozenset())}
    return dict(Counter(operator for _, operator in pairs))
