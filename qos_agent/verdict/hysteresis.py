"""A class changes only after it was another for some time, and by a margin. Pure.

Two switches, one for each level (1 degraded, 2 bad). A switch goes on when its signal
was on without a break for `worsen_s`, and off when it was off for `recover_s`; between
the two thresholds neither is. Each switch is monotone in its signals, so that a link
that is never better than another is never judged better.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEVELS = (1, 2)


@dataclass(slots=True)
class Switch:
    """One level: on or off, and since when its signal has pointed either way."""

    on: bool = False
    on_since_ns: int | None = None
    off_since_ns: int | None = None

    def step(self, now_ns: int, signal: bool | None, hold_ns: tuple[int, int]) -> None:
        """Take in a signal: on, off or (None) neither, between the thresholds."""
        self.on_since_ns = _since(self.on_since_ns, signal is True, now_ns)
        self.off_since_ns = _since(self.off_since_ns, signal is False, now_ns)
        if _lasted(self.on_since_ns, now_ns, hold_ns[0]):
            self.on = True
        elif _lasted(self.off_since_ns, now_ns, hold_ns[1]):
            self.on = False


def _since(before_ns: int | None, now_so: bool, now_ns: int) -> int | None:
    if not now_so:
        return None
    return now_ns if before_ns is None else before_ns


def _lasted(since_ns: int | None, now_ns: int, hold_ns: int) -> bool:
    return since_ns is not None and now_ns - since_ns >= hold_ns


@dataclass(slots=True)
class Hysteresis:
    """The level of a link; the first signals, and those after a gap, count at once."""

    worsen_s: float
    recover_s: float
    switches: dict[int, Switch] = field(default_factory=dict)
    seen_ns: int | None = None

    def step(self, now_ns: int, signals: dict[int, bool | None]) -> int:
        """The level, 0 to 2, with the signal of each level now."""
        hold_ns = (int(self.worsen_s * 1e9), int(self.recover_s * 1e9))
        if self.seen_ns is None or now_ns - self.seen_ns > max(hold_ns):
            self.switches = {n: Switch(signals[n] is True) for n in LEVELS}
        self.seen_ns = now_ns
        for level, switch in self.switches.items():
            switch.step(now_ns, signals[level], hold_ns)
        return sum(switch.on for switch in self.switches.values())
