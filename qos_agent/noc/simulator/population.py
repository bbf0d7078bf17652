"""Stations over the country, by population, each with its links.

Where polling stations really stand is not part of this package: they are spread over
the regencies by population, which is good for sizes and for nothing else. What links
give is drawn from published figures where there are any:

- rates: log-normal with the spread of 10,000 4G tests of Swiftest (SIGCOMM '22):
  median 26.1, mean 52.6 Mbit/s, so sigma = sqrt(2 ln(mean/median)) = 1.18 (this
  gives a 90th percentile of 119; theirs is 110), and with the means that Opensignal
  gave for Indonesia's operators in December 2024: some 25 Mbit/s down, 10 up;
- shares of operators: Telkomsel 46 %, Indosat 28 % (Weplan, October 2024); how the
  rest is shared is chosen here;
- round trips and signal: chosen here, without a source.
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
from qos_agent.noc.register.rows import COLUMNS
from qos_agent.noc.simulator.device import Device
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.simulator.verdicts import Judgement

RATE_SIGMA = math.sqrt(2 * math.log(52.6 / 26.1))
DOWN_MEAN_BPS = 25e6
UP_MEAN_BPS = 10e6
RTT_MEDIAN_MS = 45.0
RTT_SIGMA = 0.4
OPERATORS = (("telkomsel", 0.46), ("indosat", 0.28), ("xl", 0.16), ("smartfren", 0.10))


@dataclass(slots=True)
class SimulatedLink:
    """One way out, what it usually gives, and how it was judged last."""

    name: str
    operator: str
    technology: str
    rtt_ms: float
    down_bps: float
    up_bps: float
    rsrp_dbm: float
    cell: int
    judgement: Judgement = field(default_factory=Judgement)


@dataclass(slots=True)
class SimulatedStation:
    """One station with its device. `number` counts within the nation."""

    number: int
    identity: Identity
    regency: Regency
    links: tuple[SimulatedLink, ...]
    device: Device

    @property
    def offset_ns(self) -> int:
        """When in a minute it measures: a fixed moment, spread over the minute."""
        return self.number * 7919 % 59_000 * 1_000_000


def spread(total: int, among: list[Regency]) -> dict[str, int]:
    """Stations by regency in proportion to population, by largest remainders."""
    people = sum(regency.population for regency in among)
    shares = {r.code: total * r.population / people for r in among}
    counts = {code: int(share) for code, share in shares.items()}
    by_rest = sorted(among, key=lambda r: (counts[r.code] - shares[r.code], r.code))
    for regency in by_rest[: total - sum(counts.values())]:
        counts[regency.code] += 1
    return counts


def nation(
    scenario: Scenario, part: tuple[int, int] = (1, 1)
) -> Iterator[SimulatedStation]:
    """The stations of a scenario, regency by regency, the same for the same seed.

    `part` (2, 3) is every third regency from the second on.
    """
    among = [
        regency
        for regency in regencies().values()
        if not scenario.provinces or regency.province in scenario.provinces
    ]
    number = 0
    for place, (code, count) in enumerate(spread(scenario.stations, among).items()):
        if place % part[1] != part[0] - 1:
            number += count
            continue
        rng = Random(f"{scenario.seed}/nation/{code}")  # noqa: S311
        for index in range(count):
            yield _station(scenario, regencies()[code], number, index, rng)
            number += 1


def _station(
    scenario: Scenario, regency: Regency, number: int, index: int, rng: Random
) -> SimulatedStation:
    # Twenty stations a village, as the numbers of real ones run.
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
    median = math.exp(-(RATE_SIGMA**2) / 2)
    spread_of = rng.gauss(0, RATE_SIGMA)
    return SimulatedLink(
        name,
        operator,
        "nr" if rng.random() < 0.03 else "lte",
        RTT_MEDIAN_MS * math.exp(rng.gauss(0, RTT_SIGMA)),
        max(64e3, DOWN_MEAN_BPS * median * math.exp(spread_of)),
        max(64e3, UP_MEAN_BPS * median * math.exp(spread_of)),
        rng.gauss(-97, 9),
        rng.randrange(1, 2**28),  # E-UTRAN cell identity: 28 bits, 3GPP TS 36.413
    )


def write_register(path: Path, stations: Iterator[SimulatedStation]) -> int:
    """The stations as a CSV for `noc register import`; how many."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for station in stations:
            writer.writerow(_register_row(station))
            count += 1
    return count


def _register_row(station: SimulatedStation) -> dict[str, str]:
    place = station.regency
    code = station.identity.station
    row = {
        "station": code,
        "name": f"TPS {int(code[-3:]):03} {place.name}",
        "province": place.province,
        "regency": place.code,
        "district": place.code + code[4:6],
        "village": place.code + code[4:10],
        "latitude": f"{place.latitude:.4f}",
        "longitude": f"{place.longitude:.4f}",
        "contact": f"Petugas {code[-6:]}",
    }
    for index, link in enumerate(station.links, start=1):
        suffix = "" if index == 1 else f"_{index}"
        row[f"link{suffix}"] = link.name
        row[f"operator{suffix}"] = link.operator
        row[f"ticket{suffix}"] = f"noc@{link.operator}.example.id"
    return row
