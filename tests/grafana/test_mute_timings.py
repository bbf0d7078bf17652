"""Tests of the mute timings against the election calendar, in every time zone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from grafana.alerts.mute_timings import LEAD, mute_times
from grafana.files import generated
from qos_agent.config.calendar_file import load, shipped
from qos_agent.config.places import province_zones
from qos_agent.model import Identity, Phase
from qos_agent.model.calendar import ZONES, Calendar, Timeline

MINUTE = timedelta(minutes=1)
DAYS = (datetime(2024, 2, 14, tzinfo=UTC), datetime(2024, 11, 27, tzinfo=UTC))
REPEAT = """
[[election]]
name = "repeat"
[[election.period]]
kind = "voting"
start = 2024-02-24T07:00:00
end = 2024-02-24T13:00:00
stations = ["7171011001001"]
province = "71"
[[election.period]]
kind = "voting"
start = 2023-12-31T07:00:00
end = 2024-01-01T13:00:00
provinces = ["91", "31"]
"""


def _muted(intervals: Iterable[dict[str, Any]], at: datetime) -> bool:
    """Return True if all parts of an interval match, like Alertmanager."""
    return any(_holds(interval, at) for interval in intervals)


def _holds(interval: dict[str, Any], at: datetime) -> bool:
    assert set(interval) <= {"years", "months", "days_of_month", "times"}
    clock = f"{at:%H:%M}"
    return (
        _among(interval.get("years"), at.year)
        and _among(interval.get("months"), at.month)
        and _among(interval.get("days_of_month"), at.day)
        and (
            "times" not in interval
            or any(t["start_time"] <= clock < t["end_time"] for t in interval["times"])
        )
    )


def _among(ranges: list[str] | None, number: int) -> bool:
    if ranges is None:
        return True
    bounds = [tuple(map(int, text.split(":"))) for text in ranges]
    return any(bound[0] <= number <= bound[-1] for bound in bounds)


@cache
def _shipped() -> tuple[Calendar, ...]:
    return tuple(load(path) for path in shipped().values())


@cache
def _of_file() -> dict[str, list[dict[str, Any]]]:
    text = generated()["provisioning/alerting/mute-timings.yaml"]
    return {t["name"]: t["time_intervals"] for t in json.loads(text)["muteTimes"]}


def _watched(calendars: Iterable[Calendar], zone: str, at: datetime) -> bool:
    """Return True if a station votes or counts, or votes within the lead time."""
    ns = int(at.timestamp()) * 10**9
    ahead = ns + int(LEAD.total_seconds()) * 10**9
    lines = [line for calendar in calendars for line in _timelines(calendar, zone)]
    return any(
        line.phase_at(ns) in {Phase.VOTING, Phase.COUNTING}
        or line.phase_at(ahead) is Phase.VOTING
        for line in lines
    )


@cache
def _timelines(calendar: Calendar, zone: str) -> set[Timeline]:
    """Return the different timelines of stations in a zone."""
    named = {
        station: period.province or ""
        for period in calendar.periods
        if period.scope == "stations"
        for station in period.names
    }
    codes = [p for p, time_zone in province_zones().items() if time_zone == ZONES[zone]]
    stations = [("", code) for code in codes]
    stations += [(station, code) for station, code in named.items() if code in codes]
    return {
        calendar.timeline(Identity(station, code, code + "01", ZONES[zone], ""))
        for station, code in stations
    }


def _minutes(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    while first < last:
        yield first
        first += step


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", DAYS, ids=lambda day: f"{day:%F}")
def test_warnings_are_sent_around_the_vote_only(zone: str, day: datetime) -> None:
    """Of all minutes, only two hours before voting to the end of counting are open."""
    calendars = _shipped()
    intervals = _of_file()[f"outside-watch-{zone.lower()}"]
    edges = 0
    before = True
    for at in _minutes(
        day - 2 * timedelta(days=1), day + 3 * timedelta(days=1), MINUTE
    ):
        muted = _muted(intervals, at)
        assert muted is not _watched(calendars, zone, at), at
        edges += muted is not before
        before = muted
    assert edges == 2


@pytest.mark.parametrize("zone", ZONES)
def test_years_without_an_election_are_muted(zone: str) -> None:
    """Years without an election are muted, every five hours and on distant days."""
    calendars = _shipped()
    intervals = _of_file()[f"outside-watch-{zone.lower()}"]
    first, last = datetime(2023, 12, 1, tzinfo=UTC), datetime(2025, 1, 10, tzinfo=UTC)
    for at in _minutes(first, last, timedelta(hours=5)):
        assert _muted(intervals, at) is not _watched(calendars, zone, at), at
    assert all(
        _muted(intervals, datetime(y, 2, 14, 4, tzinfo=UTC)) for y in (1999, 2150)
    )


def test_times_are_valid_for_alertmanager() -> None:
    """A day ends at 24:00, never at 00:00."""
    for intervals in _of_file().values():
        for interval in intervals:
            for span in interval.get("times", ()):
                assert span["start_time"] < span["end_time"] <= "24:00"


def test_repeat_votes_open_only_their_zone(tmp_path: Any) -> None:
    """Votes of one station, and over New Year in two provinces, are not muted."""
    path = tmp_path / "repeat.toml"
    path.write_text(REPEAT)
    calendar = load(path)
    timings = {t["name"]: t["time_intervals"] for t in mute_times([calendar])}
    for zone in ZONES:
        for first in (
            datetime(2023, 12, 30, tzinfo=UTC),
            datetime(2024, 2, 23, tzinfo=UTC),
        ):
            for at in _minutes(first, first + timedelta(days=3), 5 * MINUTE):
                muted = _muted(timings[f"outside-watch-{zone.lower()}"], at)
                assert muted is not _watched([calendar], zone, at), (zone, at)
    assert not _muted(
        timings["outside-watch-wita"], datetime(2024, 2, 24, 1, tzinfo=UTC)
    )
    assert _muted(timings["outside-watch-wib"], datetime(2024, 2, 24, 1, tzinfo=UTC))
