"""Minute by minute: measure at every station, keep back what cannot be delivered."""

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
from qos_agent.noc.simulator.faults import Troubles, answer_key
from qos_agent.noc.simulator.link_model import day_load, minute_of
from qos_agent.noc.simulator.population import SimulatedStation, nation
from qos_agent.noc.simulator.readings import Step, Turn
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.schedule.jobs import DEFAULT_INTERVALS

_MINUTE_NS = 60 * 10**9
# Boot time at the scenario's start: no device booted after the days before it.
_BOOT_NS = 40 * 86400 * 10**9
# A clock that was never set: the kernel's bound on its error stands at its most.
_UNSET_ERROR_MS = 16_000.0
# What a journal adds to a stamp that it has already: a clock set back meets its own.
_COLLISION_NS = 1000
_EVERYBODY = (1, 1)

Lines = dict[str, list[bytes]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What arrives at the collectors in one minute, or in part of one, by province.

    `minute` counts from the scenario's start, under 0 before it; `whole` with the last
    part of a minute.
    """

    minute: int
    ends_ns: int
    lines: Lines
    whole: bool = True

    @property
    def count(self) -> int:
        """Points in it."""
        return sum(map(len, self.lines.values()))


class Nation:
    """A scenario under way.

    `part` (2, 3) is the second of three: each regency is in one of them, and what its
    stations say is the same as in the whole.
    """

    def __init__(
        self, scenario: Scenario, now: datetime, part: tuple[int, int] = _EVERYBODY
    ) -> None:
        self.scenario = scenario
        self.start_ns = int(scenario.begins(now).timestamp()) * 10**9
        self.stations = list(nation(scenario, part))
        self.troubles = Troubles(scenario, self.stations)
        self._calendar = named(scenario.calendar)
        self._phase_at = _phases(self._calendar)
        self._steps = _Steps(scenario, self.start_ns, self._phase_at)
        self._waiting: dict[int, Lines] = defaultdict(_by_province)

    def answer_key(self) -> list[dict[str, object]]:
        """What was planted."""
        start_s = self.start_ns // 10**9
        return answer_key(self.scenario, self.troubles, start_s)

    def run(self) -> Iterator[Batch]:
        """Each minute's arrivals; what is late beyond the end comes with the last."""
        lines = _by_province()
        for part in self.parts():
            for province, some in part.lines.items():
                lines[province] += some
            if part.whole:
                yield Batch(part.minute, part.ends_ns, dict(lines))
                lines = _by_province()

    def parts(self) -> Iterator[Batch]:
        """The same, regency by regency: a minute of the nation is gigabytes."""
        minute, ends_ns = 0, self.start_ns
        for minute, stands_for in self.scenario.steps():
            ends_ns = self.start_ns + (minute + stands_for) * _MINUTE_NS
            for _, stations in groupby(self.stations, _place):
                lines = self._measure(stations, minute, stands_for)
                yield Batch(minute, ends_ns, lines, whole=False)
            yield Batch(minute, ends_ns, self._came_late(minute, stands_for))
        rest = self._came_late(minute, 10**9)
        if rest:
            yield Batch(minute + 1, ends_ns + _MINUTE_NS, rest)

    def _came_late(self, minute: int, stands_for: int) -> Lines:
        """What waited and arrives now."""
        lines = _by_province()
        for due in sorted(m for m in self._waiting if m < minute + stands_for):
            for province, some in self._waiting.pop(due).items():
                lines[province] += some
        return dict(lines)

    def _measure(
        self, stations: Iterable[SimulatedStation], minute: int, stands_for: int
    ) -> Lines:
        """A regency's minute: what arrives at once; the rest waits."""
        rng, now = Random(), _by_province()  # noqa: S311  reproducible, not secret
        place = ""
        for station in stations:
            if not place:
                place = station.regency.code
                rng = Random(f"{self.scenario.seed}/{minute}/{place}")  # noqa: S311
            self._measure_station(station, (minute, stands_for), rng, now)
        return dict(now)

    def _measure_station(
        self, station: SimulatedStation, span: tuple[int, int], rng: Random, now: Lines
    ) -> None:
        minute, stands_for = span
        condition = self.troubles.condition(station, minute)
        if not condition.measures:
            return
        step = self._steps.at(minute, stands_for, station.identity)
        offset_ns = minute * _MINUTE_NS + station.offset_ns
        turn = Turn(station, step, _BOOT_NS + offset_ns, self.start_ns + offset_ns,
                    condition)  # fmt: skip
        lines = self._lines(turn, self._readings(turn, rng))
        station.device.outbox.put(minute, condition.arrives, len(lines))
        province = station.identity.province
        late = condition.arrives >= minute + stands_for
        target = self._waiting[condition.arrives] if late else now
        target[province] += lines
        if share := self.scenario.duplicates:
            twice = [line for line in lines if rng.random() < share]
            self._waiting[condition.arrives + stands_for][province] += twice

    def _readings(self, turn: Turn, rng: Random) -> list[Reading]:
        """All that a station leaves in a step, the heartbeat last."""
        station, minute = turn.station, turn.step.minute
        found = list(self._happened(turn))
        cut = self.troubles.ended(station, minute)
        for link in station.links:
            if cut is not None:
                found += readings.not_running(turn, link, cut.end - cut.first)
            effect = self.troubles.effect(station, link, minute)
            now = minute_of(turn.step.load, effect, rng)
            found += readings.of_link(turn, link, now, rng)
        found += readings.of_host(turn)
        ledger = Ledger()
        ledger.count(found, sum(len(reading.samples) for reading in found))
        pulse = station.device.pulse(minute, turn.condition, self._calendar.hash)
        found.append(heartbeat(turn.boot_ns, pulse, ledger.tally()))
        return found

    def _happened(self, turn: Turn) -> Iterator[Reading]:
        """A start after a power cut, a change of phase."""
        station, minute = turn.station, turn.step.minute
        if self.troubles.ended(station, minute) is not None:
            station.device.booted = minute
            yield event("start", turn.boot_ns)
        before_ns = turn.wall_ns - turn.step.stands_for * _MINUTE_NS
        before = self._phase_at(station.identity, before_ns)
        if before is not turn.step.phase:
            words = {"before": before.value, "after": turn.step.phase.value}
            yield event("phase", turn.boot_ns, **words)

    def _lines(self, turn: Turn, found: Iterable[Reading]) -> list[bytes]:
        """Through the agent's own path: points, provenance, canonical lines."""
        station, device = turn.station, turn.station.device

        def phase_at(wall_ns: int) -> Phase:
            return self._phase_at(station.identity, wall_ns)

        stamper = PointEncoder(station.identity, f"j{station.number}", phase_at)
        shift_ns = turn.wall_ns - turn.boot_ns + _error_ns(turn.condition)
        lines = []
        for reading in found:
            stamp = _stamp(reading.boot_ns + shift_ns, turn.condition)
            for point in points(reading, station.identity):
                device.seq += 1
                lines.append(encode(stamper.record(point, device.seq, stamp)))
        return lines


def _place(station: SimulatedStation) -> str:
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


class _Steps:
    """What a minute is like in an area, worked out once for all its stations."""

    def __init__(
        self,
        scenario: Scenario,
        start_ns: int,
        phase_at: Callable[[Identity, int], Phase],
    ) -> None:
        self._scenario = scenario
        self._start_ns = start_ns
        self._phase_at = phase_at
        self._of: dict[tuple[str, str], Step] = {}

    def at(self, minute: int, stands_for: int, who: Identity) -> Step:
        """The step of a station's zone and province."""
        key = (who.time_zone, who.province)
        known = self._of.get(key)
        if known is None or known.minute != minute:
            known = self._of[key] = self._made(minute, stands_for, who)
        return known

    def _made(self, minute: int, stands_for: int, who: Identity) -> Step:
        wall_ns = self._start_ns + minute * _MINUTE_NS
        local = datetime.fromtimestamp(wall_ns // 10**9, ZoneInfo(who.time_zone))
        phase = self._phase_at(who, wall_ns)
        configured = self._scenario.schedule.profile(phase)
        intervals = {
            probe: -int(-interval_s // 60)
            for probe, interval_s in {**DEFAULT_INTERVALS[phase], **configured}.items()
        }
        load = day_load(local.hour + local.minute / 60)
        targets = self._scenario.targets
        return Step(minute, stands_for, load, phase, intervals, targets)


def _phases(calendar: Calendar) -> Callable[[Identity, int], Phase]:
    """Phases by zone and minute, remembered; a scenario has no repeat votes."""

    @lru_cache(512)
    def phase(time_zone: str, province: str, minute: int) -> Phase:
        someone = Identity("", province, "", time_zone, "")
        return calendar.phase_at(minute * _MINUTE_NS, someone)

    return lambda identity, wall_ns: phase(
        identity.time_zone, identity.province, wall_ns // _MINUTE_NS
    )
