"""Pauses by the centre: which tasks are held back now, and until when.

A trusted wall clock decides about start and end. Without one, a pause holds from its
arrival for its own length, in boot time, and from the start of the agent again after a
restart. It ends earlier if the newest record is later than its end, because the true
time is never before that record. So a pause always releases itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qos_agent.agent.wall_estimate import WallEstimate
from qos_agent.config.remote.index import Pause
from qos_agent.model import Clock, Identity, Link


class CentrePauses:
    """The pauses of the newest index. Thread-safe: each call replaces whole values."""

    def __init__(
        self, identity: Identity, clock: Clock, last_record_ns: Callable[[], int | None]
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._last_record_ns = last_record_ns
        self._pauses: Sequence[tuple[Pause, int]] = ()
        self._known: dict[str, Pause] = {}

    def replace(self, pauses: Sequence[Pause]) -> None:
        """Use these pauses from now on; a pause that was there keeps its arrival."""
        arrived = dict(self._pauses)
        now_ns = self._clock.boot_ns()
        self._pauses = [
            (pause, arrived.get(pause, now_ns))
            for pause in pauses
            if pause.concerns(self._identity)
        ]

    def active(self) -> list[Pause]:
        """Return the pauses that hold tasks back now."""
        return [
            pause for pause, since_ns in self._pauses if self._holds(pause, since_ns)
        ]

    def is_paused(self, probe: str, link: Link | None) -> bool:
        """Return True if a task of the probe on the link must be skipped now."""
        operator = link.operator if link else None
        return any(
            probe in pause.probes
            and (not pause.operators or operator in pause.operators)
            for pause in self.active()
        )

    def changes(self) -> list[tuple[str, str]]:
        """Return kind (pause, resume) and detail of each change since the last call."""
        now = {pause.name: pause for pause in self.active()}
        begun = [
            ("pause", described(pause))
            for name, pause in now.items()
            if self._known.get(name) != pause
        ]
        ended = [("resume", f"centre: {n}") for n in self._known if n not in now]
        self._known = now
        return begun + ended

    def _holds(self, pause: Pause, since_ns: int) -> bool:
        state = self._clock.state()
        start_ns, end_ns = (
            int(t.timestamp()) * 10**9 for t in (pause.start, pause.end)
        )
        if state.trusted:
            return start_ns <= self._clock.wall_ns() < end_ns
        estimate = WallEstimate(self._clock, self._last_record_ns())
        is_over = estimate.last_record_ns is not None and estimate.now_ns() >= end_ns
        elapsed_s = (self._clock.boot_ns() - since_ns) / 1e9
        return not is_over and elapsed_s < pause.length_s


def described(pause: Pause) -> str:
    """Return the pause in one line, as events and the status show it."""
    where = ", ".join((*pause.operators, *pause.areas)) or "all"
    reason = f": {pause.reason}" if pause.reason else ""
    probes = ", ".join(pause.probes)
    end = f"{pause.end:%Y-%m-%d %H:%M:%S}Z"
    return f"centre: {pause.name}, {probes} of {where} until {end}{reason}"
