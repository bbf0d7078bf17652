"""The state of the service, as systemd reports it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qos_agent.model.errors import ProbeError
from qos_agent.system.child_process import run_child

SERVICE = "qos-agent.service"
_COMMAND_S = 4.0
_OUTPUT_MAX_BYTES = 20_000
_PROPERTIES = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "MainPID",
    "User",
    "WatchdogUSec",
    "AmbientCapabilities",
    "ExecMainStatus",
    "ActiveEnterTimestampMonotonic",
)


@dataclass(frozen=True, slots=True)
class Unit:
    """The properties of the unit. All are empty if systemd does not answer."""

    properties: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """Return a property, or nothing if systemd did not report it."""
        return self.properties.get(name, "")

    @property
    def user(self) -> str:
        """The user of the service; nothing if it is not installed."""
        return self["User"] or ("qos-agent" if not self.properties else "")

    def number(self, name: str) -> int:
        """Return a property as a number, 0 if it is not one."""
        text = self[name]
        return int(text) if text.isascii() and text.isdecimal() else 0

    def active_s(self) -> float:
        """Return how long the service has been running."""
        started_s = self.number("ActiveEnterTimestampMonotonic") / 1e6
        return max(0.0, time.monotonic() - started_s)

    @property
    def is_active(self) -> bool:
        """True if the service runs."""
        return self["ActiveState"] in {"active", "reloading"}


def read_unit() -> Unit:
    """Return the state of the service; empty if systemd does not answer."""
    properties = ",".join(_PROPERTIES)
    return Unit(dict(_pairs(systemctl("show", SERVICE, "--property", properties))))


def systemctl(*arguments: str) -> str:
    """Return the output of systemctl, also after a failure; nothing if it hangs."""
    try:
        result = run_child(
            ["systemctl", *arguments],
            timeout_s=_COMMAND_S,
            output_limit_bytes=_OUTPUT_MAX_BYTES,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except ProbeError:
        return ""
    return result.stdout.decode("utf-8", "replace")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, found, value = line.partition("=")
        if found:
            yield name, value
