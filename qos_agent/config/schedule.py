"""The `[schedule]` section: intervals of the probes in each phase.

A phase maps the name of a probe to its interval. This module does not know the names;
`config.checks` compares them with the names that the caller of `load` passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from qos_agent.config.types import Interval, Section
from qos_agent.model import Phase


def _no_links(value: object) -> object:
    """Refuse the old form of overrides for one link, and show the new form."""
    if isinstance(value, dict) and "links" in value:
        raise ValueError(
            "intervals of one link are set below its [[links]] entry, "
            "for example [links.schedule.voting]"
        )
    return value


# Probe name to interval; 0.0 is never.
ProfileSection = Annotated[Mapping[str, Interval], BeforeValidator(_no_links)]


class ScheduleSection(Section):
    """Intervals of the probes by phase of the election.

    A phase accepts the name of any probe and a duration, or "off". A probe that is not
    named runs at its own default interval.
    """

    idle: ProfileSection = Field({}, description="without an election in the calendar")
    pre: ProfileSection = Field({}, description="before the voting day")
    voting: ProfileSection = Field({}, description="while votes are cast")
    counting: ProfileSection = Field({}, description="while votes are counted")
    post: ProfileSection = Field({}, description="after the count")

    def profile(self, phase: Phase) -> Mapping[str, float]:
        """Return the intervals in seconds that are set for a phase."""
        profile: Mapping[str, float] = getattr(self, phase.value)
        return profile

    def interval_s(self, phase: Phase, probe: str) -> float | None:
        """Return a probe's interval; 0.0 is never, None the probe's own default."""
        return self.profile(phase).get(probe)
