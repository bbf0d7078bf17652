"""Data limits of the uplink: fresh points are always sent, the backlog keeps them."""

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
# Voting starts an hour after the clock's first time and lasts six hours.
VOTE = Timeline(
    (
        Change(ELECTION_MORNING_NS - 24 * HOUR_NS, Phase.PRE),
        Change(ELECTION_MORNING_NS + HOUR_NS, Phase.VOTING),
        Change(ELECTION_MORNING_NS + 7 * HOUR_NS, Phase.POST),
    )
)


@dataclass
class Station:
    """The data usage of a station, with the objects that it depends on."""

    clock: FakeClock
    journal: Journal
    account: AllowanceAccount
    usage: DataUsage
    roams: bool = False


Make = Callable[..., Station]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a factory of stations with an allowance and a limit for the uplink."""

    def make_station(
        allowance: dict[str, object], data_limit: str | None = None
    ) -> Station:
        settings = Settings.model_validate(
            {"allowance": allowance, "uplink": {"data_limit": data_limit}}
        )
        clock, journal = FakeClock(), open_journal(tmp_path)
        put(journal, clock)
        account = AllowanceAccount(
            journal,
            allowances(settings),
            clock,
            "Asia/Jakarta",
            VOTE,
            lambda _link: station.roams,
        )
        usage = DataUsage(journal, account, settings, clock)
        station = Station(clock, journal, account, usage)
        return station

    return make_station


def _may(station: Station, lane: Lane = Lane.BACKLOG, size_mb: float = 1) -> bool:
    return station.usage.allows(lane, int(size_mb * MB))


def test_backlog_keeps_the_allowance_of_the_link(make: Make) -> None:
    """Sent bytes count, and the backlog waits when the monthly bytes are used."""
    station = make({"monthly": "10MB"})
    station.usage.spent(Lane.BACKLOG, 5 * MB)
    station.usage.spent(Lane.FRESH, 4 * MB)
    assert _may(station, size_mb=1)
    assert not _may(station, size_mb=1.1)
    assert _may(station, Lane.FRESH, 100)


def test_the_voting_reserve_is_not_for_the_backlog(make: Make) -> None:
    """The reserve is usable only during voting."""
    station = make({"monthly": "10MB", "voting_reserve": "4MB"})
    station.usage.spent(Lane.BACKLOG, 6 * MB)
    assert not _may(station)
    station.clock.advance(2 * 3600)
    assert _may(station)


def test_no_backlog_while_roaming(make: Make) -> None:
    """Roaming is expensive, so only fresh points are sent unless it is allowed."""
    station = make({"monthly": "10MB"})
    station.roams = True
    assert not _may(station)
    assert _may(station, Lane.FRESH)


def test_backlog_while_roaming_if_allowed(make: Make) -> None:
    """The setting applies to the backlog as to every task."""
    station = make({"monthly": "10MB", "roaming": True})
    station.roams = True
    assert _may(station)


def test_the_daily_limit_includes_the_request_itself(make: Make) -> None:
    """A request that would exceed the limit of the day is not sent."""
    station = make({}, data_limit="3MB")
    station.usage.spent(Lane.BACKLOG, 2 * MB)
    station.usage.spent(Lane.FRESH, 9 * MB)
    assert _may(station, size_mb=1)
    assert not _may(station, size_mb=1.1)
    station.clock.advance(24 * 3600)
    assert _may(station, size_mb=3)
