"""Two weeks around an election on a small SIM: the limits hold while voting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pytest

from qos_agent.config import calendar_file
from qos_agent.config.settings import Settings
from qos_agent.model import Phase
from qos_agent.schedule.allowance_account import (
    AllowanceAccount,
    Refusal,
    allowances,
)
from qos_agent.schedule.slots import Job, fraction
from tests.simulation.book import UsageBook
from tests.simulation.station import Station
from tests.simulation.test_fortnight import HOUR_NS, SPAN, VOTING, WHO, wall_ns
from tests.support.clocks import FakeClock

MONTH_BYTES, DAY_BYTES, RESERVE_BYTES = 1_000_000_000, 320_000_000, 250_000_000
# Throughput every hour before the vote needs twice the monthly allowance.
SETTINGS = Settings.model_validate(
    {
        "links": [{"name": "main", "operator": "telkomsel"}],
        "targets": [{"name": "gateway", "host": "@gateway", "layer": "gateway"}],
        "web": {"pages": [{"name": "page", "url": "https://page.example.id/"}]},
        "form": {"url": "https://forms.example.id/"},
        "schedule": {"pre": {"throughput": "1h", "web": "30m"}},
        "allowance": {
            "monthly": "1GB",
            "daily": "320MB",
            "voting_reserve": "250MB",
            "reset_day": 7,
        },
    }
)
WORST_BYTES = {
    "latency": 5_000,
    "web": 2_200_000,
    "form": 3_300_000,
    "throughput": 11_000_000,
}


@dataclass
class AccountedTasks:
    """Runs each task on the account and records the data that it moves."""

    account: AllowanceAccount
    book: UsageBook
    station: Station
    spent: Counter[str] = field(default_factory=Counter)
    before_voting_bytes: int = 0
    busiest_day_bytes: int = 0

    def measure(self, job: Job, due_boot_ns: int) -> str:
        """Reserve, move a part of the worst case and settle; return the outcome."""
        if job.link is None:
            return "ok"
        worst_bytes = WORST_BYTES[job.probe]
        grant = self.account.reserve(job.link, job.probe, worst_bytes)
        if isinstance(grant, Refusal):
            return grant.reason
        moved = fraction(f"{job.key}/{due_boot_ns}", worst_bytes) + 1
        self.account.settle(grant, moved)
        self._count(self.book.day("", due_boot_ns), moved)
        return "ok"

    def _count(self, day: str, moved: int) -> None:
        self.spent[day] += moved
        self.busiest_day_bytes = max(self.busiest_day_bytes, self.spent[day])
        if self.station.phase is Phase.PRE:
            self.before_voting_bytes += moved


def fortnight(name: str, zone: str) -> AccountedTasks:
    """Run a station through the two weeks on its allowance."""
    identity = WHO[zone]
    start, end = (wall_ns(edge, identity.time_zone) for edge in SPAN[name])
    clock = FakeClock(now_boot_ns=HOUR_NS, offset_ns=start - HOUR_NS)
    calendar = calendar_file.named(name)
    book = UsageBook(clock, ZoneInfo(identity.time_zone))
    account = AllowanceAccount(
        book,
        allowances(SETTINGS),
        clock,
        identity.time_zone,
        calendar.timeline(identity),
        lambda _link: None,
    )
    station = Station(identity, calendar, SETTINGS, clock)
    tasks = AccountedTasks(account, book, station)
    station.measure = tasks.measure
    station.run(end)
    account.close()
    return tasks


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SPAN))
@pytest.mark.parametrize("zone", list(WHO))
def test_the_allowance_is_never_exceeded_and_the_vote_is_measured(
    name: str, zone: str
) -> None:
    """The limits hold, and all tasks of voting hours run because of the reserve."""
    tasks = fortnight(name, zone)
    station = tasks.station
    assert sum(tasks.spent.values()) <= MONTH_BYTES
    assert tasks.busiest_day_bytes <= DAY_BYTES
    assert tasks.before_voting_bytes <= MONTH_BYTES - RESERVE_BYTES
    assert tasks.before_voting_bytes > 0.95 * (MONTH_BYTES - RESERVE_BYTES)
    assert station.table("reserve")["pre"]["throughput"] > 0
    assert station.table("ok")["voting"] == VOTING
    assert station.table()["pre"]["throughput"] == 174
    outcomes = {entry.outcome for entry in station.entries}
    assert outcomes <= {"ok", "reserve", "allowance"}
