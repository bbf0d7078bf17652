"""How well an area or an operator fares, as one small number. Pure.

A level is the worst class that a share of the whole is in, or in something worse:
making one station worse never makes the level better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LEVELS = ("good", "degraded", "bad", "silent")


@dataclass(frozen=True, slots=True)
class Outage:
    """From which share, and number, of its stations on an operator is down."""

    share: float
    least: int

    def is_down(self, affected: int, expected: int) -> bool:
        """Whether an operator with so many stations affected is down."""
        return affected >= max(self.least, self.share * expected)


def level(counts: Mapping[str, int], expected: int, share: float) -> int | None:
    """The level of counts by class; None where nothing is expected or known.

    It is 0 only where something is known to be good: where no class reaches the
    share and nothing is good, the worst that is known counts.
    """
    numbers = [counts.get(name, 0) for name in LEVELS]
    if expected <= 0 or not any(numbers):
        return None
    for least in (share * expected, 1):
        for rank in (3, 2, 1):
            if sum(numbers[rank:]) >= max(least, 1):
                return rank
        if numbers[0]:
            return 0
    return None


def down(
    affected: Mapping[str, int], expected: Mapping[str, int], limits: Outage
) -> dict[str, tuple[int, int]]:
    """(down, down_alone) of each operator that is expected in an area.

    Alone is one that is down while another with stations enough to tell is not.
    """
    fallen = {o: limits.is_down(affected.get(o, 0), n) for o, n in expected.items()}
    standing = any(
        not fallen[operator] for operator, n in expected.items() if n >= limits.least
    )
    return {o: (int(is_down), int(is_down and standing))
            for o, is_down in fallen.items()}  # fmt: skip


def commonest(words: Iterable[str | None]) -> str | None:
    """The word that occurs most often; the first of the alphabet among equals."""
    counts = Counter(word for word in words if word)
    return min(counts, key=lambda word: (-counts[word], word), default=None)


def affected(
    silent: Iterable[str], bad: Iterable[tuple[str, str]],
    operators: Mapping[str, frozenset[str]],
) -> dict[str, int]:  # fmt: skip
    """Stations of each operator that are silent, or have a bad link of it.

    `bad` are (station, operator); `operators` those of each station by the register.
    """
    pairs = {(s, o) for s in silent for o in operators.get(s, frozenset())}
    pairs |= {(s, o) for s, o in bad if o in operators.get(s, frozenset())}
    return dict(Counter(operator for _, operator in pairs))
