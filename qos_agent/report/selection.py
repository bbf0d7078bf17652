"""The readings of a report: period, area and operator."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.archive.database import text


@dataclass(frozen=True, slots=True)
class Selection:
    """The readings to report: from_ns <= time < to_ns, and optional tags.

    `area` is the code of a province or a regency.
    """

    from_ns: int = 0
    to_ns: int = 2**63 - 1
    area: str | None = None
    operator: str | None = None

    def condition(self) -> str:
        """Return the condition on the readings in SQL."""
        parts = [f"time_ns >= {self.from_ns} AND time_ns < {self.to_ns}"]
        if self.area is not None:
            parts.append(f"{self.area_tag} = {text(self.area)}")
        if self.operator is not None:
            parts.append(f"operator = {text(self.operator)}")
        return " AND ".join(parts)

    @property
    def area_tag(self) -> str:
        """The tag that has the code of the area."""
        return "province" if len(self.area or "") == 2 else "regency"
