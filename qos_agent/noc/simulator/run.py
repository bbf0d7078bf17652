"""The simulation: measures at every station and delays points that cannot arrive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from random import Random
from zoneinfo import ZoneInfo

from qos_agent.agent.events import event, heartbeat
from qos_agent.agent.ledger import Ledger
from qos_agent.config.calendar_file import named
from qos_agent.journal.encoding import PointEncoder, Timestamp
from qos_agent.model import Identity, Phase, Reading
from qos_agent.model.calendar import Calendar
from qos_agent.model.line_protocol import encode, points
from qos_agent.noc.simulator import readings
from qos_agent.noc.simulator.device import Condition
from qos_agent.noc.simulator.faults import FaultInjection, answer_key
from qos_agent.noc.simulator.link_model import day_load, draw_step
from qos_agent.noc.simulator.population import SimulatedStation, nation
from qos_agent.noc.simulator.readings import AreaStep, StationStep
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.schedule.jobs import DEFAULT_INTERVALS

_MINUTE_NS = 60 * 10**9
# Boot time at the scenario's start, so that boot times of earlier days are positive.
_BOOT_NS = 40 * 86400 * 10**9
# The kernel's maximum bound on the error, which a clock has that was never set.
_UNSET_ERROR_MS = 16_000.0
# A journal adds this to a timestamp that it has used already, for example after the
# clock was set back.
_COLLISION_NS = 1000
_WHOLE = (1, 1)

Lines = dict[str, list[bytes]]


@dataclass(frozen=True, slots=True)
class Batch:
    """The lines that arrive in one minute, or in a part of it, by province.

    `minute` counts from the scenario's start and is negative before it. `whole` is true
    for the last part of a minute.
    """

    minute: int
    ends_ns: int
    lines: Lines
    whole: bool = True

    @property
    def count(self) -> int:
        """Return the number of points."""
        return sum(map(len, self.lines.values()))


class Nation:
    """A running scenario.

    `part` (2, 3) is the second of three parts. Each regency is in one part, and its
    stations give the same points as in the whole nation.
    """

    def __init__(
        self, scenario: Scenario, now: datetime, part: tuple[int, int] = _WHOLE
    ) -> None:
        self.scenario = scenario
        self.start_ns = int(scenario.begins(now).timestamp()) * 10**9
        self.stations = list(nation(scenario, part))
        self.faults = FaultInjection(scenario, self.stations)
        self._calendar = named(scenario.calendar)
        self._phase_at = _phases(self._calendar)
        self._area_steps = _AreaSteps(scenario, self.start_ns, self._phase_at)
        self._waiting: dict[int, Lines] = defaultdict(_by_province)

    def answer_key(self) -> list[dict[str, object]]:
        """Return the injected faults."""
        start_s = self.start_ns // 10**9
        return answer_key(self.scenario, self.faults, start_s)

    def run(self) -> Iterator[Batch]:
        """Yield the arrivals of each minute. Points later than the end come last."""
        lines = _by_province()
        for part in self.parts():
            for province, arrived in part.lines.items():
                lines[province] += arrived
            if part.whole:
                yield Batch(part.minute, part.ends_ns, dict(lines))
                lines = _by_province()

    def parts(self) -> Iterator[Batch]:
        """Yield the arrivals per regency, as a minute of the nation is gigabytes."""
        minute, ends_ns = 0, self.start_ns
        for minute, length_min in self.scenario.steps():
            ends_ns = self.start_ns + (minute + length_min) * _MINUTE_NS
            for _, stations in groupby(self.stations, _regency_code):
                lines = self._measure(stations, minute, length_min)
                yield Batch(minute, ends_ns, lines, whole=False)
            yield Batch(minute, ends_ns, self._delayed(minute, length_min))
        remaining = self._delayed(minute, 10**9)
        if remaining:
            yield Batch(minute + 1, ends_ns + _MINUTE_NS, remaining)

    def _delayed(self, minute: int, length_min: int) -> Lines:
        """Return the delayed lines that arrive in this step."""
        lines = _by_province()
        for due in sorted(m for m in self._waiting if m < minute + length_min):
            for province, arrived in self._waiting.pop(due).items():
                lines[province] += arrived
        return dict(lines)

    def _measure(
        self, stations: Iterable[SimulatedStation], minute: int, length_min: int
    ) -> Lines:
        """Simulate a step of a regency; return the lines that arrive in it."""
        rng, arriving = Random(), _by_province()  # noqa: S311  reproducible, not secret
        code = ""
        for station in stations:
            if not code:
                code = station.regency.code
                rng = Random(f"{self.scenario.seed}/{minute}/{code}")  # noqa: S311
            self._measure_station(station, (minute, length_min), rng, arriving)
        return dict(arriving)

    def _measure_station(
        self,
        station: SimulatedStation,
        span: tuple[int, int],
        rng: Random,
        arriving: Lines,
    ) -> None:
        minute, length_min = span
        condition = self.faults.condition(station, minute)
        if not condition.measures:
            return
        area = self._area_steps.at(minute, length_min, station.identity)
        offset_ns = minute * _MINUTE_NS + station.offset_ns
        boot_ns, wall_ns = _BOOT_NS + offset_ns, self.start_ns + offset_ns
        step = StationStep(station, area, boot_ns, wall_ns, condition)
        lines = self._lines(step, self._readings(step, rng))
        station.device.outbox.put(minute, condition.arrives, len(lines))
        province = station.identity.province
        delayed = condition.arrives >= minute + length_min
        destination = self._waiting[condition.arrives] if delayed else arriving
        destination[province] += lines
        if share := self.scenario.duplicates:
            duplicates = [line for line in lines if rng.random() < share]
            self._waiting[condition.arrives + length_min][province] += duplicates

    def _readings(self, step: StationStep, rng: Random) -> list[Reading]:
        """Return the readings of a station in a step, the heartbeat last."""
        station, minute = step.station, step.area.minute
        results = list(self._events(step))
        power_cut = self.faults.ended(station, minute)
        for link in station.links:
            if power_cut is not None:
                downtime_min = power_cut.end - power_cut.first
                results += readings.not_running(step, link, downtime_min)
            effect = self.faults.effect(station, link, minute)
            state = draw_step(step.area.load, effect, rng)
            results += readings.of_link(step, link, state, rng)
        results += readings.of_host(step)
        ledger = Ledger()
        ledger.count(results, sum(len(reading.samples) for reading in results))
        figures = station.device.heartbeat_figures(
            minute, step.condition, self._calendar.hash
        )
        results.append(heartbeat(step.boot_ns, figures, ledger.tally()))
        return results

    def _events(self, step: StationStep) -> Iterator[Reading]:
        """Yield a start after a power cut, and a change of phase."""
        station, minute = step.station, step.area.minute
        if self.faults.ended(station, minute) is not None:
            station.device.booted = minute
            yield event("start", step.boot_ns)
        before_ns = step.wall_ns - step.area.length_min * _MINUTE_NS
        before = self._phase_at(station.identity, before_ns)
        if before is not step.area.phase:
            phases = {"before": before.value, "after": step.area.phase.value}
            yield event("phase", step.boot_ns, **phases)

    def _lines(self, step: StationStep, results: Iterable[Reading]) -> list[bytes]:
        """Encode readings as canonical lines, with the agent's own code."""
        station, device = step.station, step.station.device

        def phase_at(wall_ns: int) -> Phase:
            return self._phase_at(station.identity, wall_ns)

        stamper = PointEncoder(station.identity, f"j{station.number}", phase_at)
        shift_ns = step.wall_ns - step.boot_ns + _error_ns(step.condition)
        lines = []
        for reading in results:
            stamp = _stamp(reading.boot_ns + shift_ns, step.condition)
            for point in points(reading, station.identity):
                device.seq += 1
                lines.append(encode(stamper.record(point, device.seq, stamp)))
        return lines


def _regency_code(station: SimulatedStation) -> str:
    return station.regency.code


def _stamp(wall_ns: int, condition: Condition) -> Timestamp:
    if not condition.clock_error_s:
        return Timestamp(wall_ns, synced=True, error_ms=1.0)
    return Timestamp(wall_ns, synced=False, error_ms=_UNSET_ERROR_MS, held=True)


def _error_ns(condition: Condition) -> int:
    error_s = condition.clock_error_s
    return int(error_s * 1e9) + _COLLISION_NS if error_s else 0


def _by_province() -> Lines:
    return defaultdict(list)


class _AreaSteps:
    """The steps of areas, calculated once for all stations of an area."""

    def __init__(
        self,
        scenario: Scenario,
        start_ns: int,
        phase_at: Callable[[Identity, int], Phase],
    ) -> None:
        self._scenario = scenario
        self._start_ns = start_ns
        self._phase_at = phase_at
        self._by_area: dict[tuple[str, str], AreaStep] = {}

    def at(self, minute: int, length_min: int, station: Identity) -> AreaStep:
        """Return the step of a station's time zone and province."""
        key = (station.time_zone, station.province)
        step = self._by_area.get(key)
        if step is None or step.minute != minute:
            step = self._by_area[key] = self._calculate(minute, length_min, station)
        return step

    def _calculate(self, minute: int, length_min: int, station: Identity) -> AreaStep:
        wall_ns = self._start_ns + minute * _MINUTE_NS
        local = datetime.fromtimestamp(wall_ns // 10**9, ZoneInfo(station.time_zone))
        phase = self._phase_at(station, wall_ns)
        configured = self._scenario.schedule.profile(phase)
        intervals = {
            probe: -int(-interval_s // 60)
            for probe, interval_s in {**DEFAULT_INTERVALS[phase], **configured}.items()
        }
        load = day_load(local.hour + local.minute / 60)
        targets = self._scenario.targets
        return AreaStep(minute, length_min, load, phase, intervals, targets)


def _phases(calendar: Calendar) -> Callable[[Identity, int], Phase]:
    """Return a cached function of the phase; scenarios have no repeat votes."""

    @lru_cache(512)
    def phase(time_zone: str, province: str, minute: int) -> Phase:
        someone = Identity("", province, "", time_zone, "")
        return calendar.phase_at(minute * _MINUTE_NS, someone)

    return lambda identity, wall_ns: phase(
        identity.time_zone, identity.province, wall_ns // _MINUTE_NS
    )
