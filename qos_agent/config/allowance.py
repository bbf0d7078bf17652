"""The `[allowance]` section of the configuration."""

from __future__ import annotations

from pydantic import Field, model_validator

from qos_agent.config.overrides import refuse_links
from qos_agent.config.types import Section, Size


class AllowanceSection(Section):
    """Mobile data that each link may use; without a limit, usage is only counted."""

    monthly: Size | None = Field(
        None, description="Maximum data a month, received and sent together."
    )
    daily: Size | None = Field(
        None, description="Maximum data a day, received and sent together."
    )
    reset_day: int = Field(
        1,
        ge=1,
        le=31,
        description="Day on which the month begins; in shorter months the last day.",
    )
    roaming: bool = Field(False, description="Measure in foreign networks as well.")
    voting_reserve: Size = Field(
        0, description="Part of the monthly data that only the voting phase may use."
    )

    @model_validator(mode="before")
    @classmethod
    def _no_links(cls, values: object) -> object:
        refuse_links(values, "allowance")
        return values
