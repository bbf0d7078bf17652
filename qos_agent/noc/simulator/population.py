"""Simulated stations, spread over the country by population, each with its links.

The real places of polling stations are not part of this package. Stations are spread
over the regencies by population, which fits tests of size and nothing else. The
properties of links are drawn from published figures if there are any:

- Rates are log-normal with the spread of 10,000 4G tests of Swiftest (SIGCOMM '22):
  median 26.1 and mean 52.6 Mbit/s, so sigma = sqrt(2 ln(mean/median)) = 1.18. This
  gives a 90th percentile of 119; Swiftest has 110. The means are those of Opensignal
  for Indonesia's operators in December 2024: about 25 Mbit/s down and 10 up.
- Shares of operators: Telkomsel 46 %, Indosat 28 % (Weplan, October 2024). The shares
  of the others are assumed.
- Round-trip times and signal are assumed.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from qos_agent.config.places import Regency, regencies
from qos_agent.model import Identity
from qos_agent.noc.register.columns import COLUMNS
from qos_agent.noc.simulator.device import Device
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.simulator.verdicts import LinkJudge

RATE_SIGMA = math.sqrt(2 * math.log(52.6 / 26.1))
DOWN_MEAN_BPS = 25e6
UP_MEAN_BPS = 10e6
RTT_MEDIAN_MS = 45.0
RTT_SIGMA = 0.4
OPERATORS = (("telkomsel", 0.46), ("indosat", 0.28), ("xl", 0.16), ("smartfren", 0.10))


@dataclass(slots=True)
class SimulatedLink:
    """One link: its usual properties, and its judge."""

    name: str
    operator: str
    technology: str
    rtt_ms: float
    down_bps: float
    up_bps: float
    rsrp_dbm: float
    cell: int
    judge: LinkJudge = field(default_factory=LinkJudge)


@dataclass(slots=True)
class SimulatedStation:
    """One station with its device. `number` is unique in the nation."""

    number: int
    identity: Identity
    regency: Regency
    links: tuple[SimulatedLink, ...]
    device: Device

    @property
    def offset_ns(self) -> int:
        """Return the moment within a minute at which the station measures."""
        return self.number * 7919 % 59_000 * 1_000_000


def spread(total: int, chosen: list[Regency]) -> dict[str, int]:
    """Distribute stations over regencies by population (largest remainders)."""
    population = sum(regency.population for regency in chosen)
    shares = {r.code: total * r.population / population for r in chosen}
    counts = {code: int(share) for code, share in shares.items()}
    by_remainder = sorted(
        chosen, key=lambda r: (counts[r.code] - shares[r.code], r.code)
    )
    for regency in by_remainder[: total - sum(counts.values())]:
        counts[regency.code] += 1
    return counts


def nation(
    scenario: Scenario, part: tuple[int, int] = (1, 1)
) -> Iterator[SimulatedStation]:
    """Yield the stations of a scenario, regency by regency.

    The same seed gives the same stations. `part` (2, 3) is every third regency from the
    second on.
    """
    chosen = [
        regency
        for regency in regencies().values()
        if not scenario.provinces or regency.province in scenario.provinces
    ]
    number = 0
    for position, (code, count) in enumerate(spread(scenario.stations, chosen).items()):
        if position % part[1] != part[0] - 1:
            number += count
            continue
        rng = Random(f"{scenario.seed}/nation/{code}")  # noqa: S311
        for index in range(count):
            yield _station(scenario, regencies()[code], number, index, rng)
            number += 1


def _station(
    scenario: Scenario, regency: Regency, number: int, index: int, rng: Random
) -> SimulatedStation:
    # Twenty stations per village, as in the numbering of real stations.
    village = f"{regency.code}{index // 400 + 1:02}{index // 20 % 20 + 1001}"
    code = f"{village}{index % 1000:03}"
    identity = Identity(
        code, regency.province, regency.code, regency.time_zone, f"pi-{code}"
    )
    count = 2 if rng.random() < scenario.two_links else 1
    names = [name for name, _ in OPERATORS]
    first = rng.choices(names, [share for _, share in OPERATORS])[0]
    second = rng.choice([name for name in names if name != first])
    links = tuple(
        _link(name, operator, rng)
        for name, operator in (("main", first), ("backup", second))[:count]
    )
    return SimulatedStation(number, identity, regency, links, Device(number))


def _link(name: str, operator: str, rng: Random) -> SimulatedLink:
    # The mean of a log-normal is its median times exp(sigma^2 / 2).
    median_per_mean = math.exp(-(RATE_SIGMA**2) / 2)
    deviation = rng.gauss(0, RATE_SIGMA)
    return SimulatedLink(
        name,
        operator,
        technology="nr" if rng.random() < 0.03 else "lte",
        rtt_ms=RTT_MEDIAN_MS * math.exp(rng.gauss(0, RTT_SIGMA)),
        down_bps=max(64e3, DOWN_MEAN_BPS * median_per_mean * math.exp(deviation)),
        up_bps=max(64e3, UP_MEAN_BPS * median_per_mean * math.exp(deviation)),
        rsrp_dbm=rng.gauss(-97, 9),
        cell=rng.randrange(1, 2**28),  # E-UTRAN cell identity: 28 bits, 3GPP TS 36.413
    )


def write_register(path: Path, stations: Iterator[SimulatedStation]) -> int:
    """Write the stations as CSV for `noc register import`; return their number."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for station in stations:
            writer.writerow(_register_row(station))
            count += 1
    return count


def _register_row(station: SimulatedStation) -> dict[str, str]:
    regency = station.regency
    code = station.identity.station
    row = {
        "station": code,
        "name": f"TPS {int(code[-3:]):03} {regency.name}",
        "province": regency.province,
        "regency": regency.code,
        "district": regency.code + code[4:6],
        "village": regency.code + code[4:10],
        "latitude": f"{regency.latitude:.4f}",
        "longitude": f"{regency.longitude:.4f}",
        "contact": f"Petugas {code[-6:]}",
    }
    for index, link in enumerate(station.links, start=1):
        suffix = "" if index == 1 else f"_{index}"
        row[f"link{suffix}"] = link.name
        row[f"operator{suffix}"] = link.operator
        row[f"ticket{suffix}"] = f"noc@{link.operator}.example.id"
    return row
