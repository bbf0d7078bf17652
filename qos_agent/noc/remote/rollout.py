"""The decision about a staged roll-out, from the heartbeats of both groups. Pure.

A station counts if it reported before the stage began. It is *worse* if it has become
silent, if the share of its slots that fail has grown by more than ten points, or if it
refused the configuration. The stations of the stage are compared with all others by
Fisher's exact test, one-sided: the probability that chance alone puts so many of the
worse stations into the stage. The others suffer from the same outages, so an outage of
an operator does not halt a roll-out.

The limit of 1e-4 is per look. With a look every five minutes for a day, a roll-out that
changes nothing is halted with a probability of at most 3 %, and less in fact, because
looks that follow each other see the same minutes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from qos_agent.noc.remote.devices import Slots

CHANCE = 1e-4
# Fewer points are no reason to halt, even if a large fleet shows them clearly.
MIN_DIFFERENCE = 0.01
_WORSE_SHARE = 0.10
STEPS = (1.0, 10.0, 50.0, 100.0)
# A share of the stage that must have the new content before the stage grows.
_ARRIVED = 0.9


class Decision(StrEnum):
    """The next action in a roll-out."""

    HALT = "halt"
    WAIT = "wait"
    ADVANCE = "advance"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Facts:
    """The heartbeats before and since the stage began, by station."""

    before: Mapping[str, Slots]
    since: Mapping[str, Slots]
    heard: frozenset[str]
    refused: frozenset[str]
    arrived: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts of both groups, and the probability of the difference by chance."""

    decision: Decision
    staged: int
    staged_worse: int
    others: int
    others_worse: int
    chance: float
    arrived: int

    def __str__(self) -> str:
        """Return one line."""
        return (
            f"{self.decision.value}: worse {self.staged_worse} of {self.staged} in the "
            f"stage ({self.arrived} with the new content), {self.others_worse} of "
            f"{self.others} others, chance {self.chance:.2g}"
        )


def decide(
    facts: Facts, in_stage: Callable[[str], bool], *, may_advance: bool
) -> Outcome:
    """Compare the stations of the stage with all others."""
    staged = {station for station in facts.before if in_stage(station)}
    others = facts.before.keys() - staged
    worse = {station for station in facts.before if is_worse(station, facts)}
    k, n = len(worse & staged), len(staged)
    k_others, n_others = len(worse & others), len(others)
    chance = fisher(k, n, k_others, n_others)
    arrived = len(facts.arrived & staged)
    difference = k / n - (k_others / n_others if n_others else 0.0) if n else 0.0
    if chance <= CHANCE and difference >= MIN_DIFFERENCE:
        decision = Decision.HALT
    elif may_advance and n and arrived >= _ARRIVED * n:
        decision = Decision.ADVANCE
    else:
        decision = Decision.WAIT
    return Outcome(decision, n, k, n_others, k_others, chance, arrived)


def is_worse(station: str, facts: Facts) -> bool:
    """Return True if a station works worse than before the stage."""
    if station not in facts.heard or station in facts.refused:
        return True
    since = facts.since.get(station)
    if since is None:
        return True
    grown = since.failed_share - facts.before[station].failed_share
    return grown > _WORSE_SHARE


def fisher(k: int, n: int, k_others: int, n_others: int) -> float:
    """Return the probability of at least k of n, if all have the same probability.

    The number of worse stations in both groups together is fixed: a hypergeometric
    distribution (R. A. Fisher, 1935).
    """
    total, worse = n + n_others, k + k_others
    last = min(n, worse)
    logs = [
        _log_choose(n, i) + _log_choose(n_others, worse - i) - _log_choose(total, worse)
        for i in range(k, last + 1)
        if worse - i <= n_others
    ]
    return min(1.0, math.fsum(map(math.exp, logs))) if logs else 1.0


def next_step(percent: float) -> float:
    """Return the share that follows a share."""
    return next((step for step in STEPS if step > percent), 100.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
