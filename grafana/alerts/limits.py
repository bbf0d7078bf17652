"""The limits of all alerts, read from limits.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from grafana.panels import Text

_FILE = Path(__file__).with_name("limits.toml")


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of one alert at one severity. See limits.toml for the fields."""

    alert: str
    severity: str
    limit: float
    min_count: float
    wait_min: int
    within_min: int
    reason: Text


def _read() -> tuple[Limit, ...]:
    with _FILE.open("rb") as file:
        alerts = tomllib.load(file)
    return tuple(
        Limit(
            alert,
            severity,
            values["limit"],
            values["min_count"],
            values["wait_min"],
            values["within_min"],
            (values["reason"], values["reason_id"]),
        )
        for alert, severities in alerts.items()
        for severity, values in severities.items()
    )


LIMITS = _read()
