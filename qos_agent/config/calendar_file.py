"""Election calendar files: which phase a station is in, at its own local time.

A calendar is a TOML file of elections with periods in local time. A period applies to
all stations, or to named zones, provinces or stations. The narrowest scope applies, so
that a repeated or postponed vote at one station overrides the nation's voting day.
Nothing assumes one day, one zone or one election. Without a calendar, the phase is
always idle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from qos_agent.config import toml_file
from qos_agent.config.faults import invalid, validated
from qos_agent.config.places import province_zones
from qos_agent.config.types import NOT_EMPTY, Name, Section
from qos_agent.model import Phase
from qos_agent.model.calendar import SCOPES, Calendar, Period
from qos_agent.model.errors import ConfigError, InvalidConfigError

_FROZEN = (Phase.VOTING, Phase.COUNTING)


def may_reload(phase: Phase, now: bool = False) -> bool:
    """Return True if a changed configuration may take effect.

    While votes are cast or counted, only if the operator asked for it (`now`).
    """
    return now or phase not in _FROZEN


def shipped() -> dict[str, Path]:
    """Return the calendars that come with the agent, by name."""
    folder = Path(str(files("qos_agent.config") / "elections"))
    return {path.stem: path for path in sorted(folder.glob("20*.toml"))}


def template() -> Path:
    """Return the commented calendar to fill in for the next election."""
    return Path(str(files("qos_agent.config") / "elections" / "template.toml"))


def find(name: str) -> Path:
    """Return the file of a shipped calendar's name, or of a path."""
    return shipped().get(name) or Path(name)


def named(name: str | None) -> Calendar:
    """Return the calendar of a setting; None is a calendar that is always idle."""
    return load(find(name)) if name else Calendar()


def load(path: Path) -> Calendar:
    """Read the calendar in a file. Raises InvalidConfigError with every error."""
    fix = f"check the path, or name a shipped calendar: {', '.join(shipped())}"
    content = toml_file.read_bytes(path, fix)
    table = toml_file.parse(path, content)
    rows = validated(_File, table, lambda _: str(path)).periods()
    periods = {key: row.period_of(election) for key, election, row in rows}
    faults = (*_overlaps(periods), *_two_provinces(periods))
    if faults:
        raise InvalidConfigError(faults)
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Calendar(tuple(periods.values()), digest)


def _local(value: object) -> object:
    if not isinstance(value, datetime) or value.tzinfo is not None:
        raise ValueError(
            "must be a local date and time without offset, such as 2024-02-14T07:00:00"
        )
    return value


def _known_province(code: object) -> object:
    zones = province_zones()
    if code not in zones:
        raise ValueError(
            "must be the code of a province, "
            f"two digits in quotes from {min(zones)} to {max(zones)}"
        )
    return code


_LocalTime = Annotated[datetime, BeforeValidator(_local)]
_Province = Annotated[str, BeforeValidator(_known_province)]


class _PeriodTable(Section):
    """A `[[election.period]]` table."""

    kind: Literal["pre", "voting", "counting", "recapitulation", "post"]
    start: _LocalTime
    end: _LocalTime
    province: _Province | None = None
    zones: Annotated[tuple[Literal["WIB", "WITA", "WIT"], ...], NOT_EMPTY] | None = None
    provinces: Annotated[tuple[_Province, ...], NOT_EMPTY] | None = None
    stations: Annotated[tuple[Name, ...], NOT_EMPTY] | None = None

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.end <= self.start:
            problem = f"must be later than start, {self.start.isoformat()}"
            raise invalid(problem, key="end", found=self.end.isoformat())
        return self

    @model_validator(mode="after")
    def _one_scope(self) -> Self:
        if len(scopes := self.scopes()) > 1:
            raise invalid(
                "must have only one of zones, provinces and stations",
                found=", ".join(scopes),
                fix="write one period for each",
            )
        if (self.stations is None) != (self.province is None):
            raise invalid(
                "must have province and stations together",
                found="only province" if self.province else "only stations",
                fix="add the other one",
            )
        return self

    def scopes(self) -> list[str]:
        """Return the scopes that are set; a period has at most one."""
        return [scope for scope in SCOPES if getattr(self, scope) is not None]

    def period_of(self, election: str) -> Period:
        """Return the period of an election."""
        scope = next(iter(self.scopes()), "")
        names: tuple[str, ...] = getattr(self, scope) if scope else ()
        return Period(
            election, self.kind, self.start, self.end, scope, names, self.province
        )


class _ElectionTable(Section):
    """An `[[election]]` table."""

    name: Name
    period: tuple[_PeriodTable, ...] = ()

    @model_validator(mode="after")
    def _has_a_voting_period(self) -> Self:
        kinds = [period.kind for period in self.period]
        if "voting" not in kinds:
            raise invalid(
                "must contain a period of kind voting",
                key="period",
                found=", ".join(kinds) or None,
                fix="add an [[election.period]] table with the voting hours",
            )
        return self


class _File(Section):
    """The content of a calendar file."""

    election: Annotated[tuple[_ElectionTable, ...], NOT_EMPTY]

    def periods(self) -> Iterator[tuple[str, str, _PeriodTable]]:
        """Yield the key, the election's name and the table of each period."""
        for i, election in enumerate(self.election):
            for j, period in enumerate(election.period):
                yield f"election.{i}.period.{j}", election.name, period


def _overlaps(periods: dict[str, Period]) -> Iterator[ConfigError]:
    """Yield pairs of periods that apply to one station at one time with equal rank."""
    for (key_1, first), (key_2, second) in combinations(periods.items(), 2):
        same_time = first.start < second.end and second.start < first.end
        same_place = not first.scope or set(first.names) & set(second.names)
        if first.scope == second.scope and same_time and same_place:
            problem = f"overlaps {key_1}, which is {first}"
            yield ConfigError(key_2, str(second), problem, "move a start or an end")


def _two_provinces(periods: dict[str, Period]) -> Iterator[ConfigError]:
    """Yield stations that two periods place in different provinces."""
    places: dict[str, tuple[str, str | None]] = {}
    for key, period in periods.items():
        for name in period.names if period.scope == "stations" else ():
            first_key, province = places.setdefault(name, (key, period.province))
            if province != period.province:
                problem = (
                    f"station {name} is in province {province} in {first_key}, "
                    "but in another province here"
                )
                fix = "correct one of the two"
                value = period.province and repr(period.province)
                yield ConfigError(key, value, problem, fix)
