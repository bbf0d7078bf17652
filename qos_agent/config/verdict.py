"""The `[verdict]` section of the configuration."""

from __future__ import annotations

from pydantic import Field

from qos_agent.config.types import Duration, FilePath, Section


class VerdictSection(Section):
    """Rules that call a link good, degraded or bad, and that open an incident."""

    thresholds: FilePath | None = Field(
        None, description="File of thresholds; by default the shipped set."
    )
    worsen_after: Duration = Field(
        120.0, description="Time that a link must be worse before its verdict changes."
    )
    recover_after: Duration = Field(
        300.0, description="Time that a link must be better before its verdict changes."
    )
    unavailable_loss: float = Field(
        0.20,
        gt=0,
        le=1,
        description=(
            "Packet loss, as a ratio, from which a link is unavailable "
            "(c1 of ITU-T Y.1540)."
        ),
    )
    outage_after: Duration = Field(
        60.0,
        description="Time that a link must be unavailable before an incident opens.",
    )
    baseline_samples: int = Field(
        200,
        ge=20,
        description=(
            "Measurement cycles of the pre phase that a link needs before it is "
            "compared with its own baseline."
        ),
    )
