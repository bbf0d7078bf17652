"""A scenario: how many stations, from when, for how long, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from qos_agent.config import toml_file
from qos_agent.config.checks import unknown_probes
from qos_agent.config.faults import validated
from qos_agent.config.places import provinces, regencies
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.types import Name, ProvinceCode, RegencyCode, Section
from qos_agent.model.errors import InvalidConfigError
from qos_agent.probes.registry import PROBES

Kind = Literal[
    "overload",
    "core_failure",
    "power_cut",
    "cut_off",
    "backlog",
    "wrong_clock",
    "never",
    "slow_uplink",
    "allowance",
]


def _known(code: str) -> str:
    if code not in provinces() and code not in regencies():
        raise ValueError("must be a code of the reference data")
    return code


_Province = Annotated[ProvinceCode, AfterValidator(_known)]
_Regency = Annotated[RegencyCode, AfterValidator(_known)]


class Trouble(Section):
    """Something that goes wrong, from one minute to another, and for whom.

    `amount` is seconds for wrong_clock, minutes for slow_uplink, how many times the
    usual load for overload, and what is left of the month's allowance at its start, in
    per cent, for allowance.
    """

    kind: Kind
    first: int = Field(0, alias="from", description="minute; under 0 before the start")
    end: int = Field(10**6, alias="to", description="first minute after it")
    province: _Province | None = None
    regency: _Regency | None = None
    operator: Name | None = None
    share: float = Field(1.0, gt=0, le=1, description="of the stations it may hit")
    amount: float = 4.0

    def holds_at(self, minute: int) -> bool:
        """Whether it goes on in a minute of the scenario."""
        return self.first <= minute < self.end


class Scenario(Section):
    """A simulated stretch of time: every minute of it, and coarsely what was before."""

    name: Name
    seed: int = 1
    stations: int = Field(1000, ge=1, le=823_220)
    start: AwareDatetime | None = Field(None, description="with offset; else now")
    minutes: int = Field(60, ge=1)
    days_before: float = Field(0, ge=0, le=30, description="for a baseline")
    step_before: int = Field(60, ge=1, le=1440, description="minutes from one to next")
    schedule: ScheduleSection = ScheduleSection()
    calendar: str | None = Field(None, description="a shipped calendar or a file")
    provinces: tuple[_Province, ...] = Field((), description="only these; none is all")
    targets: tuple[Literal["gateway", "resolver", "anchor"], ...] = (
        "gateway",
        "resolver",
        "anchor",
    )
    two_links: float = Field(0.25, ge=0, le=1, description="share with a second link")
    duplicates: float = Field(0.0, ge=0, le=1, description="share of points sent twice")
    trouble: tuple[Trouble, ...] = ()

    def begins(self, now: datetime) -> datetime:
        """The first minute, whole."""
        return (self.start or now).replace(second=0, microsecond=0)

    def steps(self) -> Iterator[tuple[int, int]]:
        """Each minute that is simulated, and how many it stands for."""
        first = -round(self.days_before * 1440)
        for minute in range(first, 0, self.step_before):
            yield minute, min(self.step_before, -minute)
        for minute in range(self.minutes):
            yield minute, 1


def shipped() -> dict[str, Path]:
    """The scenarios that come with the package, by name."""
    folder = Path(str(files("qos_agent.noc.simulator") / "scenarios"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(name: str, **instead: int | None) -> Scenario:
    """A shipped scenario by name, or one in a file, with other values where given.

    Raises InvalidConfigError, a line for each fault.
    """
    path = shipped().get(name) or Path(name)
    given = {key: value for key, value in instead.items() if value is not None}
    fix = f"check the path, or name a shipped scenario: {', '.join(shipped())}"
    table = toml_file.read(path, fix) | given
    scenario = validated(Scenario, table, lambda _: str(path))
    if faults := tuple(unknown_probes("schedule", scenario.schedule, PROBES)):
        raise InvalidConfigError(faults)
    return scenario
