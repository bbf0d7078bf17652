"""The earlier tests of each link, which later tests and the data forecast use.

The agent stores them in the journal under the name of the link and the direction, so
that they survive a restart. Only the latest tests are kept.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence

from qos_agent.model import json_text
from qos_agent.model.rate_statistics import PastTest
from qos_agent.model.types import Memory
from qos_agent.probes.throughput.backend import Direction

# Twelve days of tests every six hours.
KEPT_TESTS = 48
# With fewer tests their cost is not known well enough for a forecast.
_MIN_TESTS = 5
_LARGEST = 1e15


class History:
    """The earlier tests by link and direction. Thread-safe.

    Without a memory it lasts as long as the process.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._tests: dict[tuple[str, Direction], tuple[PastTest, ...]] = {}

    def past(self, link: str, direction: Direction) -> Sequence[PastTest]:
        """Return the earlier tests of a link in a direction, oldest first."""
        with self._lock:
            return self._loaded(link, direction)

    def add(self, link: str, direction: Direction, test: PastTest) -> None:
        """Add a test, and forget the oldest beyond the limit."""
        with self._lock:
            kept = (*self._loaded(link, direction), test)[-KEPT_TESTS:]
            self._tests[link, direction] = kept
            if self._memory is not None:
                rows = [_row(each) for each in kept]
                self._memory.set_state(_key(link, direction), json.dumps(rows))

    def usual_bytes(self, link: str, direction: Direction) -> int | None:
        """Return the mean data of a test; None if too few tests are known."""
        tests = self.past(link, direction)
        if len(tests) < _MIN_TESTS:
            return None
        return math.ceil(sum(test.data_bytes for test in tests) / len(tests))

    def _loaded(self, link: str, direction: Direction) -> tuple[PastTest, ...]:
        key = (link, direction)
        if key not in self._tests:
            stored = self._memory.state(_key(*key)) if self._memory else None
            self._tests[key] = _decoded(stored)
        return self._tests[key]


def _key(link: str, direction: Direction) -> str:
    return f"throughput/{link}/{direction}"


def _row(test: PastTest) -> list[float]:
    return [test.rate_bps, test.halves_bps, test.span_s, test.data_bytes]


def _decoded(stored: str | None) -> tuple[PastTest, ...]:
    """Return the stored tests; a damaged value is an empty history."""
    try:
        rows = json_text.loads(stored or "[]")
        tests = tuple(_test(*map(float, row)) for row in rows[-KEPT_TESTS:])
    except (ValueError, TypeError, LookupError):
        return ()
    return tests if all(map(_is_sane, tests)) else ()


def _test(rate_bps: float, halves_bps: float, span_s: float, size: float) -> PastTest:
    return PastTest(rate_bps, halves_bps, span_s, int(size))


def _is_sane(test: PastTest) -> bool:
    values = (test.rate_bps, abs(test.halves_bps), test.span_s, test.data_bytes)
    return all(0 <= value <= _LARGEST for value in values)
