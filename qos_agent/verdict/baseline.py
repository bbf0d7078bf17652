"""The usual values of a link: counts of its figures in the pre phase.

Each figure has a histogram with twelve bins per decade. A few dozen numbers per figure
are enough, they can be added, and they give robust quantiles within 22 %.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter

from qos_agent.model import json_text
from qos_agent.model.types import Memory

_BINS_PER_DECADE = 12
# The bin of zero, such as no loss; it is below every other bin.
_ZERO = -(10**6)
# Every figure is below 10**300, so that the bound of its bin is a float.
_BIN_MAX = 300 * _BINS_PER_DECADE
_log = logging.getLogger(__name__)


class Histogram:
    """Counts of one figure by bin."""

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts = Counter(counts or {})

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[_bin(value)] += 1

    def total(self) -> int:
        """Return the number of values."""
        return self.counts.total()

    def quantile(self, share: float) -> float | None:
        """Return the upper bound of the quantile's bin, or None without values."""
        if not self.counts:
            return None
        rank, count = share * self.total(), 0
        for number in sorted(self.counts):
            count += self.counts[number]
            if count >= rank:
                return _upper_bound(number)
        return _upper_bound(max(self.counts))


def _bin(value: float) -> int:
    return _ZERO if value <= 0 else math.floor(math.log10(value) * _BINS_PER_DECADE)


def _upper_bound(number: int) -> float:
    return 0.0 if number == _ZERO else float(10 ** ((number + 1) / _BINS_PER_DECADE))


def _histograms(text: str) -> dict[str, Histogram]:
    """Read stored counts. Raises ValueError, TypeError or AttributeError for others."""
    return {
        kpi: Histogram({_checked(int(n), count): count for n, count in counts.items()})
        for kpi, counts in json_text.loads(text).items()
    }


def _checked(number: int, count: object) -> int:
    """Return the number of a bin with a plausible number and count."""
    is_number = number == _ZERO or abs(number) <= _BIN_MAX
    if not (is_number and isinstance(count, int) and 0 <= count < 2**63):
        raise ValueError("no count of a bin")
    return number


class BaselineStore:
    """The histograms of a link by figure, stored under the link's name."""

    def __init__(self, link: str, memory: Memory) -> None:
        self._key = f"baseline/{link}"
        self._memory = memory
        try:
            self.figures = _histograms(memory.state(self._key) or "{}")
        except (ValueError, TypeError, AttributeError):
            _log.warning("verdict: the stored baseline of link %s is damaged", link)
            self.figures = {}

    def add(self, kpi: str, value: float) -> None:
        """Count a figure of the pre phase."""
        self.figures.setdefault(kpi, Histogram()).add(value)

    def quantile(self, kpi: str, share: float, min_values: int) -> float | None:
        """Return a quantile of a figure, or None with fewer than `min_values`."""
        histogram = self.figures.get(kpi)
        if histogram is None or histogram.total() < min_values:
            return None
        return histogram.quantile(share)

    def save(self) -> None:
        """Store the counts."""
        counts = {kpi: dict(h.counts) for kpi, h in self.figures.items()}
        self._memory.set_state(self._key, json.dumps(counts))
