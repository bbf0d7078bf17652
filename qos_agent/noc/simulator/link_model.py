"""What one link gives in one minute: round trips, losses, rates, pages, signal.

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
class Minute:
    """What one link is like in one minute; load 1 is a quiet cell."""

    load: float
    lost_in_burst: int
    handover: bool
    dead: str | None
    searching: bool = False


def minute_of(usual_load: float, effect: Effect, rng: Random) -> Minute:
    """Draw a minute. `usual_load` is the hour's, see `day_load`."""
    burst = rng.randint(1, 10) if rng.random() < BURST_SHARE else 0
    handover = rng.random() < HANDOVER_SHARE
    return Minute(
        usual_load * effect.load, burst, handover, effect.dead, effect.searching
    )


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
    loss, draw = 0.0005 * now.load**2, rng.random
    lost = sum([draw() < loss for _ in range(TRAIN)])
    lost = min(TRAIN, lost + now.lost_in_burst)
    base_us = 1000 * link.rtt_ms * _TARGET_SHARE[target] * math.sqrt(now.load)
    exp, gauss, width = math.exp, rng.gauss, 0.12 * now.load
    trips = sorted(
        [round(base_us * exp(abs(gauss(0, width)))) for _ in range(TRAIN - lost)]
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
    least, count, total = trips_us[0], len(trips_us), sum(trips_us)
    late = trips_us[math.ceil(0.95 * count) - 1]
    fields: dict[str, Value] = {
        "rtt_sum_us": total,
        "rtt_min_ms": least / 1000,
        "rtt_mean_ms": total / count / 1000,
        "rtt_p50_ms": trips_us[(count - 1) // 2] / 1000,
        "rtt_p95_ms": late / 1000,
        "rtt_max_ms": trips_us[-1] / 1000,
        "pdv_p95_ms": (late - least) / 1000,
    }
    for name, bound in _RTT_FIELDS:
        fields[name] = bisect_right(trips_us, bound)
    for name, bound in _PDV_FIELDS:
        fields[name] = bisect_right(trips_us, least + bound)
    return fields


def rate_bps(link: SimulatedLink, now: Minute, direction: str, rng: Random) -> float:
    """The rate of a throughput test: the link's own, shared with the cell's others."""
    own = link.down_bps if direction == "down" else link.up_bps
    return max(16e3, own / now.load * math.exp(rng.gauss(0, 0.3)))


def signal(link: SimulatedLink, now: Minute, rng: Random) -> dict[str, Value]:
    """What the modem tells. A loaded cell's quality falls with what it transmits.

    A full cell radiates on all subcarriers: RSRQ and SINR fall, RSRP does not.
    """
    if now.searching:
        return {"registration": "searching", "reader": "mmcli"}
    if now.handover:
        link.cell = rng.randrange(1, 2**28)
    rsrp = link.rsrp_dbm + rng.gauss(0, 3)
    crowd_db = 10 * math.log10(now.load)
    levels = {
        "rsrp": ("dbm", max(-140.0, min(-44.0, rsrp))),
        "rsrq": ("db", max(-19.5, min(-3.0, -8.0 - crowd_db + rng.gauss(0, 1)))),
        "sinr": ("db", max(-20.0, min(30.0, 0.6 * (rsrp + 112) - 1.5 * crowd_db))),
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
