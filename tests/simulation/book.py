"""What was spent, day by day, in memory: the journal's part in the allowance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from qos_agent.journal import Usage
from tests.support.clocks import FakeClock


@dataclass(slots=True)
class Spent:
    """Bytes of one reservation, or of none, on a day."""

    day: str
    link: str
    spent_bytes: int


@dataclass
class Book:
    """The ledger of the budget, without a disk: this simulation has no crash."""

    clock: FakeClock
    zone: ZoneInfo
    rows: list[Spent] = field(default_factory=list)
    totals: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: dict[str, str] = field(default_factory=dict)

    def reserve(
        self, link: str, probe: str, size_bytes: int, boot_id: str, due_boot_ns: int
    ) -> int:
        """Enter a reservation."""
        self.rows.append(Spent(self.day(boot_id, due_boot_ns), link, size_bytes))
        self.totals[link, self.rows[-1].day] += size_bytes
        return len(self.rows) - 1

    def settle_reservation(self, reservation_id: int, spent_bytes: int) -> None:
        """What was spent in place of what was reserved."""
        row = self.rows[reservation_id]
        self.totals[row.link, row.day] += spent_bytes - row.spent_bytes
        row.spent_bytes = spent_bytes

    def spend(
        self, link: str, probe: str, size_bytes: int, boot_id: str, boot_ns: int
    ) -> None:
        """Bytes that had no reservation."""
        self.reserve(link, probe, size_bytes, boot_id, boot_ns)

    def usage(self, link: str, since_day: str) -> list[Usage]:
        """Return the sum of each day since one."""
        return [
            Usage(day, "any", total)
            for (of_link, day), total in self.totals.items()
            if of_link == link and day >= since_day
        ]

    def day(self, boot_id: str, boot_ns: int) -> str:
        """The station's date at that moment."""
        wall_ns = boot_ns + self.clock.offset_ns
        moment = datetime.fromtimestamp(wall_ns // 10**9, UTC)
        return moment.astimezone(self.zone).date().isoformat()

    def state(self, key: str) -> str | None:
        """A value kept under a name."""
        return self.states.get(key)

    def set_state(self, key: str, value: str) -> None:
        """Keep a value under a name."""
        self.states[key] = value
