"""The host probe: load, memory, temperature and power supply of the device.

These values show that a slow measurement is due to the network and not to the device.
The probe needs no link and no target. Values that the device does not have are missing.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from qos_agent.config.settings import Settings
from qos_agent.model import Deadline, ProbeResult, Sample, Task, Value
from qos_agent.probes.host import sensors
from qos_agent.probes.spec import ProbeSpec, intervals, on_device
from qos_agent.system import machine
from qos_agent.system.machine import ProcessorTime


@dataclass(frozen=True, slots=True)
class _Usage:
    """Processor time used until `at_s`, in seconds since boot or process start."""

    at_s: float
    processors: ProcessorTime | None
    agent_s: float


class Host:
    """The probe of the device. Shares are for the time since the previous reading."""

    measurement = "host"
    loads_link = False
    deadline_s = 5.0

    def __init__(self, journal_folder: Path, sys: Path = Path("/sys")) -> None:
        self._folder = journal_folder
        self._sys = sys
        self._previous = _usage()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Create the probe for these settings; the disk is that of the journal."""
        return cls(settings.journal.folder)

    def worst_case_bytes(self) -> int:
        """Return 0, because the probe sends no traffic."""
        return 0

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:  # noqa: ARG002  required by the Probe protocol
        """Return the tags of the one point: none."""
        return ({},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:  # noqa: ARG002  required by the Probe protocol
        """Read every value once and leave out unreadable ones. Never fails."""
        values = self._processor() | self._memory() | self._board()
        fields = {name: value for name, value in values.items() if value is not None}
        return ProbeResult((Sample({}, fields),))

    def _processor(self) -> dict[str, Value | None]:
        previous, now = self._previous, _usage()
        self._previous = now
        elapsed_s = now.at_s - previous.at_s
        return {
            "cpu_share": _busy_share(previous.processors, now.processors),
            "agent_cpu_share": _share(now.agent_s - previous.agent_s, elapsed_s),
            "load_1m": _load_1m(),
            "uptime_s": now.at_s,
        }

    def _memory(self) -> dict[str, Value | None]:
        memory = machine.memory()
        used_share = available_bytes = None
        if memory is not None:
            available_bytes = memory.available_bytes
            used_bytes = memory.total_bytes - available_bytes
            used_share = _share(used_bytes, memory.total_bytes)
        return {
            "memory_available_bytes": available_bytes,
            "memory_used_share": used_share,
            "disk_free_bytes": _disk_free_bytes(self._folder),
            "agent_memory_bytes": machine.own_memory_bytes(),
        }

    def _board(self) -> dict[str, Value | None]:
        power = sensors.power(self._sys)
        return {
            "temperature_c": sensors.processor_temperature_c(self._sys),
            "throttled": _flag(sensors.throttled(self._sys)),
            "undervoltage": _flag(sensors.undervoltage(self._sys)),
            "on_battery": _flag(power.on_battery),
            "battery_share": power.charge_share,
        }


def _usage() -> _Usage:
    own = os.times()
    return _Usage(
        at_s=time.clock_gettime(time.CLOCK_BOOTTIME),
        processors=machine.processor_time(),
        agent_s=own.user + own.system + own.children_user + own.children_system,
    )


def _busy_share(
    previous: ProcessorTime | None, now: ProcessorTime | None
) -> float | None:
    """Return the busy share of the processors, at most 1: counters may step back."""
    if previous is None or now is None:
        return None
    share = _share(now.busy_s - previous.busy_s, now.total_s - previous.total_s)
    return None if share is None else min(1.0, share)


def _load_1m() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _share(part: float, whole: float) -> float | None:
    """Return `part / whole`, or None if `whole` is 0.

    Counters may decrease, so a negative share becomes 0.
    """
    return max(0.0, part / whole) if whole > 0 else None


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _disk_free_bytes(folder: Path) -> int | None:
    """Return the free space for this user in a folder, which may not exist yet."""
    try:
        folders = (folder, *folder.absolute().parents)
    except FileNotFoundError:  # The working folder was removed.
        return None
    for path in folders:
        try:
            return shutil.disk_usage(path).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


SPEC = ProbeSpec(
    name="host",
    make=Host.of,
    places=on_device,
    intervals_s=intervals(300.0, voting_s=60.0, counting_s=60.0),
    first_delay_s=(0.0, 0.0),
    status_fields=("cpu_share", "temperature_c"),
    log_fields=("cpu_share",),
    eviction_rank=0,
)
