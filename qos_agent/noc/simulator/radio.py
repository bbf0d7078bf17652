"""What one link gives in one minute: round trips, losses, rates, pages, uploads.

The day has the shape of mobile traffic in general: least at 4, most at 20 local time,
and at polling stations a second hill as they close. Bursts of loss and handovers come
at random. None of these shapes has a published source; they are here so that boards
and sums see what is uneven, not to predict a network.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from random import Random

from qos_agent.model import Value
from qos_agent.noc.simulator.population import SimulatedLink
from qos_agent.noc.simulator.troubles import Effect
from qos_agent.schema import PDV_BOUNDS_MS, RTT_BOUNDS_MS

TRAIN = 20
BURST_SHARE = 0.004
HANDOVER_SHARE = 0.01
_TARGET_SHARE = {"gateway": 0.45, "resolver": 0.8, "anchor": 1.0}


@dataclass(frozen=True, slots=True)
class Minute:
    """What one link is like in one minute; load 1 is a quiet cell."""

    load: float
    lost_in_burst: int
    handover: bool
    dead: str | None


def minute_of(hour: float, effect: Effect, rng: Random) -> Minute:
    """Draw a minute. `hour` is local time, 0 to 24."""
    burst = rng.randint(1, 10) if rng.random() < BURST_SHARE else 0
    handover = rng.random() < HANDOVER_SHARE
    return Minute(day_load(hour) * effect.load, burst, handover, effect.dead)


def day_load(hour: float) -> float:
    """The load of the usual day: 1 at its least, about 1.8 in the evening."""
    evening = 0.4 * (1 - math.cos((hour - 4) / 24 * 2 * math.pi))
    closing = 0.3 * math.exp(-(((hour - 13) / 1.0) ** 2))
    return 1 + evening + closing


def train(
    link: SimulatedLink, now: Minute, target: str, rng: Random
) -> dict[str, Value]:
    """The fields of a train of probes to a target."""
    if now.dead:
        return {"sent": TRAIN, "received": 0, "lost": TRAIN, "duplicates": 0, "late": 0}
    loss = 0.0005 * now.load**2
    lost = min(TRAIN, sum(rng.random() < loss for _ in range(TRAIN)))
    lost = min(TRAIN, lost + now.lost_in_burst)
    base_us = 1000 * link.rtt_ms * _TARGET_SHARE[target] * math.sqrt(now.load)
    trips = sorted(
        round(base_us * math.exp(abs(rng.gauss(0, 0.12)) * now.load))
        for _ in range(TRAIN - lost)
    )
    if now.handover:
        trips[-2:] = [trip + 250_000 for trip in trips[-2:]]
    fields: dict[str, Value] = {
        "sent": TRAIN,
        "received": len(trips),
        "lost": lost,
        "duplicates": 0,
        "late": 0,
    }
    return fields | _delays(trips) if trips else fields


def _delays(trips_us: list[int]) -> dict[str, Value]:
    least, count = trips_us[0], len(trips_us)
    fields: dict[str, Value] = {
        "rtt_sum_us": sum(trips_us),
        "rtt_min_ms": least / 1000,
        "rtt_p50_ms": trips_us[(count - 1) // 2] / 1000,
        "rtt_p95_ms": trips_us[math.ceil(0.95 * count) - 1] / 1000,
        "rtt_max_ms": trips_us[-1] / 1000,
    }
    for bound in RTT_BOUNDS_MS:
        fields[f"rtt_le_{bound}"] = _at_most(trips_us, bound * 1000)
    for bound in PDV_BOUNDS_MS:
        fields[f"pdv_le_{bound}"] = _at_most(trips_us, least + bound * 1000)
    return fields


def _at_most(ordered: list[int], bound: int) -> int:
    return bisect_right(ordered, bound)


def rate_bps(link: SimulatedLink, now: Minute, direction: str, rng: Random) -> float:
    """The rate of a throughput test: the link's own, shared with the cell's others."""
    own = link.down_bps if direction == "down" else link.up_bps
    return max(16e3, own / now.load * math.exp(rng.gauss(0, 0.3)))


def judge(trains: list[dict[str, Value]]) -> tuple[str, dict[str, Value]]:
    """A class and what decided it, for the simulated verdict; the agent's is its own.

    Loss of 30 % or a median of 400 ms is bad, 10 % or 150 ms is degraded.
    """
    worst_loss = max((int(t["lost"]) / TRAIN for t in trains), default=None)
    if worst_loss is None:
        return "unknown", {}
    worst_ms = max(float(t.get("rtt_p50_ms", 0)) for t in trains)
    for name, loss, rtt_ms in (("bad", 0.3, 400.0), ("degraded", 0.1, 150.0)):
        if worst_loss >= loss:
            return name, {"kpi": "loss", "value": worst_loss, "threshold": loss}
        if worst_ms >= rtt_ms:
            return name, {"kpi": "rtt_p50", "value": worst_ms, "threshold": rtt_ms}
    return "good", {}
