"""The `[uplink]` section of the configuration."""

from __future__ import annotations

from pydantic import Field

from qos_agent.config.types import Duration, Interval, Name, Section, Size
from qos_agent.model import Phase


class UplinkSection(Section):
    """Delivery of points: new ones in intervals, the backlog of an outage in pauses."""

    link: Name | None = Field(
        None,
        description=(
            "Link over which points are delivered; by default the first link. A "
            "backlog is not sent while a measurement runs on it."
        ),
    )
    deliver_pre: Duration = Field(
        300.0,
        le=3600.0,
        description="Time between two deliveries in the weeks before the election; "
        "points are delivered at most once a minute.",
    )
    deliver_voting: Duration = Field(
        60.0, le=3600.0, description="Time between two deliveries while voting."
    )
    deliver_counting: Duration = Field(
        60.0, le=3600.0, description="Time between two deliveries while counting."
    )
    deliver_post: Duration = Field(
        300.0,
        le=3600.0,
        description="Time between two deliveries in the weeks after the election.",
    )
    deliver_idle: Duration = Field(
        300.0, le=3600.0, description="Time between two deliveries at other times."
    )
    batch: int = Field(
        500, ge=1, le=5000, description="Number of points in one request of a backlog."
    )
    pause: Interval = Field(
        10.0,
        description=(
            "Mean pause between two requests of a backlog, varied by up to half; "
            'or "off".'
        ),
    )
    backoff: Duration = Field(
        300.0, description="Maximum wait before a retry after failures."
    )
    fallback_after: Duration = Field(
        300.0,
        description="Time without the collector before the fallback receives points.",
    )
    data_limit: Size | None = Field(
        None,
        description=(
            "Maximum data a day for a backlog; new points are sent in any case."
        ),
    )

    def delivery_s(self, phase: Phase) -> float:
        """Return the time between two deliveries in a phase."""
        return {
            Phase.PRE: self.deliver_pre,
            Phase.VOTING: self.deliver_voting,
            Phase.COUNTING: self.deliver_counting,
            Phase.POST: self.deliver_post,
            Phase.IDLE: self.deliver_idle,
        }[phase]
