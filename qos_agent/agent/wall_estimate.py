"""The wall time of a device whose clock is not trusted yet."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.model import Clock

# An agent that restarts again and again must not load its links at each start.
_LONG_STOP_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class WallEstimate:
    """The wall time, estimated from the last record while the clock is not trusted.

    With the estimate a device without a clock and a network changes its phase too. It
    assumes, as the journal does, that the device booted immediately after the last
    record, so it is never later than the true time.
    """

    clock: Clock
    last_record_ns: int | None

    def now_ns(self) -> int:
        """Return the present wall time."""
        boot_ns, state = self.clock.boot_ns(), self.clock.state()
        if state.trusted or self.last_record_ns is None:
            return boot_ns + state.offset_ns
        return boot_ns + self.last_record_ns

    def is_long_stopped(self) -> bool:
        """Return True if no agent ran within the last hour."""
        if self.last_record_ns is None:
            return True
        return self.now_ns() - self.last_record_ns > _LONG_STOP_NS
