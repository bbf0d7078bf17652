"""Delivery counters, and rate-limited logging of delivery failures."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from qos_agent.model.line_protocol import without_values

_log = logging.getLogger(__name__)

_REPEAT_NS = 15 * 60 * 10**9
_MINUTE_NS = 60 * 10**9
_AGES_NS = (2 * _MINUTE_NS, 60 * _MINUTE_NS, 24 * 60 * _MINUTE_NS)


@dataclass(frozen=True, slots=True)
class AcknowledgedPoints:
    """Points acknowledged since the start, by their age at that moment."""

    le_2m: int = 0
    le_1h: int = 0
    le_1d: int = 0
    older: int = 0

    @property
    def all(self) -> int:
        """The number of all points."""
        return self.le_2m + self.le_1h + self.le_1d + self.older

    def plus(self, times_ns: Iterable[int], now_ns: int) -> AcknowledgedPoints:
        """Return these counts plus the points with the given timestamps."""
        counts = [self.le_2m, self.le_1h, self.le_1d, self.older]
        for time_ns in times_ns:
            counts[sum(now_ns - time_ns > limit_ns for limit_ns in _AGES_NS)] += 1
        return AcknowledgedPoints(*counts)


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """The state of delivery: `state` is off, idle, sending or failing.

    `error` is the message of the last failure, or None after a success. `full` is True
    while the collector refuses points because of a limit of its capacity. `offset_ms`
    is this device's clock minus the collector's. The counts begin at the start.
    """

    state: str = "idle"
    collector: str | None = None
    error: str | None = None
    full: bool = False
    acknowledged: AcknowledgedPoints = field(default_factory=AcknowledgedPoints)
    quarantined: int = 0
    failures: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    offset_ms: float | None = None


class FailureLog:
    """Logs a failure when it begins or changes, every 15 minutes, and at its end."""

    def __init__(self) -> None:
        self._logged: str | None = None
        self._logged_boot_ns = 0
        self._since_boot_ns: int | None = None
        self._count = 0

    @property
    def since_boot_ns(self) -> int | None:
        """The start of the present failure; None after a success."""
        return self._since_boot_ns

    def failed(self, collector: str, message: str, boot_ns: int) -> None:
        """Count a failure and log it if it is due."""
        self._count += 1
        if self._since_boot_ns is None:
            self._since_boot_ns = boot_ns
        is_due = boot_ns - self._logged_boot_ns > _REPEAT_NS
        cause = without_values(message)
        if cause != self._logged or is_due:
            _log.warning(
                "uplink: cannot deliver to %s, points stay in the journal: %s",
                collector,
                message,
                extra={"fields": {"collector": collector, "cause": cause}},
            )
            self._logged, self._logged_boot_ns = cause, boot_ns

    def succeeded(self, collector: str, boot_ns: int) -> None:
        """Log the end of a failure."""
        if self._since_boot_ns is not None:
            lasted_s = (boot_ns - self._since_boot_ns) / 1e9
            _log.warning(
                "uplink: delivers to %s again after %.0f s and %d failures",
                collector,
                lasted_s,
                self._count,
            )
        self._logged, self._since_boot_ns, self._count = None, None, 0
