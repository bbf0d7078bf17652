"""Scenarios of a simulation: number of stations, time span, injected faults."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from qos_agent.config import toml_file
from qos_agent.config.checks import unknown_probes
from qos_agent.config.faults import refuse_former_key, validated
from qos_agent.config.places import provinces, regencies
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.types import (
    FileName,
    Name,
    Operator,
    ProvinceCode,
    RegencyCode,
    Section,
)
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


class InjectedFault(Section):
    """A fault that lasts from one minute to another at some stations.

    `amount` depends on the kind: seconds for wrong_clock, minutes for slow_uplink, a
    factor on the usual load for overload. For allowance it is the share of the month's
    allowance that is left when the fault begins, in per cent.
    """

    kind: Kind
    first: int = Field(
        0, alias="from", description="First minute; negative before the start."
    )
    end: int = Field(10**6, alias="to", description="First minute after the fault.")
    province: _Province | None = None
    regency: _Regency | None = None
    operator: Operator | None = None
    share: float = Field(1.0, gt=0, le=1, description="Share of the matching stations.")
    amount: float = 4.0

    @field_validator("end")
    @classmethod
    def _after_first(cls, end: int, info: ValidationInfo) -> int:
        first = info.data.get("first")
        if first is not None and end <= first:
            raise ValueError(f"must be after from, which is {first}")
        return end

    def is_active(self, minute: int) -> bool:
        """Return True if the fault is active in a minute of the scenario."""
        return self.first <= minute < self.end


class Scenario(Section):
    """A simulated time span: every minute of it, and coarser steps before it."""

    name: Name
    seed: int = 1
    stations: int = Field(1000, ge=1, le=823_220)
    start: AwareDatetime | None = Field(
        None, description="First minute, with UTC offset; by default now."
    )
    minutes: int = Field(60, ge=1)
    days_before: float = Field(
        0, ge=0, le=30, description="Days to simulate before the start, for a baseline."
    )
    step_before: int = Field(
        60, ge=1, le=1440, description="Minutes per step in these days."
    )
    schedule: ScheduleSection = ScheduleSection()
    calendar: FileName | None = Field(
        None, description="A calendar file, or the name of a built-in one."
    )
    provinces: tuple[_Province, ...] = Field(
        (), description="Only these provinces; by default all."
    )
    targets: tuple[Literal["gateway", "resolver", "anchor"], ...] = (
        "gateway",
        "resolver",
        "anchor",
    )
    two_links: float = Field(
        0.25, ge=0, le=1, description="Share of stations with a second link."
    )
    duplicates: float = Field(
        0.0, ge=0, le=1, description="Share of points that arrive twice."
    )
    fault: tuple[InjectedFault, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_former_keys(cls, table: object) -> object:
        refuse_former_key(table, "trouble", "[[fault]]")
        return table

    def begins(self, now: datetime) -> datetime:
        """Return the first minute, without seconds."""
        return (self.start or now).replace(second=0, microsecond=0)

    def steps(self) -> Iterator[tuple[int, int]]:
        """Yield each simulated minute with the number of minutes in its step."""
        first = -round(self.days_before * 1440)
        for minute in range(first, 0, self.step_before):
            yield minute, min(self.step_before, -minute)
        for minute in range(self.minutes):
            yield minute, 1


def shipped() -> dict[str, Path]:
    """Return the built-in scenarios by name."""
    folder = Path(str(files("qos_agent.noc.simulator") / "scenarios"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(name: str, **instead: int | None) -> Scenario:
    """Return the built-in scenario of this name, or the one in a file.

    Values in `instead` replace its own. Raises InvalidConfigError with a line for each
    error.
    """
    path = shipped().get(name) or Path(name)
    replaced = {key: value for key, value in instead.items() if value is not None}
    fix = f"check the path, or name a built-in scenario: {', '.join(shipped())}"
    table = toml_file.read(path, fix) | replaced
    scenario = validated(Scenario, table, lambda _: str(path))
    if faults := tuple(unknown_probes("schedule", scenario.schedule, PROBES)):
        raise InvalidConfigError(faults)
    return scenario
