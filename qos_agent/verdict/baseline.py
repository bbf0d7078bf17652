"""What is usual for a link: counts of its figures in the pre phase. Pure but for state.

A histogram with bounds a twelfth of a decade apart: some dozen numbers a figure, which
can be added up and give robust quantiles to within a fifth.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Protocol

_STEPS_A_DECADE = 12
# Below every figure: a loss of nothing, above all.
_ZERO = -(10**6)


class Memory(Protocol):
    """What is kept over restarts: the journal's named values."""

    def state(self, key: str) -> str | None:
        """A value kept under a name."""
        ...

    def set_state(self, key: str, value: str) -> None:
        """Keep a value under a name."""
        ...


class Histogram:
    """Counts of one figure."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts = Counter(counts or {})

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[_bin(value)] += 1

    def total(self) -> int:
        """How many values."""
        return self.counts.total()

    def quantile(self, share: float) -> float | None:
        """The upper bound of the bin that holds the quantile; None without values."""
        if not self.counts:
            return None
        rank, seen = share * self.total(), 0
        for place in sorted(self.counts):
            seen += self.counts[place]
            if seen >= rank:
                return _upper(place)
        return _upper(max(self.counts))


def _bin(value: float) -> int:
    return _ZERO if value <= 0 else math.floor(math.log10(value) * _STEPS_A_DECADE)


def _upper(place: int) -> float:
    return 0.0 if place == _ZERO else float(10 ** ((place + 1) / _STEPS_A_DECADE))


class BaselineStore:
    """The histograms of a link, by figure, kept under its name."""

    def __init__(self, link: str, memory: Memory) -> None:
        self._key = f"baseline/{link}"
        self._memory = memory
        kept = json.loads(memory.state(self._key) or "{}")
        self.figures = {
            kpi: Histogram({int(b): n for b, n in counts.items()})
            for kpi, counts in kept.items()
        }

    def add(self, kpi: str, value: float) -> None:
        """Count a figure of the pre phase."""
        self.figures.setdefault(kpi, Histogram()).add(value)

    def quantile(self, kpi: str, share: float, least: int) -> float | None:
        """A quantile of a figure; None with fewer than `least` values."""
        known = self.figures.get(kpi)
        if known is None or known.total() < least:
            return None
        return known.quantile(share)

    def save(self) -> None:
        """Keep the counts over a restart."""
        kept = {kpi: dict(h.counts) for kpi, h in self.figures.items()}
        self._memory.set_state(self._key, json.dumps(kept))
