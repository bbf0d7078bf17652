"""Actions that the main loop repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class PeriodicTask:
    """An action that the main loop repeats, on boot time."""

    name: str
    interval_s: float
    action: Callable[[], object]
    due_boot_ns: int

    def is_due(self, now_boot_ns: int) -> bool:
        """Return True once if it is due, however often it was missed in a sleep."""
        if now_boot_ns < self.due_boot_ns:
            return False
        self.due_boot_ns = now_boot_ns + int(self.interval_s * 1e9)
        return True
