"""The severity of an area or an operator as a small number. Pure.

The severity is the worst class such that at least a given share of the stations has
this class or a worse one. If one station gets worse, the severity never gets better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qos_agent.model import Value

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


def station_level(fields: Mapping[str, Value], share: float) -> int | None:
    """Return the severity for the counts of stations of an area."""
    return level(_by_class(fields, "stations"), int(fields["expected"]), share)


def link_level(fields: Mapping[str, Value], share: float) -> int | None:
    """Return the severity for the counts of an operator's links and silent stations.

    An operator may have links that the register does not expect.
    """
    counts = _by_class(fields, "links")
    known = sum(counts.values()) + int(fields["links_unknown"])
    return level(counts, max(int(fields.get("expected", 0)), known), share)


def _by_class(fields: Mapping[str, Value], unit: str) -> dict[str, int]:
    """Return the counts by class, with `silent`; a missing field counts as 0."""
    counts = {name: int(fields.get(f"{unit}_{name}", 0)) for name in LEVELS[:3]}
    return {**counts, "silent": int(fields.get("silent", 0))}


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
