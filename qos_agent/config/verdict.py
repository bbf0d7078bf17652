"""The `[verdict]` section of the configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from qos_agent.config.types import Duration, Section


class VerdictSection(Section):
    """When a link is called good, degraded or bad, and when an outage is one."""

    thresholds: Path | None = Field(
        None, description="a file of thresholds; the shipped set by default"
    )
    worsen_after: Duration = Field(120.0, description="how long worse, to say so")
    recover_after: Duration = Field(300.0, description="how long better, to say so")
    unavailable_loss: float = Field(
        0.20, gt=0, le=1, description="loss from which it is unavailable: Y.1540's c1"
    )
    outage_after: Duration = Field(
        60.0, description="how long unavailable, to open an incident"
    )
    baseline_samples: int = Field(
        200, ge=20, description="cycles of the pre phase before a baseline counts"
    )
