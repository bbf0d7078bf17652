"""Changes a link's level only after the new level has lasted a minimum time. Pure.

There is one switch for each level (1 degraded, 2 bad). A switch turns on when its
signal was on for `worsen_s` without interruption, and off when it was off for
`recover_s`. Between its two thresholds a signal is neither. Each switch is monotone
in its signals: a link that is never better than another never gets a better level.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEVELS = (1, 2)


@dataclass(slots=True)
class Switch:
    """The state of one level, and the times since which its signal is on or off."""

    on: bool = False
    on_since_ns: int | None = None
    off_since_ns: int | None = None

    def step(self, now_ns: int, signal: bool | None, hold_ns: tuple[int, int]) -> None:
        """Process a signal: on, off, or None between the thresholds.

        `hold_ns` has the minimum times before turning on and before turning off.
        """
        self.on_since_ns = _since(self.on_since_ns, signal is True, now_ns)
        self.off_since_ns = _since(self.off_since_ns, signal is False, now_ns)
        if _lasted(self.on_since_ns, now_ns, hold_ns[0]):
            self.on = True
        elif _lasted(self.off_since_ns, now_ns, hold_ns[1]):
            self.on = False


def _since(before_ns: int | None, holds: bool, now_ns: int) -> int | None:
    if not holds:
        return None
    return now_ns if before_ns is None else before_ns


def _lasted(since_ns: int | None, now_ns: int, hold_ns: int) -> bool:
    return since_ns is not None and now_ns - since_ns >= hold_ns


@dataclass(slots=True)
class Hysteresis:
    """The level of a link. The first signals, and those after a gap, count at once."""

    worsen_s: float
    recover_s: float
    switches: dict[int, Switch] = field(default_factory=dict)
    last_step_ns: int | None = None

    def step(self, now_ns: int, signals: dict[int, bool | None]) -> int:
        """Process the present signal of each level and return the level, 0 to 2."""
        hold_ns = (int(self.worsen_s * 1e9), int(self.recover_s * 1e9))
        if self.last_step_ns is None or now_ns - self.last_step_ns > max(hold_ns):
            self.switches = {level: Switch(signals[level] is True) for level in LEVELS}
        self.last_step_ns = now_ns
        for level, switch in self.switches.items():
            switch.step(now_ns, signals[level], hold_ns)
        return sum(switch.on for switch in self.switches.values())
