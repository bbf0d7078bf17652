"""A usage ledger in memory, with the journal's part in the allowance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from qos_agent.journal import Usage
from tests.support.clocks import FakeClock


@dataclass(slots=True)
class Entry:
    """The bytes of one reservation, or without one, on a day."""

    day: str
    link: str
    spent_bytes: int


@dataclass
class UsageBook:
    """A ledger without a disk, because this simulation has no crash."""

    clock: FakeClock
    zone: ZoneInfo
    rows: list[Entry] = field(default_factory=list)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: dict[str, str] = field(default_factory=dict)

    def reserve(
        self, link: str, probe: str, size_bytes: int, boot_id: str, due_boot_ns: int
    ) -> int:
        """Add a reservation and return its number."""
        self.rows.append(Entry(self.day(boot_id, due_boot_ns), link, size_bytes))
        self.totals[link, self.rows[-1].day] += size_bytes
        return len(self.rows) - 1

    def settle_reservation(self, reservation_id: int, spent_bytes: int) -> None:
        """Replace the reserved bytes by the spent bytes."""
        row = self.rows[reservation_id]
        self.totals[row.link, row.day] += spent_bytes - row.spent_bytes
        row.spent_bytes = spent_bytes

    def spend(
        self, link: str, probe: str, size_bytes: int, boot_id: str, boot_ns: int
    ) -> None:
        """Add bytes without a reservation."""
        self.reserve(link, probe, size_bytes, boot_id, boot_ns)

    def usage(self, link: str, since_day: str) -> list[Usage]:
        """Return the sum of each day since `since_day`."""
        return [
            Usage(day, "any", total)
            for (of_link, day), total in self.totals.items()
            if of_link == link and day >= since_day
        ]

    def day(self, boot_id: str, boot_ns: int) -> str:
        """Return the station's date at that moment."""
        wall_ns = boot_ns + self.clock.offset_ns
        moment = datetime.fromtimestamp(wall_ns // 10**9, UTC)
        return moment.astimezone(self.zone).date().isoformat()

    def state(self, key: str) -> str | None:
        """Return a stored value."""
        return self.states.get(key)

    def set_state(self, key: str, value: str) -> None:
        """Store a value."""
        self.states[key] = value
