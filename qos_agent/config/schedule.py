"""How often each probe runs on each link, in each phase of the election."""

from __future__ import annotations

from pydantic import model_validator

from qos_agent.config.types import Interval, Name, Section
from qos_agent.model import Phase


class ProfileLink(Section):
    """What differs on one link; what is left out is as for all."""

    link: Name
    latency: Interval | None = None
    throughput: Interval | None = None
    web: Interval | None = None
    form: Interval | None = None
    signal: Interval | None = None


class ProfileSection(Section):
    """How often each probe runs on each link in one phase; "off" for never."""

    latency: Interval = 300.0
    throughput: Interval = 21600.0
    web: Interval = 0.0
    form: Interval = 0.0
    signal: Interval = 300.0
    host: Interval = 300.0
    links: tuple[ProfileLink, ...] = ()

    @classmethod
    def probes(cls) -> tuple[str, ...]:
        """The probes that have an interval."""
        return tuple(name for name in cls.model_fields if name != "links")

    def interval_s(self, probe: str, link: str | None) -> float:
        """How often a probe runs on a link, in seconds; 0.0 is never."""
        own = next((each for each in self.links if each.link == link), None)
        given: float | None = getattr(own, probe, None)
        common: float = getattr(self, probe)
        return common if given is None else given


# While votes are cast: everything, often. While they are counted: uploads above all.
_PROFILES: dict[str, dict[str, object]] = {
    "voting": {"latency": "1m", "throughput": "1h", "web": "15m", "form": "15m",
               "signal": "1m", "host": "1m"},
    "counting": {"latency": "1m", "throughput": "2h", "web": "30m", "form": "10m",
                 "signal": "1m", "host": "1m"},
}  # fmt: skip


class ScheduleSection(Section):
    """A profile for each phase of the election."""

    idle: ProfileSection = ProfileSection()
    pre: ProfileSection = ProfileSection()
    voting: ProfileSection = ProfileSection.model_validate(_PROFILES["voting"])
    counting: ProfileSection = ProfileSection.model_validate(_PROFILES["counting"])
    post: ProfileSection = ProfileSection()

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, values: object) -> object:
        """What is left out of a phase's profile is that phase's default."""
        if not isinstance(values, dict):
            return values
        return {
            phase: {**_PROFILES.get(phase, {}), **given}
            if isinstance(given, dict)
            else given
            for phase, given in values.items()
        }

    def profile(self, phase: Phase) -> ProfileSection:
        """The profile in force in a phase."""
        profile: ProfileSection = getattr(self, phase.value)
        return profile
