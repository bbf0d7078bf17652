"""The limits of all alerts, read from limits.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit of one alert at one severity. See limits.toml for the fields."""

    alert: str
    severity: str
    limit: float
    wait_min: int
    within_min: int
    reason: tuple[str, str]


@cache
def limits() -> dict[tuple[str, str], Limit]:
    """Return the limits by alert and severity."""
    text = (files(__package__) / "limits.toml").read_text(encoding="utf-8")
    return {
        (alert, severity): Limit(
            alert,
            severity,
            values["limit"],
            values["wait_min"],
            values["within_min"],
            (values["reason"], values["reason_id"]),
        )
        for alert, severities in tomllib.loads(text).items()
        for severity, values in severities.items()
    }
