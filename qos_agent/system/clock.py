"""Wall time, boot time, and the decision whether to trust the wall clock.

Scheduling and durations use CLOCK_BOOTTIME, which goes on in suspend and never
steps. adjtimex(2) reports whether the kernel's clock is synchronised: with state
TIME_ERROR or flag STA_UNSYNC no time service disciplines it.
"""

from __future__ import annotations

import ctypes
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from qos_agent.model import Clock, ClockState
from qos_agent.model.time_span import FIRST_NS, LAST_NS
from qos_agent.system.files import matching, name_once, read_text

_STA_UNSYNC = 0x0040  # <sys/timex.h>
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The first fields of struct timex of 64-bit Linux; see adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


# Time after boot until an unsynchronised clock is trusted. NTP over a mobile link
# needs a minute or two, and the modem needs as long before it.
_SETTLE_NS = 300 * 10**9
_AGREES_MS = 5_000.0
_CONTRADICTS_MS = 60_000.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_RTC_FOLDER = Path("/sys/class/rtc")


@dataclass(frozen=True, slots=True)
class ClockEvidence:
    """Evidence for deciding whether to trust the wall clock.

    `collector_offset_ms` is this clock minus the Date header of the collector.
    `newest_record_ns` is the newest timestamp in the journal.
    """

    wall_ns: int
    boot_ns: int
    synced: bool
    has_rtc: bool
    not_before_ns: int
    newest_record_ns: int | None = None
    collector_offset_ms: float | None = None


def is_trusted(evidence: ClockEvidence) -> bool:
    """Return True if readings may get a timestamp from the wall clock now.

    A device without a battery-backed clock boots in the past, often at the hour that
    it saved last. A clock that the kernel reports as synchronised is trusted. If it is
    not, the collector's Date header decides. If that does not decide either, the clock
    must not be behind the newest record. It must also be battery-backed, or have had
    time to be set.
    """
    return doubt(evidence) is None


def doubt(evidence: ClockEvidence) -> str | None:
    """Return the reason why the wall clock is not trusted; None if it is."""
    if not evidence.not_before_ns <= evidence.wall_ns < LAST_NS:
        is_early = evidence.wall_ns < LAST_NS
        far = "the clock is in the far future"
        return "the clock is in the past" if is_early else far
    offset_ms = evidence.collector_offset_ms
    agrees = offset_ms is not None and abs(offset_ms) < _AGREES_MS
    if evidence.synced or agrees:
        return None
    if offset_ms is not None and abs(offset_ms) > _CONTRADICTS_MS:
        return "the clock differs from the collector's by more than a minute"
    if evidence.wall_ns < (evidence.newest_record_ns or 0):
        return "the clock is behind the newest point"
    if evidence.has_rtc or evidence.boot_ns > _SETTLE_NS:
        return None
    return (
        "no time server has set the clock, and the device started less than 5 minutes "
        "ago"
    )


def _boot_id() -> str:
    """Return the kernel's name of this boot.

    Without /proc/sys each process has a name of its own. Points that wait for a clock
    and pauses are then treated as after a reboot.
    """
    text = (read_text(_BOOT_ID) or "").strip()
    try:
        return str(uuid.UUID(text))
    except ValueError:
        name_once(_BOOT_ID, "has no boot id")
        return str(uuid.uuid4())


class SystemClock:
    """The clocks of the kernel, with the evidence for and against the wall clock."""

    def __init__(self, not_before_ns: int) -> None:
        self.boot_id = _boot_id()
        self._not_before_ns = not_before_ns
        self._has_rtc = bool(matching(_RTC_FOLDER, "*"))
        self._newest_record_ns: int | None = None
        self._collector_offset: tuple[float, int] | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)

    def not_behind(self, newest_record_ns: int | None) -> None:
        """Record the newest timestamp: a clock before it has not been set yet."""
        self._newest_record_ns = newest_record_ns

    def compared(self, collector_offset_ms: float | None) -> None:
        """Record the offset from a collector; valid until the clock is stepped."""
        if collector_offset_ms is not None:
            then_ns = self.wall_ns() - self.boot_ns()
            self._collector_offset = (collector_offset_ms, then_ns)

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wall_ns(self) -> int:
        """CLOCK_REALTIME in nanoseconds since 1970."""
        return time.clock_gettime_ns(time.CLOCK_REALTIME)

    def state(self) -> ClockState:
        """Return the offset of wall time to boot time, and the trust in it."""
        evidence, error_ms = self._evidence()
        return ClockState(
            evidence.wall_ns - evidence.boot_ns,
            is_trusted(evidence),
            evidence.synced,
            error_ms,
        )

    def doubt(self) -> str | None:
        """Return the reason why the wall clock is not trusted; None if it is."""
        return doubt(self._evidence()[0])

    def _evidence(self) -> tuple[ClockEvidence, float | None]:
        """Return the evidence, and the kernel's bound of the error."""
        before = self.boot_ns()
        wall = self.wall_ns()
        between = (before + self.boot_ns()) // 2
        synced, error_ms = self._kernel_sync()
        evidence = ClockEvidence(
            wall_ns=wall,
            boot_ns=between,
            synced=synced,
            has_rtc=self._has_rtc,
            not_before_ns=self._not_before_ns,
            newest_record_ns=self._newest_record_ns,
            collector_offset_ms=self._collector_offset_now_ms(wall - between),
        )
        return evidence, error_ms

    def _collector_offset_now_ms(self, offset_ns: int) -> float | None:
        """Return the recorded offset, corrected by every later step of the clock."""
        if self._collector_offset is None:
            return None
        recorded_ms, then_ns = self._collector_offset
        return recorded_ms + (offset_ns - then_ns) / 1e6

    def _kernel_sync(self) -> tuple[bool, float | None]:
        """Return whether the clock is synchronised, and its error bound in ms."""
        timex = _Timex()
        state = self._libc.adjtimex(ctypes.byref(timex))
        if state < 0:
            return False, None
        synced = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
        return synced, timex.maxerror / 1000 if synced else None


def system_clock() -> SystemClock:
    """Return the clocks of the kernel, not trusted before this software existed."""
    return SystemClock(FIRST_NS)


class StepWatch:
    """Detects that the wall clock was set, and not only slewed.

    Slewing moves a clock by at most 500 ppm (adjtimex(2)): 30 ms in a minute.
    """

    def __init__(self, minimum_ms: float = 500.0) -> None:
        self._minimum_ms = minimum_ms
        self._offset_ns: int | None = None

    def step_ms(self, state: ClockState) -> float | None:
        """Return the step since the last call; None if the clock was not set."""
        before, self._offset_ns = self._offset_ns, state.offset_ns
        if before is None:
            return None
        moved_ms = (state.offset_ns - before) / 1e6
        return moved_ms if abs(moved_ms) >= self._minimum_ms else None


@dataclass(frozen=True, slots=True)
class TaskDeadline:
    """The end of a task in boot time; it comes earlier if the agent stops."""

    clock: Clock
    end_boot_ns: int
    stop: threading.Event

    def remaining_s(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, (self.end_boot_ns - self.clock.boot_ns()) / 1e9)

    def wait(self, seconds: float) -> bool:
        """Sleep; return True if the end has come or the agent is stopping."""
        stopped = self.stop.wait(min(seconds, self.remaining_s()))
        return stopped or self.remaining_s() == 0.0

    def stopping(self) -> bool:
        """Return True if the agent is stopping."""
        return self.stop.is_set()
