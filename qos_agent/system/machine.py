"""Figures of the machine from psutil: processor, memory, addresses of interfaces.

psutil raises many kinds of exceptions if /proc is restricted (`hidepid`, `subset=pid`)
or if a file in it is not as expected. A figure is then None, and the log names it once.
psutil reads files without a limit, so each is first read with one. If /proc/stat has no
end or is a pipe, psutil is not imported, because it reads that file on import. Links
with a source address then fail as `binding`.
"""

from __future__ import annotations

import errno
import io
import math
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from qos_agent.system.files import name_once, read_bytes, read_text

_STAT, _MEMORY = Path("/proc/stat"), Path("/proc/meminfo")


def _ends(path: Path) -> bool:
    """Return False if reading the file could wait or go on without end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        read_bytes(path)
    except OSError as error:
        return error.errno != errno.EFBIG
    return True


def _library() -> ModuleType | None:
    if not _ends(_STAT):
        return None
    # It prints a traceback while it is imported if /proc/stat cannot be read.
    with redirect_stderr(io.StringIO()):
        import psutil
    return psutil


_psutil = _library()
_Figure = TypeVar("_Figure")
_UNEXPECTED = (
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
    RuntimeError,
    *(() if _psutil is None else (_psutil.Error,)),
)


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds that the processors were busy, and all seconds, since the boot."""

    busy_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of the machine."""

    total_bytes: int
    available_bytes: int


def processor_time() -> ProcessorTime | None:
    """Return the time used by all processors, or None if unknown."""
    return _from_psutil(_STAT, _processor_time)


def memory() -> Memory | None:
    """Return the memory of the machine, or None if unknown."""
    return _from_psutil(_MEMORY, _memory)


def own_memory_bytes() -> int | None:
    """Return the resident memory of this process, or None if unknown."""
    path = Path("/proc/self/statm")
    text = read_text(path)
    if text is None:
        return None
    return _figure(path, lambda: int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE"))


def interface_addresses() -> Mapping[str, Sequence[str]]:
    """Return the addresses of each interface; empty if they are unknown."""
    if _psutil is None:
        return {}
    found = _figure(Path("/sys/class/net"), _psutil.net_if_addrs) or {}
    return {name: [a.address for a in addresses] for name, addresses in found.items()}


def _processor_time(psutil: ModuleType) -> ProcessorTime:
    times = psutil.cpu_times()
    # The kernel includes guest time in user and nice too, so subtract it once.
    total_s = sum(times) - times.guest - times.guest_nice
    busy_s = total_s - times.idle - times.iowait
    if not (math.isfinite(busy_s) and math.isfinite(total_s)):
        raise ValueError(f"{busy_s} of {total_s} seconds busy")
    return ProcessorTime(busy_s, total_s)


def _memory(psutil: ModuleType) -> Memory:
    numbers = psutil.virtual_memory()
    if not 0 <= numbers.available <= numbers.total:
        raise ValueError(f"{numbers.available} of {numbers.total} bytes available")
    return Memory(numbers.total, numbers.available)


def _from_psutil(path: Path, read: Callable[[ModuleType], _Figure]) -> _Figure | None:
    """Return a figure of psutil from a file, if reading the file ends."""
    if _psutil is None or not _ends(path):
        odd = _STAT if _psutil is None else path
        name_once(odd, "has no end, or is not a regular file")
        return None
    library = _psutil
    return _figure(path, lambda: read(library))


def _figure(path: Path, read: Callable[[], _Figure]) -> _Figure | None:
    try:
        return read()
    except _UNEXPECTED as error:
        name_once(path, f"is not as expected ({type(error).__name__})")
        return None
