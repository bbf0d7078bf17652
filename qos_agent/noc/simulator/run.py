"""Minute by minute: measure at every station, keep back what cannot be delivered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

from qos_agent.election import Calendar, named
from qos_agent.journal.stamping import Stamp, Stamper
from qos_agent.line_protocol import encode, points
from qos_agent.model import Identity, Outcome, Phase, Reading
from qos_agent.noc.simulator import readings
from qos_agent.noc.simulator.population import SimulatedStation, nation
from qos_agent.noc.simulator.radio import minute_of
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.simulator.troubles import Troubles, answer_key
from qos_agent.profiles import ScheduleSection

_MINUTE_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Batch:
    """What arrives at the collectors in one minute, by province."""

    minute: int
    ends_ns: int
    lines: dict[str, list[bytes]]

    @property
    def count(self) -> int:
        """Points in it."""
        return sum(map(len, self.lines.values()))


class Nation:
    """A scenario under way."""

    def __init__(self, scenario: Scenario, now: datetime) -> None:
        self.scenario = scenario
        self.start_ns = int(scenario.begins(now).timestamp()) * 10**9
        self.stations = list(nation(scenario))
        self.troubles = Troubles(scenario, self.stations)
        self._phase_at = _phases(named(scenario.calendar))
        self._schedule = ScheduleSection()
        self._waiting: dict[int, dict[str, list[bytes]]] = defaultdict(_by_province)

    def answer_key(self) -> list[dict[str, object]]:
        """What was planted."""
        start_s = self.start_ns // 10**9
        return answer_key(self.scenario, self.troubles, start_s)

    def run(self) -> Iterator[Batch]:
        """Each minute's arrivals; what is late beyond the end comes with the last."""
        last = self.scenario.minutes - 1
        for minute in range(self.scenario.minutes):
            self._measure(minute)
            lines = self._waiting.pop(minute, {})
            yield Batch(minute, self.start_ns + (minute + 1) * _MINUTE_NS, lines)
        rest = _by_province()
        for late in sorted(self._waiting):
            for province, late_lines in self._waiting[late].items():
                rest[province] += late_lines
        if rest:
            ends_ns = self.start_ns + (last + 2) * _MINUTE_NS
            yield Batch(last + 1, ends_ns, rest)

    def _measure(self, minute: int) -> None:
        rng, place = Random(), ""  # noqa: S311  reproducible, not secret
        for station in self.stations:
            if station.regency.code != place:
                place = station.regency.code
                rng = Random(f"{self.scenario.seed}/{minute}/{place}")  # noqa: S311
            self._measure_station(station, minute, rng)

    def _measure_station(
        self, station: SimulatedStation, minute: int, rng: Random
    ) -> None:
        condition = self.troubles.condition(station, minute)
        if not condition.measures:
            return
        wall_ns = self.start_ns + minute * _MINUTE_NS + station.offset_ns
        wall_ns += int(condition.clock_error_s * 1e9)
        stamp = Stamp(wall_ns, not condition.clock_error_s, 1.0)
        lines = self._lines(station, self._readings(station, minute, rng), stamp)
        province = station.identity.province
        self._waiting[condition.delivered_at][province] += lines
        if self.scenario.duplicates:
            share = self.scenario.duplicates
            twice = [line for line in lines if rng.random() < share]
            self._waiting[condition.delivered_at + 1][province] += twice

    def _readings(
        self, station: SimulatedStation, minute: int, rng: Random
    ) -> list[Reading]:
        """In order of time; each minute's boot time is the offset from its stamp."""
        wall_ns = self.start_ns + minute * _MINUTE_NS
        phase = self._phase_at(station.identity, wall_ns)
        hour = _hour(wall_ns // 10**9, station.identity.time_zone)
        profile = self._schedule.profile(phase)
        moment = readings.Moment(minute, hour, 0, profile, self.scenario.targets)
        found: list[Reading] = []
        cut = self.troubles.ended(station, minute)
        for link in station.links:
            if cut is not None:
                missed = cut.end - cut.first
                found += readings.not_running(link, moment, missed)
            effect = self.troubles.effect(station, link, minute)
            now = minute_of(hour, effect, rng)
            found += readings.of_link(station, link, moment, now, rng)
        failed = sum(reading.outcome is Outcome.FAILED for reading in found)
        found += readings.of_station(station, moment, len(found), failed)
        return found

    def _lines(
        self, station: SimulatedStation, found: Iterable[Reading], stamp: Stamp
    ) -> list[bytes]:
        """Through the agent's own path: points, provenance, canonical lines."""

        def phase_at(wall_ns: int) -> Phase:
            return self._phase_at(station.identity, wall_ns)

        stamper = Stamper(station.identity, f"j{station.number}", phase_at)
        lines = []
        for reading in found:
            wall_ns = stamp.wall_ns + reading.boot_ns
            own = Stamp(wall_ns, stamp.synced, stamp.error_ms)
            for point in points(reading, station.identity):
                station.seq += 1
                lines.append(encode(stamper.record(point, station.seq, own)))
        return lines


def _by_province() -> dict[str, list[bytes]]:
    return defaultdict(list)


def _phases(calendar: Calendar) -> Callable[[Identity, int], Phase]:
    """Phases by zone and minute, remembered; a scenario has no repeat votes."""

    @lru_cache(64)
    def phase(time_zone: str, province: str, minute: int) -> Phase:
        someone = Identity("", province, "", time_zone, "")
        return calendar.phase_at(minute * _MINUTE_NS, someone)

    return lambda identity, wall_ns: phase(
        identity.time_zone, identity.province, wall_ns // _MINUTE_NS
    )


@lru_cache(8)
def _hour(wall_s: int, time_zone: str) -> float:
    local = datetime.fromtimestamp(wall_s, ZoneInfo(time_zone))
    return local.hour + local.minute / 60
