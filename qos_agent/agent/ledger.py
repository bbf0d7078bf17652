"""Counts of all slots by outcome, so that completeness can be proven.

due = ok + failed + skipped, always. A slot is counted with its outcome when its
reading is committed, and not before.
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
    """Slots by outcome, cause and reason, and the number of stored points."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    stored: int = 0

    @property
    def due(self) -> int:
        """All slots, with any outcome."""
        return sum(self.outcomes.values())

    def count(self, outcome: Outcome) -> int:
        """Return the number of slots with that outcome."""
        return self.outcomes.get(outcome.value, 0)

    def since(self, before: Tally) -> Tally:
        """Return the difference to an earlier tally."""
        return Tally(
            outcomes=Counter(self.outcomes) - Counter(before.outcomes),
            causes=Counter(self.causes) - Counter(before.causes),
            reasons=Counter(self.reasons) - Counter(before.reasons),
            stored=self.stored - before.stored,
        )


class Ledger:
    """The running counts of one agent. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._stored = 0

    def count(self, readings: Iterable[Reading], stored_points: int) -> None:
        """Count the slots of committed readings. Events and the like have no slots."""
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
        """Return a copy of the present counts."""
        with self._lock:
            return Tally(
                outcomes=dict(self._outcomes),
                causes=dict(self._causes),
                reasons=dict(self._reasons),
                stored=self._stored,
            )


def _has_slots(reading: Reading) -> bool:
    return any(f.name == "slots" for f in MEASUREMENTS[reading.measurement].fields)
