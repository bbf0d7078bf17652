"""Capacity of a link that follows a trace: what the relay logged, and made-up traces.

The traces are small and the same at each call, so that tests need no recorded ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.shape import TRACE_OPPORTUNITY_BYTES

LOG_S = 0.01


@dataclass(frozen=True, slots=True)
class Logged:
    """Ten milliseconds of a link: its start, bytes offered, bytes that left."""

    at_s: float
    offered_bytes: int
    carried_bytes: int


@dataclass(frozen=True, slots=True)
class CapacityLog:
    """The log of one direction; times are those of CLOCK_MONOTONIC."""

    lines: tuple[Logged, ...]

    def offered_bytes(self, from_s: float, until_s: float) -> float:
        """Return the bytes offered in a span; lines at its ends count in part."""
        return sum(
            line.offered_bytes * _overlap(line.at_s, from_s, until_s)
            for line in self.lines
        )

    def carried_bytes(self) -> int:
        """Return all bytes that left."""
        return sum(line.carried_bytes for line in self.lines)


def _overlap(at_s: float, from_s: float, until_s: float) -> float:
    inside_s = min(at_s + LOG_S, until_s) - max(at_s, from_s)
    return min(1.0, max(0.0, inside_s / LOG_S))


def read_log(path: Path) -> CapacityLog:
    """Read the log of a relay; its last line may be incomplete."""
    rows = (line.split() for line in path.read_text().rpartition("\n")[0].split("\n"))
    return CapacityLog(
        tuple(Logged(int(r[0]) / 1e9, int(r[1]), int(r[2])) for r in rows if r)
    )


def moments(rates_mbps: Iterable[float], step_ms: int = 100) -> tuple[int, ...]:
    """Return the trace of a link that has each of these rates for `step_ms`."""
    pending_bytes, at_ms, found = 0.0, 0, []
    for rate_mbps in rates_mbps:
        for _ in range(step_ms):
            at_ms += 1
            pending_bytes += rate_mbps * 125
            while pending_bytes >= TRACE_OPPORTUNITY_BYTES:
                pending_bytes -= TRACE_OPPORTUNITY_BYTES
                found.append(at_ms)
    # The last opportunity sets the length of the trace.
    return (*found, at_ms)


def markov_modulated(
    states_mbps: tuple[float, ...] = (1.0, 4.0, 12.0),
    *,
    seconds: float = 60,
    stay: float = 0.9,
    seed: int = 1,
) -> tuple[int, ...]:
    """Return a trace whose rate jumps between states, at most every 100 ms."""
    source, state, rates = random.Random(seed), states_mbps[0], []
    for _ in range(round(seconds * 10)):
        if source.random() > stay:
            state = source.choice(states_mbps)
        rates.append(state)
    return moments(rates)


def with_outages(
    rate_mbps: float = 5.0, *, every_s: float = 3, length_s: float = 1.5, laps: int = 5
) -> tuple[int, ...]:
    """Return a trace that stops for `length_s` after each `every_s`."""
    lap = [rate_mbps] * round(every_s * 10) + [0.0] * round(length_s * 10)
    return moments(lap * laps)


def with_handovers(
    cells_mbps: tuple[float, ...] = (2.0, 15.0, 5.0),
    *,
    stay_s: float = 2,
    gap_s: float = 0.3,
) -> tuple[int, ...]:
    """Return a trace that changes its rate in steps, each behind a short gap."""
    rates: list[float] = []
    for rate_mbps in cells_mbps:
        rates += [rate_mbps] * round(stay_s * 10) + [0.0] * round(gap_s * 10)
    return moments(rates)
