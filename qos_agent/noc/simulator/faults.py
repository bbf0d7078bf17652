"""What each kind of trouble does to a station or a link, and whom it hits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from qos_agent.noc.simulator.device import Condition
from qos_agent.noc.simulator.population import SimulatedLink, SimulatedStation
from qos_agent.noc.simulator.scenario import Scenario, Trouble


@dataclass(frozen=True, slots=True)
class Effect:
    """What troubles do together to one link in one minute.

    `dead` is the cause of failure. `searching`: the radio has no network either, which
    is an incident's second sign.
    """

    load: float = 1.0
    dead: str | None = None
    searching: bool = False


_USUAL = Effect()
_CUTS = ("cut_off", "backlog")
_STOPS = ("power_cut", "never")


class Troubles:
    """The troubles of a scenario and the stations that each one hits."""

    def __init__(
        self, scenario: Scenario, stations: Sequence[SimulatedStation]
    ) -> None:
        self._of: dict[int, tuple[Trouble, ...]] = {}
        self.hit: list[list[SimulatedStation]] = []
        for index, trouble in enumerate(scenario.trouble):
            hit = list(_hit(scenario, index, trouble, stations))
            self.hit.append(hit)
            for station in hit:
                before = self._of.get(station.number, ())
                self._of[station.number] = (*before, trouble)

    def condition(self, station: SimulatedStation, minute: int) -> Condition:
        """What a station can do in a minute."""
        if station.number not in self._of:
            return Condition(minute)
        now = list(self._now(station, minute))
        late = [int(t.amount) for t in now if t.kind == "slow_uplink"]
        ends = [t.end for t in now if t.kind in _CUTS]
        errors = [t.amount for t in now if t.kind == "wrong_clock"]
        lefts = [_left(t, minute) for t in now if t.kind == "allowance"]
        return Condition(
            max([minute, *ends, *(minute + wait for wait in late)]),
            measures=not any(t.kind in _STOPS for t in now),
            clock_error_s=errors[0] if errors else 0.0,
            allowance_share=min(lefts, default=None),
        )

    def effect(
        self, station: SimulatedStation, link: SimulatedLink, minute: int
    ) -> Effect:
        """What a link gives in a minute."""
        load, dead = 1.0, None
        for trouble in self._now(station, minute):
            if trouble.operator not in {None, link.operator}:
                continue
            if trouble.kind == "overload":
                load *= trouble.amount
            elif trouble.kind == "core_failure":
                dead = "timeout"
            elif trouble.kind == "cut_off":
                dead = "unreachable"
        return Effect(load, dead, bool(dead)) if load > 1 or dead else _USUAL

    def ended(self, station: SimulatedStation, minute: int) -> Trouble | None:
        """The power cut that a station has come back from in this very minute."""
        mine = self._of.get(station.number, ())
        ended = (t for t in mine if t.kind == "power_cut" and t.end == minute)
        return next(ended, None)

    def _now(self, station: SimulatedStation, minute: int) -> Iterator[Trouble]:
        mine = self._of.get(station.number)
        return (t for t in mine if t.holds_at(minute)) if mine else iter(())


def _left(trouble: Trouble, minute: int) -> float:
    """What is left of the allowance: all gone when the trouble ends."""
    to_go = (trouble.end - minute) / (trouble.end - trouble.first)
    return trouble.amount / 100 * to_go


def _hit(
    scenario: Scenario,
    index: int,
    trouble: Trouble,
    stations: Sequence[SimulatedStation],
) -> Iterator[SimulatedStation]:
    """Drawn regency by regency, so that a part of the nation draws as the whole."""
    rng, place = Random(), ""  # noqa: S311  reproducible, not secret
    for station in stations:
        if station.regency.code != place:
            place = station.regency.code
            rng = Random(f"{scenario.seed}/trouble/{index}/{place}")  # noqa: S311
        if _may_hit(trouble, station) and rng.random() < trouble.share:
            yield station


def _may_hit(trouble: Trouble, station: SimulatedStation) -> bool:
    place, links = station.regency, station.links
    return (
        trouble.province in {None, place.province}
        and trouble.regency in {None, place.code}
        and (
            trouble.operator is None
            or any(link.operator == trouble.operator for link in links)
        )
    )


def answer_key(
    scenario: Scenario, troubles: Troubles, start_s: int
) -> list[dict[str, object]]:
    """What was planted: kind, when, where, and which stations, for tests to read.

    A trouble that would begin after the last minute is no event.
    """
    return [
        {
            "kind": trouble.kind,
            "from": start_s + 60 * trouble.first,
            "to": start_s + 60 * min(trouble.end, scenario.minutes),
            "province": trouble.province,
            "regency": trouble.regency,
            "operator": trouble.operator,
            "amount": trouble.amount,
            "stations": [station.identity.station for station in hit],
        }
        for trouble, hit in zip(scenario.trouble, troubles.hit, strict=True)
        if trouble.first < scenario.minutes
    ]
