"""The `[uplink]` section of the configuration."""

from __future__ import annotations

from pydantic import Field

from qos_agent.config.types import Duration, Interval, Name, Section, Size


class UplinkSection(Section):
    """Delivery of points: new points at once, the backlog of an outage with pauses."""

    link: Name | None = Field(
        None,
        description=(
            "Link over which points are delivered; by default the first link. A "
            "backlog is not sent while a measurement runs on it."
        ),
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
