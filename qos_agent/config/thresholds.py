"""Thresholds of the verdict, read from a file that states the source of each value.

A threshold without unit, source and legal status is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, create_model, model_validator

from qos_agent.config import toml_file
from qos_agent.config.faults import invalid, validated
from qos_agent.config.types import Duration, Section, Text

# Unit of every indicator that is judged, and True if a higher value is worse.
KPIS: dict[str, tuple[str, bool]] = {
    "loss": ("ratio", True),
    "delay": ("ms", True),
    "download": ("bit/s", False),
    "upload": ("bit/s", False),
    "page": ("ms", True),
    "page_failures": ("ratio", True),
    "form": ("ms", True),
    "form_failures": ("ratio", True),
}
LegalStatus = Literal[
    "engineering practice", "standard", "contract", "licence", "statutory"
]


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """Limits relative to the link's own baseline.

    `degraded` and `bad` are factors; `floor` is the smallest difference that counts.
    """

    degraded: float
    bad: float
    floor: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """The values from which a link is degraded or bad, over a window of samples."""

    kpi: str
    degraded: float
    bad: float
    window_s: float
    min_samples: int
    source: str
    legal_status: str
    baseline: BaselineRule | None = None

    @property
    def unit(self) -> str:
        """The unit of the values."""
        return KPIS[self.kpi][0]

    @property
    def more_is_worse(self) -> bool:
        """True for delays and losses, False for rates."""
        return KPIS[self.kpi][1]


Thresholds = Mapping[str, Threshold]
_Positive = Annotated[float, Field(gt=0, lt=1e15, strict=True)]


class _Table(Section):
    """One table of the file."""

    unit: Text
    degraded: _Positive
    bad: _Positive
    window: Duration
    min_samples: int = Field(ge=1, strict=True)
    baseline_degraded: _Positive | None = None
    baseline_bad: _Positive | None = None
    baseline_floor: _Positive | None = None
    source: Text = Field(pattern=r"\S")
    legal_status: LegalStatus

    @model_validator(mode="after")
    def _whole_baseline(self) -> Self:
        """Check that all values of the baseline are set, or none, and their order."""
        names = ("baseline_degraded", "baseline_bad", "baseline_floor")
        missing = [name for name in names if getattr(self, name) is None]
        if missing and len(missing) < len(names):
            raise invalid(f"needs {', '.join(names)} together", key=missing[0])
        rule = self.baseline_rule()
        if rule is not None and not 1 < rule.degraded < rule.bad:
            raise invalid(
                "must be greater than baseline_degraded, and that greater than 1",
                key="baseline_bad",
                found=str(rule.bad),
            )
        return self

    def baseline_rule(self) -> BaselineRule | None:
        """Return the limits relative to the baseline, if the table has any."""
        degraded, bad = self.baseline_degraded, self.baseline_bad
        if degraded is None or bad is None or self.baseline_floor is None:
            return None
        return BaselineRule(degraded, bad, self.baseline_floor)

    def threshold(self, kpi: str) -> Threshold:
        """Return the threshold of an indicator."""
        return Threshold(
            kpi,
            degraded=self.degraded,
            bad=self.bad,
            window_s=self.window,
            min_samples=self.min_samples,
            source=self.source,
            legal_status=self.legal_status,
            baseline=self.baseline_rule(),
        )


def _fits(kpi: str, table: _Table) -> _Table:
    """Check the unit of an indicator, and that bad is worse than degraded."""
    unit, more_is_worse = KPIS[kpi]
    if table.unit != unit:
        raise invalid(f"must be {unit}", key="unit", found=repr(table.unit))
    if (table.bad > table.degraded) is not more_is_worse:
        order = "greater" if more_is_worse else "less"
        problem = f"must be {order} than degraded, which is {table.degraded}"
        raise invalid(problem, key="bad", found=str(table.bad))
    return table


def _file_model() -> type[Section]:
    """Return the model of the file: a table for each indicator; loss is required."""
    fields: dict[str, Any] = {
        kpi: (Annotated[_Table, AfterValidator(partial(_fits, kpi))] | None, None)
        for kpi in KPIS
    }
    fields["loss"] = (Annotated[_Table, AfterValidator(partial(_fits, "loss"))], ...)
    return create_model("ThresholdsFile", __base__=Section, **fields)


def load(path: Path | None) -> Thresholds:
    """Read the thresholds of a file, or the shipped set for None.

    A KPI that is not in the file is not judged. Raises InvalidConfigError with every
    error.
    """
    place = path or Path(str(files("qos_agent.config") / "data" / "thresholds.toml"))
    file = validated(_file_model(), toml_file.read(place), lambda _: str(place))
    return {
        kpi: table.threshold(kpi)
        for kpi in KPIS
        if (table := getattr(file, kpi)) is not None
    }
