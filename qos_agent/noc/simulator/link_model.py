"""The model of one link: round-trip times, loss, rates and signal of a step.

The load of a day has its minimum at 4:00 and its maximum at 20:00 local time, as mobile
traffic in general has. At polling stations there is a second peak when voting closes.
Bursts of loss and handovers are random. None of these shapes has a published source.
They give boards and roll-ups uneven data, and do not predict a network.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from random import Random

from qos_agent.model import Value
from qos_agent.model.schema import PDV_BOUNDS_MS, RTT_BOUNDS_MS
from qos_agent.noc.simulator.faults import Effect
from qos_agent.noc.simulator.population import SimulatedLink

TRAIN = 20
BURST_SHARE = 0.004
HANDOVER_SHARE = 0.01
_TARGET_SHARE = {"gateway": 0.45, "resolver": 0.8, "anchor": 1.0}
_RTT_FIELDS = tuple((f"rtt_le_{bound}", bound * 1000) for bound in RTT_BOUNDS_MS)
_PDV_FIELDS = tuple((f"pdv_le_{bound}", bound * 1000) for bound in PDV_BOUNDS_MS)


@dataclass(frozen=True, slots=True)
class LinkStep:
    """The state of one link in one step. Load 1 is a quiet cell."""

    load: float
    lost_in_burst: int
    handover: bool
    dead: str | None
    searching: bool = False


def draw_step(usual_load: float, effect: Effect, rng: Random) -> LinkStep:
    """Draw the state of a link. `usual_load` comes from `day_load`."""
    burst = rng.randint(1, 10) if rng.random() < BURST_SHARE else 0
    handover = rng.random() < HANDOVER_SHARE
    return LinkStep(
        usual_load * effect.load, burst, handover, effect.dead, effect.searching
    )


def day_load(hour: float) -> float:
    """Return the usual load: 1 at its minimum, about 1.8 in the evening."""
    evening = 0.4 * (1 - math.cos((hour - 4) / 24 * 2 * math.pi))
    closing = 0.3 * math.exp(-(((hour - 13) / 1.0) ** 2))
    return 1 + evening + closing


def train(
    link: SimulatedLink, state: LinkStep, target: str, rng: Random
) -> dict[str, Value]:
    """Return the fields of a train of probes to a target."""
    if state.dead:
        return {"sent": TRAIN, "received": 0, "lost": TRAIN, "duplicates": 0, "late": 0}
    loss_share, draw = 0.0005 * state.load**2, rng.random
    lost = sum([draw() < loss_share for _ in range(TRAIN)])
    lost = min(TRAIN, lost + state.lost_in_burst)
    base_us = 1000 * link.rtt_ms * _TARGET_SHARE[target] * math.sqrt(state.load)
    exp, gauss, width = math.exp, rng.gauss, 0.12 * state.load
    round_trips = sorted(
        [round(base_us * exp(abs(gauss(0, width)))) for _ in range(TRAIN - lost)]
    )
    if state.handover:
        round_trips[-2:] = [trip + 250_000 for trip in round_trips[-2:]]
    fields: dict[str, Value] = {
        "sent": TRAIN,
        "received": len(round_trips),
        "lost": lost,
        "duplicates": 0,
        "late": 0,
    }
    return fields | _delays(round_trips) if round_trips else fields


def _delays(round_trips_us: list[int]) -> dict[str, Value]:
    shortest, count, total = round_trips_us[0], len(round_trips_us), sum(round_trips_us)
    p95 = round_trips_us[math.ceil(0.95 * count) - 1]
    fields: dict[str, Value] = {
        "rtt_sum_us": total,
        "rtt_min_ms": shortest / 1000,
        "rtt_mean_ms": total / count / 1000,
        "rtt_p50_ms": round_trips_us[(count - 1) // 2] / 1000,
        "rtt_p95_ms": p95 / 1000,
        "rtt_max_ms": round_trips_us[-1] / 1000,
        "pdv_p95_ms": (p95 - shortest) / 1000,
    }
    for name, bound in _RTT_FIELDS:
        fields[name] = bisect_right(round_trips_us, bound)
    for name, bound in _PDV_FIELDS:
        fields[name] = bisect_right(round_trips_us, shortest + bound)
    return fields


def rate_bps(
    link: SimulatedLink, state: LinkStep, direction: str, rng: Random
) -> float:
    """Return the rate of a throughput test: the link's rate divided by the load."""
    link_bps = link.down_bps if direction == "down" else link.up_bps
    return max(16e3, link_bps / state.load * math.exp(rng.gauss(0, 0.3)))


def signal(link: SimulatedLink, state: LinkStep, rng: Random) -> dict[str, Value]:
    """Return the fields of a signal reading.

    A loaded cell transmits on all subcarriers, so RSRQ and SINR fall while RSRP stays.
    """
    if state.searching:
        return {"registration": "searching", "reader": "mmcli"}
    if state.handover:
        link.cell = rng.randrange(1, 2**28)
    rsrp = link.rsrp_dbm + rng.gauss(0, 3)
    load_db = 10 * math.log10(state.load)
    levels = {
        "rsrp": ("dbm", max(-140.0, min(-44.0, rsrp))),
        "rsrq": ("db", max(-19.5, min(-3.0, -8.0 - load_db + rng.gauss(0, 1)))),
        "sinr": ("db", max(-20.0, min(30.0, 0.6 * (rsrp + 112) - 1.5 * load_db))),
    }
    fields: dict[str, Value] = {
        "registration": "home",
        "reader": "mmcli",
        "cell": f"{link.cell:07x}",
        "rsrp_weak": int(rsrp < -110),
    }
    for name, (unit, level) in levels.items():
        fields[f"{name}_{unit}"] = fields[f"{name}_sum_{unit}"] = round(level, 1)
        fields[f"{name}_samples"] = 1
    return fields
