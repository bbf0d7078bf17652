"""A simulated device: its queue, its version and configuration, its heartbeat figures.

The agent's own code builds the heartbeat from the figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qos_agent import __version__
from qos_agent.agent.events import HeartbeatFigures

_ALLOWANCE_BYTES = 10_000_000_000
_LOW_SHARE = 0.1
_POOR_CLOCK_MS = 1000.0
_OLD_S = 3600.0
# Size of a point, compressed and with its share of headers, from `bench.footprint`.
_POINT_BYTES = 150
_FAILURE_BYTES = 300
_DISK_BYTES = 8_000_000_000
_RECORD_BYTES = 1_100
# Version, configuration and share of the devices in per cent.
_INSTALLATIONS = (
    (__version__, "5a6f0d1c2b3e", 80),
    (__version__, "91c7e4a05d22", 14),
    ("0.0.9", "0b44d7f3a918", 6),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """The combined effect of faults on one station in one minute.

    `arrives` is the minute in which the points of this minute arrive.
    """

    arrives: int
    measures: bool = True
    clock_error_s: float = 0.0
    allowance_share: float | None = None


@dataclass(slots=True)
class Outbox:
    """Points without an acknowledgement, as (minute, arrives, points)."""

    parts: list[tuple[int, int, int]] = field(default_factory=list)

    def put(self, minute: int, arrives: int, points: int) -> None:
        """Add the points of a minute."""
        self.parts.append((minute, arrives, points))

    def acknowledged(self, minute: int) -> list[tuple[int, int]]:
        """Remove what has arrived until a minute, as (age in minutes, points)."""
        arrived = [(a - m, points) for m, a, points in self.parts if a <= minute]
        if len(arrived) == len(self.parts):
            self.parts.clear()
        elif arrived:
            self.parts = [part for part in self.parts if part[1] > minute]
        return arrived

    @property
    def points(self) -> int:
        """Return the number of points."""
        return sum(points for *_, points in self.parts)

    @property
    def oldest(self) -> int | None:
        """Return the minute of the oldest points."""
        return min((minute for minute, *_ in self.parts), default=None)


@dataclass(slots=True)
class Device:
    """The state of one device. `number` selects its version and other properties."""

    number: int
    seq: int = 0
    booted: int | None = None
    outbox: Outbox = field(default_factory=Outbox)

    def boot_s(self, minute: int) -> float:
        """Return the time since boot: since a power cut, or else up to about a day."""
        if self.booted is not None:
            return 60.0 * (minute - self.booted)
        return 3600 + self.number * 7919 % 86400 + 60.0 * minute

    def heartbeat_figures(
        self, minute: int, condition: Condition, calendar_hash: str | None
    ) -> HeartbeatFigures:
        """Return the figures of a heartbeat. Counts are since the previous one."""
        arrived = self.outbox.acknowledged(minute)
        oldest = self.outbox.oldest
        unsent_s = None if oldest is None else 60.0 * (minute - oldest)
        offset_ms = self._offset_ms(condition)
        left_share = self._left_share(condition)
        sent = sum(points for _, points in arrived)
        failures = 0 if oldest is None else 2
        boot_s = max(5.0, self.boot_s(minute))
        version, config_hash = self._installation()
        return HeartbeatFigures(
            version=version,
            config_hash=config_hash,
            calendar_hash=calendar_hash,
            uptime_s=max(1.0, boot_s - 20.0),
            boot_s=boot_s,
            backlog_points=self.outbox.points,
            oldest_unsent_s=unsent_s,
            pending_points=0,
            quarantined_points=0,
            journal_bytes=4_000_000 + _RECORD_BYTES * self.outbox.points,
            in_memory=0,
            disk_free_bytes=float(_DISK_BYTES - _RECORD_BYTES * self.seq),
            allowance_left_bytes=int(left_share * _ALLOWANCE_BYTES),
            allowance_left_share=left_share,
            allowance_day_left_bytes=int(left_share * _ALLOWANCE_BYTES / 30),
            clock_offset_ms=offset_ms,
            clock_poor=int(abs(offset_ms) > _POOR_CLOCK_MS),
            allowance_low=int(left_share < _LOW_SHARE),
            unsent_old=int(unsent_s is not None and unsent_s > _OLD_S),
            acked_le_2m=_aged(arrived, -1, 2),
            acked_le_1h=_aged(arrived, 2, 60),
            acked_le_1d=_aged(arrived, 60, 1440),
            acked_older=_aged(arrived, 1440, 10**9),
            evicted=0,
            uplink_bytes=sent * _POINT_BYTES + failures * _FAILURE_BYTES,
            uplink_failures=failures,
            delivery_s=None,
            collector_full=0,
            collector_insecure=0,
        )

    def _installation(self) -> tuple[str, str]:
        remaining = self.number * 37 % 100
        for version, config_hash, share in _INSTALLATIONS:
            remaining -= share
            if remaining < 0:
                return version, config_hash
        raise AssertionError("the shares of _INSTALLATIONS must add up to 100")

    def _left_share(self, condition: Condition) -> float:
        if condition.allowance_share is not None:
            return condition.allowance_share
        return 0.3 + self.number * 61 % 100 / 150

    def _offset_ms(self, condition: Condition) -> float:
        """Return the offset as the collector's Date header gives it."""
        return 1000.0 * condition.clock_error_s + self.number * 13 % 40 - 20


def _aged(arrived: list[tuple[int, int]], over: int, most: int) -> int:
    return sum(points for age, points in arrived if over < age <= most)
