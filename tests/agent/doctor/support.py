"""A subject for tests of single checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qos_agent.agent.doctor.subject import Subject, examine
from qos_agent.agent.doctor.unit import Unit
from qos_agent.config.settings import Settings
from qos_agent.system.clock import system_clock

RUNNING = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "NRestarts": "0",
    "MainPID": "1",
    "WatchdogUSec": "2min",
    "ActiveEnterTimestampMonotonic": "1000000",
}


def of(folder: Path, unit: dict[str, str] | None = None, **settings: Any) -> Subject:
    """Return a device with its journal in a folder; `unit` changes the properties."""
    values = {"journal": {"folder": folder}, **settings}
    examined = examine(Settings.model_validate(values), system_clock())
    if unit is None:
        return examined
    return replace(examined, unit=Unit({**RUNNING, **unit} if unit else {}))
