"""Everything that a report is written from: the scope, figures, hours and incidents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from qos_agent import __version__
from qos_agent.archive.manifest import (
    FILE_NAME,
    Manifest,
    SourceState,
    read_manifest,
    sha256_of,
)
from qos_agent.config.places import province_zones, provinces, regencies
from qos_agent.model.calendar import Calendar, Period, local_date, midnight_ns
from qos_agent.model.errors import ConfigError
from qos_agent.report.comparisons import comparisons
from qos_agent.report.incidents import PlaceIncident, incidents_of
from qos_agent.report.readings import Hour, Slots, Station, open_readings
from qos_agent.report.selection import Selection
from qos_agent.report.sums import Outcome, archive_sums
from qos_agent.report.tables import Figure, figures, missing
from qos_agent.report.template import Template
from qos_agent.report.types import Comparison, Coverage
from qos_agent.report.verification import Verification

WIB = "Asia/Jakarta"
Key = tuple[str, str, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Election:
    """An election by its name, with its calendar."""

    name: str
    calendar: Calendar

    @property
    def voting_day(self) -> date:
        """The voting day of most stations: that of the period with the widest scope."""
        voting = [p for p in self.calendar.periods if p.kind == "voting"]
        return min(voting, key=lambda p: (p.rank(), p.start)).start.date()

    def limits(self) -> tuple[int, int]:
        """Return the start and the end of the election, in any time zone."""
        zones = [ZoneInfo(zone) for zone in sorted({*province_zones().values()})]
        periods = self.calendar.periods
        starts = [p.start.replace(tzinfo=zone) for p in periods for zone in zones]
        ends = [p.end.replace(tzinfo=zone) for p in periods for zone in zones]
        first, last = min(starts).timestamp(), max(ends).timestamp()
        return int(first) * 10**9, int(last) * 10**9


@dataclass(frozen=True)
class Facts:
    """The content of a report, before it is put into words."""

    chosen: Selection
    election: Election | None
    template: Template
    is_random: bool
    figures: Sequence[Figure]
    outcomes: Sequence[Outcome]
    missing: Sequence[tuple[str, str, str]]
    stations: Sequence[Station]
    present: int
    hours: Sequence[Hour]
    slots: Sequence[Slots]
    day: date
    span: tuple[int, int]
    incidents: Sequence[PlaceIncident]
    archive_sha256: str
    sources: Sequence[SourceState]
    readings: int
    conflicts: int
    delivered: Mapping[str, int]
    verification: Verification | None = None
    coverage: Sequence[Coverage] = ()
    comparisons: Sequence[Comparison] = ()
    silent: Sequence[tuple[str, str]] = ()

    @cached_property
    def by_key(self) -> Mapping[Key, Figure]:
        """The figures by indicator, level, area, operator and phase."""
        return {
            (f.indicator, f.level, f.area, f.operator, f.phase): f for f in self.figures
        }

    @cached_property
    def operators(self) -> list[str]:
        """The operators with a figure."""
        found = {f.operator for f in self.figures if f.level == "nation"}
        return sorted(name for name in found if name is not None)

    @cached_property
    def phases(self) -> list[str]:
        """The phases with a figure, in order of time."""
        found = {f.phase for f in self.figures if f.level == "nation"}
        order = ("pre", "voting", "counting", "post", "idle")
        return [phase for phase in order if phase in found]

    @cached_property
    def names(self) -> list[str]:
        """The indicators with a figure, in the order of their definitions."""
        return [*dict.fromkeys(f.indicator for f in self.figures)]

    @property
    def area_level(self) -> str:
        """The level of the areas that tables list: one below that of the report."""
        return "province" if self.chosen.area is None else "regency"

    @cached_property
    def areas(self) -> list[str]:
        """The areas that tables list."""
        level = self.area_level
        found = {f.area for f in self.figures if f.level == level}
        return sorted(area for area in found if area is not None)

    @property
    def zone(self) -> str:
        """The time zone of the report: that of its area, or WIB for the nation."""
        return zone_of(self.chosen.area)

    @cached_property
    def run_id(self) -> str:
        """The name of this run: equal for equal input, scope, template and version."""
        parts = [
            __version__,
            self.archive_sha256,
            self.template.sha256,
            json.dumps(asdict(self.chosen), sort_keys=True),
            str(self.election and (self.election.name, self.election.calendar.hash)),
            str(self.is_random),
            str(self.verification and self.verification.sha256),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def figure(
        self,
        name: str,
        area: str | None = None,
        operator: str | None = None,
        phase: str | None = None,
    ) -> Figure | None:
        """Return a figure of the whole scope, or of an area in it."""
        level = "nation" if area is None else level_of(area)
        return self.by_key.get((name, level, area, operator, phase))


def level_of(area: str) -> str:
    """Return the level of an area's code."""
    return "province" if len(area) == 2 else "regency"


def zone_of(area: str | None) -> str:
    """Return the time zone of an area; WIB for the nation and unknown codes."""
    return province_zones().get((area or "")[:2], WIB)


def area_name(area: str | None) -> str:
    """Return the name of an area, or its code if it is unknown."""
    if area is None:
        return ""
    regency = regencies().get(area)
    return regency.name if regency else provinces().get(area, area)


def gather(
    archive: Path,
    chosen: Selection,
    template: Template,
    *,
    election: Election | None = None,
    is_random: bool = False,
    verification: Verification | None = None,
    register: Path | None = None,
    spark: str | None = None,
) -> Facts:
    """Read an archive. Raises OperatorError without readings, and StorageError.

    With a register, stations are compared with it, and the silent ones are named.
    """
    manifest = read_manifest(archive)
    _need_days(manifest, chosen, election)
    with archive_sums(archive, chosen, register=register, spark=spark) as sums:
        rows = figures(sums.groups(), is_random=is_random)
        outcomes, without = [*sums.outcomes()], [*missing(sums)]
        present = sums.present()
        compared = comparisons(sums)
        is_registered = sums.frame.is_registered
        coverage = [*sums.frame.coverage()] if is_registered else []
        silent = [*sums.silent()] if is_registered else []
    with open_readings(archive, chosen) as readings:
        span = readings.span() or (chosen.from_ns, chosen.to_ns)
        day = _day(election, span)
        day_ns = midnight_ns(day, ZoneInfo(WIB))
        stations = readings.stations()
        hours, slots = readings.hours(day_ns), readings.slots(day_ns)
        incidents = incidents_of(readings.outages(), stations)
        delivered = readings.delivered()
    return Facts(
        chosen,
        election,
        template,
        is_random,
        rows,
        outcomes,
        without,
        stations,
        present,
        hours,
        slots,
        day,
        span,
        incidents,
        sha256_of(archive / FILE_NAME),
        manifest.sources,
        sum(manifest.readings.values()),
        manifest.conflicts,
        delivered,
        verification,
        coverage,
        compared,
        silent,
    )


def _need_days(
    manifest: Manifest, chosen: Selection, election: Election | None
) -> None:
    """Raise ConfigError if the archive has no day of the election."""
    days = sorted({file.partition[1] for file in manifest.files if file.readings})
    if election is None or not days:
        return
    first = datetime.fromtimestamp(chosen.from_ns // 10**9, UTC).date().isoformat()
    last = datetime.fromtimestamp(chosen.to_ns // 10**9, UTC).date().isoformat()
    if not any(first <= day <= last for day in days):
        problem = f"has no readings in this archive, whose days are {days[0]} to"
        fix = "name the election of these days, or leave --election out"
        raise ConfigError(
            "--election", repr(election.name), f"{problem} {days[-1]}", fix
        )


def _day(election: Election | None, span: tuple[int, int]) -> date:
    """Return the day of the timeline: the voting day, or that of the last reading."""
    return election.voting_day if election else local_date(span[1], ZoneInfo(WIB))


def periods_of(election: Election) -> list[Period]:
    """Return the periods of an election, the widest scopes first."""
    return sorted(election.calendar.periods, key=lambda p: (p.rank(), p.start, p.names))
