"""The `[schedule]` section: intervals of the probes in each phase.

A phase maps the name of a probe to its interval. This module does not know the names;
`config.checks` compares them with the names that the caller of `load` passes.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from qos_agent.config.overrides import refuse_links
from qos_agent.config.types import Interval, Section
from qos_agent.model import Phase

_Intervals = Mapping[str, Interval]


class ScheduleSection(Section):
    """Intervals of the probes in each phase of the election, or "off" for never.

    A probe that is not named runs at its own default interval.
    """

    idle: _Intervals = Field({}, description="Intervals outside of an election.")
    pre: _Intervals = Field({}, description="Intervals before the voting day.")
    voting: _Intervals = Field({}, description="Intervals while votes are cast.")
    counting: _Intervals = Field({}, description="Intervals while votes are counted.")
    post: _Intervals = Field({}, description="Intervals after the count.")

    @model_validator(mode="before")
    @classmethod
    def _no_links(cls, values: object) -> object:
        if isinstance(values, dict):
            for phase, intervals in values.items():
                refuse_links(intervals, f"schedule.{phase}", f"{phase}.links")
        return values

    def profile(self, phase: Phase) -> Mapping[str, float]:
        """Return the intervals in seconds that are set for a phase."""
        profile: Mapping[str, float] = getattr(self, phase.value)
        return profile

    def interval_s(self, phase: Phase, probe: str) -> float | None:
        """Return a probe's interval; 0.0 is never, None the probe's own default."""
        return self.profile(phase).get(probe)
