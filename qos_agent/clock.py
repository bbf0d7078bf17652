"""Wall time, boot time, and how far the wall clock may be believed.

Scheduling and durations use CLOCK_BOOTTIME, which goes on in suspend and never
steps. The kernel's own word on its clock is adjtimex(2): state TIME_ERROR or
STA_UNSYNC means nobody disciplines it.
"""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from qos_agent.model import Clock, ClockState

_STA_UNSYNC = 0x0040  # <sys/timex.h>
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """struct timex of 64-bit Linux, as far as it is read here; see adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


class SystemClock:
    """The kernel's clocks.

    Trusted means: not before `not_before_ns`. A device without a battery-backed
    clock boots in the past, and the past is known: nothing can be measured before
    this software was made.
    """

    def __init__(self, not_before_ns: int) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._not_before_ns = not_before_ns
        self._libc = ctypes.CDLL(None, use_errno=True)

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        """CLOCK_REALTIME in nanoseconds since 1970."""
        return time.clock_gettime_ns(time.CLOCK_REALTIME)

    def state(self) -> ClockState:
        """Offset of wall to boot time, trust, and the kernel's error bound."""
        before = self.boot_ns()
        wall = self.wall_ns()
        between = (before + self.boot_ns()) // 2
        synced, error_ms = self._kernel_word()
        return ClockState(wall - between, wall >= self._not_before_ns, synced, error_ms)

    def _kernel_word(self) -> tuple[bool, float | None]:
        timex = _Timex()
        state = self._libc.adjtimex(ctypes.byref(timex))
        if state < 0:
            return False, None
        synced = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
        return synced, timex.maxerror / 1000 if synced else None


# No reading can be older than this software (September 2026).
_NOT_BEFORE_NS = 1_790_000_000 * 10**9


def system_clock() -> SystemClock:
    """The kernel's clocks, distrusted before this software was made."""
    return SystemClock(_NOT_BEFORE_NS)


@dataclass(frozen=True, slots=True)
class TaskDeadline:
    """The end of a task on boot time, cut short when the agent stops."""

    clock: Clock
    end_boot_ns: int
    stop: threading.Event

    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, (self.end_boot_ns - self.clock.boot_ns()) / 1e9)

    def wait(self, seconds: float) -> bool:
        """Sleep, at most until the end; True when the time is up or all stops."""
        stopped = self.stop.wait(min(seconds, self.remaining_s()))
        return stopped or self.remaining_s() == 0.0

    def stopping(self) -> bool:
        """True when the agent is stopping."""
        return self.stop.is_set()
