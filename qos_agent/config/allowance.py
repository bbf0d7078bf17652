"""Settings of what is held against limits: the data allowance and the verdict."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from qos_agent.config.types import Name, Section, Size


class AllowanceFields(Section):
    """What a link may move on its SIM, both ways, on the wire."""

    monthly: Size | None = Field(None, description="most bytes in a month")
    daily: Size | None = Field(None, description="most bytes in a day")
    reset_day: int = Field(
        1, ge=1, le=31, description="when the month begins; the last day if shorter"
    )
    roaming: bool = Field(False, description="whether to measure in foreign networks")
    voting_reserve: Size = Field(
        0, description="of the month, kept for voting hours from all other phases"
    )


class AllowanceLink(AllowanceFields):
    """What differs on one link; what is left out is as for all."""

    link: Name


class AllowanceSection(AllowanceFields):
    """What each link may move on its SIM; without a limit it is only counted."""

    links: tuple[AllowanceLink, ...] = ()

    @model_validator(mode="after")
    def _reserve_within(self) -> Self:
        for link in (None, *(own.link for own in self.links)):
            fields = self.of_link(link)
            if fields.voting_reserve == 0:
                continue
            if fields.monthly is None or fields.voting_reserve > fields.monthly:
                raise ValueError("a voting_reserve within monthly")
            if fields.daily is not None and fields.voting_reserve > fields.daily:
                raise ValueError("a voting_reserve within daily")
        return self

    def of_link(self, link: str | None) -> AllowanceFields:
        """What one link may move."""
        common = {n: getattr(self, n) for n in AllowanceFields.model_fields}
        own = next((entry for entry in self.links if entry.link == link), None)
        given = own.model_dump(exclude_unset=True, exclude={"link"}) if own else {}
        return AllowanceFields.model_construct(**{**common, **given})
