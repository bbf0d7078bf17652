"""What a simulated device knows of itself: what waits, what arrived, how it is set up.

Its heartbeat is made by the agent's own code; this gives the figures, true to what
happened to the device.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qos_agent import __version__
from qos_agent.agent.events import HeartbeatFigures

_ALLOWANCE_BYTES = 10_000_000_000
_LOW_SHARE = 0.1
_POOR_CLOCK_MS = 1000.0
_OLD_S = 3600.0
# Of a point, compressed and with its share of headers: as `bench.footprint` saw it.
_POINT_BYTES = 150
_FAILURE_BYTES = 300
_DISK_BYTES = 8_000_000_000
_RECORD_BYTES = 1_100
# Few kinds of set-up, as in the field: (version, configuration, share in a hundred).
_KINDS = (
    (__version__, "5a6f0d1c2b3e", 80),
    (__version__, "91c7e4a05d22", 14),
    ("0.0.9", "0b44d7f3a918", 6),
)


@dataclass(frozen=True, slots=True)
class Condition:
    """What troubles do together to one station in one minute.

    `arrives` is the minute in which what is measured now arrives.
    """

    arrives: int
    measures: bool = True
    clock_error_s: float = 0.0
    allowance_share: float | None = None


@dataclass(slots=True)
class Outbox:
    """What a device stored and has not heard of yet: (minute, arrives, points)."""

    parts: list[tuple[int, int, int]] = field(default_factory=list)

    def put(self, minute: int, arrives: int, points: int) -> None:
        """Store points."""
        self.parts.append((minute, arrives, points))

    def acknowledged(self, minute: int) -> list[tuple[int, int]]:
        """Take out what has arrived until a minute: (age in minutes, points)."""
        came = [(a - m, points) for m, a, points in self.parts if a <= minute]
        if len(came) == len(self.parts):
            self.parts.clear()
        elif came:
            self.parts = [part for part in self.parts if part[1] > minute]
        return came

    @property
    def points(self) -> int:
        """How many wait."""
        return sum(points for *_, points in self.parts)

    @property
    def oldest(self) -> int | None:
        """The minute of the oldest that waits."""
        return min((minute for minute, *_ in self.parts), default=None)


@dataclass(slots=True)
class Device:
    """One device between two minutes. `number` decides how it is set up."""

    number: int
    seq: int = 0
    booted: int | None = None
    outbox: Outbox = field(default_factory=Outbox)

    def boot_s(self, minute: int) -> float:
        """Since the device booted: a day or so before, or when power came back."""
        usual = 3600 + self.number * 7919 % 86400
        booted = self.booted
        return usual + 60.0 * minute if booted is None else 60.0 * (minute - booted)

    def pulse(
        self, minute: int, condition: Condition, calendar_hash: str | None
    ) -> HeartbeatFigures:
        """The heartbeat's own figures; counts are since the heartbeat before."""
        came = self.outbox.acknowledged(minute)
        oldest = self.outbox.oldest
        unsent_s = None if oldest is None else 60.0 * (minute - oldest)
        offset_ms = self._offset_ms(condition)
        left = self._left(condition)
        sent = sum(points for _, points in came)
        failures = 0 if oldest is None else 2
        boot_s = max(5.0, self.boot_s(minute))
        version, config_hash = self._kind()
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
            allowance_left_bytes=int(left * _ALLOWANCE_BYTES),
            allowance_left_share=left,
            allowance_day_left_bytes=int(left * _ALLOWANCE_BYTES / 30),
            clock_offset_ms=offset_ms,
            clock_poor=int(abs(offset_ms) > _POOR_CLOCK_MS),
            allowance_low=int(left < _LOW_SHARE),
            unsent_old=int(unsent_s is not None and unsent_s > _OLD_S),
            acked_le_2m=_aged(came, -1, 2),
            acked_le_1h=_aged(came, 2, 60),
            acked_le_1d=_aged(came, 60, 1440),
            acked_older=_aged(came, 1440, 10**9),
            evicted=0,
            uplink_bytes=sent * _POINT_BYTES + failures * _FAILURE_BYTES,
            uplink_failures=failures,
        )

    def _kind(self) -> tuple[str, str]:
        drawn = self.number * 37 % 100
        for version, config_hash, share in _KINDS:
            drawn -= share
            if drawn < 0:
                return version, config_hash
        raise AssertionError("the shares of the kinds make a hundred")

    def _left(self, condition: Condition) -> float:
        if condition.allowance_share is not None:
            return condition.allowance_share
        return 0.3 + self.number * 61 % 100 / 150

    def _offset_ms(self, condition: Condition) -> float:
        """What the collector's Date header tells; whole seconds are its grain."""
        return 1000.0 * condition.clock_error_s + self.number * 13 % 40 - 20


def _aged(came: list[tuple[int, int]], over: int, most: int) -> int:
    return sum(points for age, points in came if over < age <= most)
