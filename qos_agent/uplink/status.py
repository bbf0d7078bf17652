"""What the uplink counts, and how its troubles are told: once a while, not each."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

_log = logging.getLogger(__name__)

_TELL_AGAIN_NS = 15 * 60 * 10**9
_MINUTE_NS = 60 * 10**9
_AGES_NS = (2 * _MINUTE_NS, 60 * _MINUTE_NS, 24 * 60 * _MINUTE_NS)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Points acknowledged since the start, by age at that moment."""

    le_2m: int = 0
    le_1h: int = 0
    le_1d: int = 0
    older: int = 0

    @property
    def all(self) -> int:
        """All of them."""
        return self.le_2m + self.le_1h + self.le_1d + self.older


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """How delivery stands. `state` is off, idle, sending or failing.

    `error` is the last trouble in words, None since it went well again; `offset_ms`
    our clock less the collector's. Counts are since the start.
    """

    state: str = "idle"
    collector: str | None = None
    error: str | None = None
    failing_since_boot_ns: int | None = None
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    quarantined: int = 0
    failures: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    offset_ms: float | None = None


def by_age(times_ns: Iterable[int], now_ns: int, so_far: Acknowledged) -> Acknowledged:
    """`so_far` and the points with these time stamps."""
    counts = [so_far.le_2m, so_far.le_1h, so_far.le_1d, so_far.older]
    for time_ns in times_ns:
        counts[sum(now_ns - time_ns > limit_ns for limit_ns in _AGES_NS)] += 1
    return Acknowledged(*counts)


class Troubles:
    """Says a trouble when it begins or changes, each quarter hour, and at its end."""

    def __init__(self) -> None:
        self._said: str | None = None
        self._said_boot_ns = 0
        self._since_boot_ns: int | None = None
        self._count = 0

    @property
    def since_boot_ns(self) -> int | None:
        """When the present trouble began; None where all is well."""
        return self._since_boot_ns

    def failed(self, collector: str, words: str, boot_ns: int) -> None:
        """Take note of a failure."""
        self._count += 1
        if self._since_boot_ns is None:
            self._since_boot_ns = boot_ns
        again = boot_ns - self._said_boot_ns > _TELL_AGAIN_NS
        if words != self._said or again:
            _log.warning("%s: %s (points are kept)", collector, words)
            self._said, self._said_boot_ns = words, boot_ns

    def succeeded(self, collector: str, boot_ns: int) -> None:
        """Take note that it went well."""
        if self._since_boot_ns is not None:
            lasted_s = (boot_ns - self._since_boot_ns) / 1e9
            _log.warning(
                "%s: delivers again after %.0f s and %d failures",
                collector, lasted_s, self._count,
            )  # fmt: skip
        self._said, self._since_boot_ns, self._count = None, None, 0


def failing(
    status: UplinkStatus, words: str, since_boot_ns: int | None
) -> UplinkStatus:
    """The status after a failed delivery."""
    return replace(
        status,
        state="failing",
        error=words,
        failing_since_boot_ns=since_boot_ns,
        failures=status.failures + 1,
    )
