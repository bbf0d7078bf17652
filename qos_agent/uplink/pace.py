"""When new points are due: at once, or once in a delivery interval of the phase.

Requests are scarce at the collector, not points. An agent that waits sends five minutes
of points in one request. The waits differ, so that not all agents send at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from qos_agent.config.uplink import UplinkSection
from qos_agent.model import Clock, Phase

# After the start and after a change of phase points are sent at once for this long. The
# centre then knows the new interval before it would miss this device.
_PROMPT_S = 180.0
# Points are committed once a minute, so a shorter interval means: at once.
_CYCLE_S = 60.0


class Pace:
    """The delivery interval in force, and the moment from which points are due."""

    def __init__(
        self,
        section: UplinkSection,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._section = section
        self._clock = clock
        self._uniform = uniform
        self.interval_s = _CYCLE_S
        self._prompt_until_ns = clock.boot_ns()
        self._due_ns = clock.boot_ns()

    def enter(self, phase: Phase) -> None:
        """Use the interval of a phase, and send at once for a while."""
        self.interval_s = max(_CYCLE_S, self._section.delivery_s(phase))
        now_ns = self._clock.boot_ns()
        self._prompt_until_ns = now_ns + int(_PROMPT_S * 1e9)
        self._due_ns = now_ns

    @property
    def wait_s(self) -> float:
        """The maximum wait of a new point for its delivery; 0 if it is sent at once."""
        return self.interval_s if self.interval_s > _CYCLE_S else 0.0

    def is_due(self) -> bool:
        """Return True if new points may be sent now."""
        return self._clock.boot_ns() >= self._due_ns

    def sent(self) -> None:
        """Wait an interval after a delivery, unless points are sent at once."""
        now_ns = self._clock.boot_ns()
        if not self.wait_s or now_ns < self._prompt_until_ns:
            return
        wait_s = self.interval_s * self._uniform(0.8, 1.0)
        self._due_ns = now_ns + int(wait_s * 1e9)
