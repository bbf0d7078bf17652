"""Mute timings against the election calendar, minute by minute, in every zone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from grafana.alerts.mute import LEAD, mute_times
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
    """As Alertmanager reads it: one interval of which every part holds."""
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
    """Whether a station of the zone votes or counts, or will vote within the lead."""
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
    """The different days that stations of a zone have."""
    named = {
        station: period.province or ""
        for period in calendar.periods
        if period.scope == "stations"
        for station in period.names
    }
    here = [p for p, time_zone in province_zones().items() if time_zone == ZONES[zone]]
    someone = [("", code) for code in here]
    someone += [(station, code) for station, code in named.items() if code in here]
    return {
        calendar.timeline(Identity(station, code, code + "01", ZONES[zone], ""))
        for station, code in someone
    }


def _minutes(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    while first < last:
        yield first
        first += step


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", DAYS, ids=lambda day: f"{day:%F}")
def test_warnings_are_told_around_the_vote_and_at_no_other_minute(
    zone: str, day: datetime
) -> None:
    """Every minute of four days: told from two hours before until the count ends."""
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
    """Hour by hour from 2023 to 2026, and far days."""
    calendars = _shipped()
    intervals = _of_file()[f"outside-watch-{zone.lower()}"]
    first, last = datetime(2023, 12, 1, tzinfo=UTC), datetime(2025, 1, 10, tzinfo=UTC)
    for at in _minutes(first, last, timedelta(hours=5)):
        assert _muted(intervals, at) is not _watched(calendars, zone, at), at
    assert all(
        _muted(intervals, datetime(y, 2, 14, 4, tzinfo=UTC)) for y in (1999, 2150)
    )


def test_times_are_of_the_words_alertmanager_takes() -> None:
    """A day ends at 24:00, never at 00:00; nothing but UTC."""
    for intervals in _of_file().values():
        for interval in intervals:
            for span in interval.get("times", ()):
                assert span["start_time"] < span["end_time"] <= "24:00"


def test_repeat_votes_open_their_zone_alone(tmp_path: Any) -> None:
    """A vote of one station, and one over New Year in two provinces, are told."""
    path = tmp_path / "repeat.toml"
    path.write_text(REPEAT)
    calendar = load(path)
    made = {t["name"]: t["time_intervals"] for t in mute_times([calendar])}
    for zone in ZONES:
        for first in (
            datetime(2023, 12, 30, tzinfo=UTC),
            datetime(2024, 2, 23, tzinfo=UTC),
        ):
            for at in _minutes(first, first + timedelta(days=3), 5 * MINUTE):
                muted = _muted(made[f"outside-watch-{zone.lower()}"], at)
                assert muted is not _watched([calendar], zone, at), (zone, at)
    assert not _muted(made["outside-watch-wita"], datetime(2024, 2, 24, 1, tzinfo=UTC))
    assert _muted(made["outside-watch-wib"], datetime(2024, 2, 24, 1, tzinfo=UTC))
