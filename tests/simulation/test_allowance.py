"""The fortnight of an election on a small SIM: nothing passed, the vote measured."""

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
from tests.simulation.book import Book
from tests.simulation.station import Station
from tests.simulation.test_fortnight import HOUR_NS, SPAN, VOTING, WHO, wall_ns
from tests.support.clocks import FakeClock

MONTH_BYTES, DAY_BYTES, RESERVE_BYTES = 1_000_000_000, 320_000_000, 250_000_000
# Hungry on purpose: throughput every hour before the vote wants twice the month.
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
class Meter:
    """Runs each task on the allowance and watches what it never may do."""

    account: AllowanceAccount
    book: Book
    station: Station
    spent: Counter[str] = field(default_factory=Counter)
    before_voting: int = 0
    most_in_a_day: int = 0

    def measure(self, job: Job, due_boot_ns: int) -> str:
        """Ask, move some part of the worst case, settle; the outcome."""
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
        self.most_in_a_day = max(self.most_in_a_day, self.spent[day])
        if self.station.phase is Phase.PRE:
            self.before_voting += moved


def fortnight(name: str, zone: str) -> Meter:
    """A station that has lived through it on its allowance."""
    who = WHO[zone]
    start, end = (wall_ns(edge, who.time_zone) for edge in SPAN[name])
    clock = FakeClock(now_boot_ns=HOUR_NS, offset_ns=start - HOUR_NS)
    calendar = calendar_file.named(name)
    book = Book(clock, ZoneInfo(who.time_zone))
    account = AllowanceAccount(
        book,
        allowances(SETTINGS),
        clock,
        who.time_zone,
        calendar.timeline(who),
        lambda _link: None,
    )
    station = Station(who, calendar, SETTINGS, clock)
    meter = Meter(account, book, station)
    station.measure = meter.measure
    station.live(end)
    account.close()
    return meter


@pytest.mark.parametrize("name", list(SPAN))
@pytest.mark.parametrize("zone", list(WHO))
def test_the_allowance_is_never_passed_and_the_vote_is_measured(
    name: str, zone: str
) -> None:
    """Month and day hold, the reserve is whole when polls open, all voting is done."""
    meter = fortnight(name, zone)
    station = meter.station
    assert sum(meter.spent.values()) <= MONTH_BYTES
    assert meter.most_in_a_day <= DAY_BYTES
    assert meter.before_voting <= MONTH_BYTES - RESERVE_BYTES
    assert meter.before_voting > 0.95 * (MONTH_BYTES - RESERVE_BYTES)
    assert station.table("reserve")["pre"]["throughput"] > 0
    assert station.table("ok")["voting"] == VOTING
    assert station.table()["pre"]["throughput"] == 174
    outcomes = {entry.outcome for entry in station.entries}
    assert outcomes <= {"ok", "reserve", "allowance"}
