"""What the uplink's bytes may cost: fresh points always go, a backlog keeps within."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from qos_agent.config.settings import Settings
from qos_agent.journal import Journal, Lane
from qos_agent.model import Phase
from qos_agent.model.calendar import Change, Timeline
from qos_agent.schedule.allowance_account import AllowanceAccount, allowances
from qos_agent.uplink.data_usage import DataUsage
from tests.journal.support import open_journal, put
from tests.support.clocks import ELECTION_MORNING_NS, FakeClock

MB = 10**6
HOUR_NS = 3600 * 10**9
# Votes are cast from an hour after the clock's first moment, for six hours.
VOTE = Timeline(
    (
        Change(ELECTION_MORNING_NS - 24 * HOUR_NS, Phase.PRE),
        Change(ELECTION_MORNING_NS + HOUR_NS, Phase.VOTING),
        Change(ELECTION_MORNING_NS + 7 * HOUR_NS, Phase.POST),
    )
)


@dataclass
class Station:
    """A meter with what it depends on, to be turned by hand."""

    clock: FakeClock
    journal: Journal
    purse: AllowanceAccount
    meter: DataUsage
    roams: bool = False


Make = Callable[..., Station]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A station with an allowance, and a limit of the uplink's own."""

    def made(allowance: dict[str, object], data_limit: str | None = None) -> Station:
        settings = Settings.model_validate(
            {"allowance": allowance, "uplink": {"data_limit": data_limit}}
        )
        clock, journal = FakeClock(), open_journal(tmp_path)
        put(journal, clock)
        purse = AllowanceAccount(
            journal, allowances(settings), clock, "Asia/Jakarta", VOTE,
            lambda _link: station.roams,
        )  # fmt: skip
        meter = DataUsage(journal, purse, settings, clock)
        station = Station(clock, journal, purse, meter)
        return station

    return made


def _may(station: Station, lane: Lane = Lane.BACKLOG, size_mb: float = 1) -> bool:
    return station.meter.allows(lane, int(size_mb * MB))


def test_backlog_keeps_to_the_links_allowance(make: Make) -> None:
    """What was sent counts, and at the end of the month's bytes the backlog waits."""
    station = make({"monthly": "10MB"})
    station.meter.spent(Lane.BACKLOG, 5 * MB)
    station.meter.spent(Lane.FRESH, 4 * MB)
    assert _may(station, size_mb=1)
    assert not _may(station, size_mb=1.1)
    assert _may(station, Lane.FRESH, 100)


def test_what_is_held_for_the_vote_is_not_for_a_backlog(make: Make) -> None:
    """Before the polls open the reserve is out of reach; while votes are cast not."""
    station = make({"monthly": "10MB", "voting_reserve": "4MB"})
    station.meter.spent(Lane.BACKLOG, 6 * MB)
    assert not _may(station)
    station.clock.advance(2 * 3600)
    assert _may(station)


def test_foreign_network_is_not_for_a_backlog(make: Make) -> None:
    """Roaming costs a multiple: only fresh points go, unless the owner allows it."""
    station = make({"monthly": "10MB"})
    station.roams = True
    assert not _may(station)
    assert _may(station, Lane.FRESH)


def test_roaming_that_is_allowed_is_allowed_to_a_backlog(make: Make) -> None:
    """As for every other task."""
    station = make({"monthly": "10MB", "roaming": True})
    station.roams = True
    assert _may(station)


def test_own_limit_counts_the_day_and_the_request_itself(make: Make) -> None:
    """A request that would pass the day's limit does not begin."""
    station = make({}, data_limit="3MB")
    station.meter.spent(Lane.BACKLOG, 2 * MB)
    station.meter.spent(Lane.FRESH, 9 * MB)
    assert _may(station, size_mb=1)
    assert not _may(station, size_mb=1.1)
    station.clock.advance(24 * 3600)
    assert _may(station, size_mb=3)
