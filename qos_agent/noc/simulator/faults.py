"""Injected faults: the stations that they affect, and their effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from qos_agent.noc.simulator.device import Condition
from qos_agent.noc.simulator.population import SimulatedLink, SimulatedStation
from qos_agent.noc.simulator.scenario import InjectedFault, Scenario


@dataclass(frozen=True, slots=True)
class Effect:
    """The combined effect of faults on one link in one minute.

    `dead` is the cause with which measurements fail. `searching` means that the modem
    has no network, which is the second sign of an incident.
    """

    load: float = 1.0
    dead: str | None = None
    searching: bool = False


_NO_EFFECT = Effect()
_UPLINK_FAULTS = ("cut_off", "backlog")
_DEVICE_FAULTS = ("power_cut", "never")


class FaultInjection:
    """The faults of a scenario, and the stations that each one affects."""

    def __init__(
        self, scenario: Scenario, stations: Sequence[SimulatedStation]
    ) -> None:
        self._by_station: dict[int, tuple[InjectedFault, ...]] = {}
        self.affected: list[list[SimulatedStation]] = []
        for index, fault in enumerate(scenario.fault):
            affected = list(_affected(scenario, index, fault, stations))
            self.affected.append(affected)
            for station in affected:
                earlier = self._by_station.get(station.number, ())
                self._by_station[station.number] = (*earlier, fault)

    def condition(self, station: SimulatedStation, minute: int) -> Condition:
        """Return the condition of a station in a minute."""
        if station.number not in self._by_station:
            return Condition(minute)
        active = list(self._active(station, minute))
        delays = [int(f.amount) for f in active if f.kind == "slow_uplink"]
        ends = [f.end for f in active if f.kind in _UPLINK_FAULTS]
        errors = [f.amount for f in active if f.kind == "wrong_clock"]
        shares = [_left_share(f, minute) for f in active if f.kind == "allowance"]
        return Condition(
            max([minute, *ends, *(minute + delay for delay in delays)]),
            measures=not any(f.kind in _DEVICE_FAULTS for f in active),
            clock_error_s=errors[0] if errors else 0.0,
            allowance_share=min(shares, default=None),
        )

    def effect(
        self, station: SimulatedStation, link: SimulatedLink, minute: int
    ) -> Effect:
        """Return the effect of faults on a link in a minute."""
        load, dead = 1.0, None
        for fault in self._active(station, minute):
            if fault.operator not in {None, link.operator}:
                continue
            if fault.kind == "overload":
                load *= fault.amount
            elif fault.kind == "core_failure":
                dead = "timeout"
            elif fault.kind == "cut_off":
                dead = "unreachable"
        return Effect(load, dead, bool(dead)) if load > 1 or dead else _NO_EFFECT

    def ended(self, station: SimulatedStation, minute: int) -> InjectedFault | None:
        """Return the power cut of a station that ends in this minute."""
        faults = self._by_station.get(station.number, ())
        ended = (f for f in faults if f.kind == "power_cut" and f.end == minute)
        return next(ended, None)

    def _active(
        self, station: SimulatedStation, minute: int
    ) -> Iterator[InjectedFault]:
        faults = self._by_station.get(station.number, ())
        return (fault for fault in faults if fault.is_active(minute))


def _left_share(fault: InjectedFault, minute: int) -> float:
    """Return the share of the allowance that is left; it is 0 when the fault ends."""
    remaining = (fault.end - minute) / (fault.end - fault.first)
    return fault.amount / 100 * remaining


def _affected(
    scenario: Scenario,
    index: int,
    fault: InjectedFault,
    stations: Sequence[SimulatedStation],
) -> Iterator[SimulatedStation]:
    """Draw the affected stations.

    Each regency has its own seed, so that a part of the nation draws the same stations
    as the whole.
    """
    rng, code = Random(), ""  # noqa: S311  reproducible, not secret
    for station in stations:
        if station.regency.code != code:
            code = station.regency.code
            # "trouble" keeps the draws of earlier versions.
            rng = Random(f"{scenario.seed}/trouble/{index}/{code}")  # noqa: S311
        if _matches(fault, station) and rng.random() < fault.share:
            yield station


def _matches(fault: InjectedFault, station: SimulatedStation) -> bool:
    regency, links = station.regency, station.links
    return (
        fault.province in {None, regency.province}
        and fault.regency in {None, regency.code}
        and (
            fault.operator is None
            or any(link.operator == fault.operator for link in links)
        )
    )


def answer_key(
    scenario: Scenario, faults: FaultInjection, start_s: int
) -> list[dict[str, object]]:
    """Return the injected faults with their affected stations, for tests to read.

    A fault that would begin after the last minute is left out.
    """
    return [
        {
            "kind": fault.kind,
            "from": start_s + 60 * fault.first,
            "to": start_s + 60 * min(fault.end, scenario.minutes),
            "province": fault.province,
            "regency": fault.regency,
            "operator": fault.operator,
            "amount": fault.amount,
            "stations": [station.identity.station for station in affected],
        }
        for fault, affected in zip(scenario.fault, faults.affected, strict=True)
        if fault.first < scenario.minutes
    ]
