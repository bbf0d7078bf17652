"""A clock that tests turn by hand."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.model import ClockState

# 14 February 2024, 00:00 UTC: 07:00 in Jakarta, the polls open.
ELECTION_MORNING_NS = 1_707_868_800 * 10**9


@dataclass
class FakeClock:
    """Boot time and wall time, moved together or stepped apart."""

    boot_id: str = "boot-1"
    now_boot_ns: int = 10**12
    offset_ns: int = ELECTION_MORNING_NS - 10**12
    trusted: bool = True
    synced: bool = True
    error_ms: float | None = 1.5

    def boot_ns(self) -> int:
        """Boot time."""
        return self.now_boot_ns

    def wall_ns(self) -> int:
        """Wall time."""
        return self.now_boot_ns + self.offset_ns

    def state(self) -> ClockState:
        """The relation of the two."""
        return ClockState(self.offset_ns, self.trusted, self.synced, self.error_ms)

    def not_behind(self, newest_record_ns: int | None) -> None:
        """Believed or not as the test says."""

    def compared(self, collector_offset_ms: float | None) -> None:
        """Believed or not as the test says."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_boot_ns += int(seconds * 1e9)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self.offset_ns += int(seconds * 1e9)
