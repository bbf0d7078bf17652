"""A ledger in memory, and accounts over it, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from qos_agent.journal import Usage
from qos_agent.model import Link, Phase
from qos_agent.model.calendar import Change, Timeline
from qos_agent.schedule.allowance import Allowance
from qos_agent.schedule.allowance_account import AllowanceAccount, UsageLedger
from tests.support.clocks import ELECTION_MORNING_NS, FakeClock

JAKARTA = ZoneInfo("Asia/Jakarta")
MAIN = Link("main", "telkomsel")
HOUR_NS = 3600 * 10**9
# Voting is from 07:00 to 13:00 in Jakarta; the tests' clock starts at 07:00.
ELECTION = Timeline(
    (
        Change(ELECTION_MORNING_NS - 700 * HOUR_NS, Phase.PRE),
        Change(ELECTION_MORNING_NS, Phase.VOTING),
        Change(ELECTION_MORNING_NS + 6 * HOUR_NS, Phase.COUNTING),
        Change(ELECTION_MORNING_NS + 30 * HOUR_NS, Phase.POST),
    )
)


@dataclass
class MemoryLedger:
    """A usage ledger in memory; it survives a crash of the agent in a test."""

    clock: FakeClock
    rows: list[tuple[str, str, int, bool]] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    last_day: str = "1970-01-01"

    def reserve(
        self, link: str, probe: str, size_bytes: int, boot_id: str, due_boot_ns: int
    ) -> int:
        """Add a reservation and return its id."""
        self.rows.append((link, self.day(boot_id, due_boot_ns), size_bytes, False))
        return len(self.rows) - 1

    def settle_reservation(self, reservation_id: int, spent_bytes: int) -> None:
        """Replace the reserved bytes by the used bytes."""
        link, day, _, _ = self.rows[reservation_id]
        self.rows[reservation_id] = (link, day, spent_bytes, True)

    def spend(
        self, link: str, probe: str, size_bytes: int, boot_id: str, boot_ns: int
    ) -> None:
        """Add used bytes without a reservation."""
        self.rows.append((link, self.day(boot_id, boot_ns), size_bytes, True))

    def usage(self, link: str, since_day: str) -> list[Usage]:
        """Return the entries of a link since a day."""
        return [
            Usage(day, "any", size)
            for of_link, day, size, _ in self.rows
            if of_link == link and day >= since_day
        ]

    def day(self, boot_id: str, boot_ns: int) -> str:
        """Return the day by the clock if it is trusted, else the last known day."""
        if self.clock.trusted:
            wall_s = (boot_ns + self.clock.offset_ns) / 1e9
            moment = datetime.fromtimestamp(wall_s, UTC).astimezone(JAKARTA)
            self.last_day = moment.date().isoformat()
        return self.last_day

    def state(self, key: str) -> str | None:
        """Return a stored value."""
        return self.kept.get(key)

    def set_state(self, key: str, value: str) -> None:
        """Store a value."""
        self.kept[key] = value


def make_account(
    ledger: UsageLedger,
    clock: FakeClock,
    allowance: Allowance,
    timeline: Timeline = ELECTION,
    roaming: bool | None = None,
) -> AllowanceAccount:
    """An account for the link `main`."""
    allowances = {MAIN.name: allowance}
    return AllowanceAccount(
        ledger, allowances, clock, "Asia/Jakarta", timeline, lambda _: roaming
    )
