"""Counts every slot and what became of it, so that completeness can be proven.

due = ok + failed + skipped, always: a slot enters the ledger with its outcome, at
the commit of its reading and not before.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from qos_agent.model import Outcome, Reading
from qos_agent.model.schema import MEASUREMENTS


@dataclass(frozen=True, slots=True)
class Tally:
    """What has been counted: slots by outcome, cause and reason, points stored."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    stored: int = 0

    @property
    def due(self) -> int:
        """All slots, whatever became of them."""
        return sum(self.outcomes.values())

    def count(self, outcome: Outcome) -> int:
        """Slots with that outcome."""
        return self.outcomes.get(outcome.value, 0)

    def since(self, before: Tally) -> Tally:
        """What was counted after `before`."""
        return Tally(
            Counter(self.outcomes) - Counter(before.outcomes),
            Counter(self.causes) - Counter(before.causes),
            Counter(self.reasons) - Counter(before.reasons),
            self.stored - before.stored,
        )


class Ledger:
    """The running tally of one agent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._stored = 0

    def count(self, readings: Iterable[Reading], stored_points: int) -> None:
        """Enter the slots of committed readings; records without slots do not count."""
        with self._lock:
            self._stored += stored_points
            for reading in readings:
                if _has_slots(reading):
                    self._enter(reading)

    def _enter(self, reading: Reading) -> None:
        self._outcomes[reading.outcome.value] += reading.slots
        if reading.cause is not None:
            self._causes[reading.cause] += reading.slots
        if reading.reason is not None:
            self._reasons[reading.reason] += reading.slots

    def tally(self) -> Tally:
        """A copy of the counts now."""
        with self._lock:
            return Tally(
                dict(self._outcomes),
                dict(self._causes),
                dict(self._reasons),
                self._stored,
            )


def _has_slots(reading: Reading) -> bool:
    return any(f.name == "slots" for f in MEASUREMENTS[reading.measurement].fields)
