"""A clock that tests set and advance."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.model import ClockState

# 14 February 2024, 00:00 UTC: 07:00 in Jakarta, the start of voting.
ELECTION_MORNING_NS = 1_707_868_800 * 10**9


@dataclass
class FakeClock:
    """Boot time and wall time, which advance together or are stepped apart."""

    boot_id: str = "boot-1"
    now_boot_ns: int = 10**12
    offset_ns: int = ELECTION_MORNING_NS - 10**12
    trusted: bool = True
    synced: bool = True
    error_ms: float | None = 1.5

    def boot_ns(self) -> int:
        """Return the boot time."""
        return self.now_boot_ns

    def wall_ns(self) -> int:
        """Return the wall time."""
        return self.now_boot_ns + self.offset_ns

    def state(self) -> ClockState:
        """Return the relation of boot time and wall time."""
        return ClockState(self.offset_ns, self.trusted, self.synced, self.error_ms)

    def not_behind(self, newest_record_ns: int | None) -> None:
        """Do nothing; the test sets `trusted`."""

    def compared(self, collector_offset_ms: float | None) -> None:
        """Do nothing; the test sets `trusted`."""

    def advance(self, seconds: float) -> None:
        """Advance both times."""
        self.now_boot_ns += int(seconds * 1e9)

    def step(self, seconds: float) -> None:
        """Step the wall time forward or back."""
        self.offset_ns += int(seconds * 1e9)
