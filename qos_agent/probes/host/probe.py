"""Was the instrument fit to measure: the device's own load, memory, heat, supply.

A slow device must not be reported as a slow network. Needs no link and no target;
what the device cannot tell is left out.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from qos_agent.config.settings import Settings
from qos_agent.model import Deadline, ProbeResult, Sample, Task, Value
from qos_agent.probes.host import sensors
from qos_agent.probes.spec import ProbeSpec, intervals, on_device


@dataclass(frozen=True, slots=True)
class _Usage:
    """Processor time used up to a moment, in seconds since boot or start."""

    at_s: float
    busy_s: float
    all_s: float
    agent_s: float


class Host:
    """The probe of the device itself. Shares are taken since the reading before."""

    measurement = "host"
    loads_link = False
    deadline_s = 5.0

    def __init__(self, journal_folder: Path, sys: Path = Path("/sys")) -> None:
        self._folder = journal_folder
        self._sys = sys
        self._process = psutil.Process()
        self._before = self._usage()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The probe for these settings: disk is measured where the journal lives."""
        return cls(settings.journal.folder)

    def worst_case_bytes(self) -> int:
        """Nothing is moved on any link."""
        return 0

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:  # noqa: ARG002  seam
        """One point, without tags of its own."""
        return ({},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:  # noqa: ARG002  seam
        """Read every counter once; never fails, what cannot be read is left out."""
        found = self._processor() | self._memory() | self._board()
        fields = {name: value for name, value in found.items() if value is not None}
        return ProbeResult((Sample({}, fields),))

    def _processor(self) -> dict[str, Value | None]:
        before, now = self._before, self._usage()
        self._before = now
        return {
            "cpu_share": _share(now.busy_s - before.busy_s, now.all_s - before.all_s),
            "agent_cpu_share": _share(
                now.agent_s - before.agent_s, now.at_s - before.at_s
            ),
            "load_1m": os.getloadavg()[0],
            "uptime_s": now.at_s,
        }

    def _usage(self) -> _Usage:
        times = psutil.cpu_times()
        # The kernel counts a guest's time in user and nice as well.
        every = sum(times) - times.guest - times.guest_nice
        own = self._process.cpu_times()
        return _Usage(
            at_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            busy_s=every - times.idle - times.iowait,
            all_s=every,
            agent_s=own.user + own.system + own.children_user + own.children_system,
        )

    def _memory(self) -> dict[str, Value | None]:
        memory = psutil.virtual_memory()
        return {
            "memory_available_bytes": memory.available,
            "memory_used_share": _share(memory.total - memory.available, memory.total),
            "disk_free_bytes": _disk_free_bytes(self._folder),
            "agent_memory_bytes": self._process.memory_info().rss,
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


def _share(part: float, whole: float) -> float | None:
    """`part` of `whole`; None where no time has passed. Counters may step back."""
    return max(0.0, part / whole) if whole > 0 else None


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _disk_free_bytes(folder: Path) -> int | None:
    """Free to this user where the folder is, or will be."""
    for place in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(place).free
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
