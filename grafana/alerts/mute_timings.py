"""Mute timings: warnings are muted except around the days of the election calendar.

They are Alertmanager's time intervals in UTC, because Grafana 9.3 has no time zones
there. An interval consists of years, months, days and times, which must all match. To
mute everything outside some time spans, the intervals are: all other years, all other
months of these years, all other days of these months, and the other hours of these
days.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from grafana.panels import Json
from qos_agent.config.places import province_zones
from qos_agent.model import Phase
from qos_agent.model.calendar import PERIODS, ZONES, Calendar, Period

# Devices are installed and checked before voting starts.
LEAD = timedelta(hours=2)
_WATCHED = (Phase.VOTING, Phase.COUNTING)
_YEARS = range(1970, 2200)
_DAY = 24 * 60
Span = tuple[datetime, datetime]


def name(zone: str) -> str:
    """Return the name of a zone's mute timing, as the policies use it."""
    return f"outside-watch-{zone.lower()}"


def mute_times(calendars: Iterable[Calendar]) -> list[Json]:
    """Return the mute timings of the three time zones."""
    all_calendars = list(calendars)
    return [
        {
            "orgId": 1,
            "name": name(zone),
            "time_intervals": _outside(watch(all_calendars, zone)),
        }
        for zone in ZONES
    ]


def watch(calendars: Iterable[Calendar], zone: str) -> list[Span]:
    """Return when a zone votes or counts, with the lead time before, in UTC."""
    return [
        _span(period, zone)
        for calendar in calendars
        for period in calendar.periods
        if PERIODS[period.kind] in _WATCHED and _holds_in(period, zone)
    ]


def _holds_in(period: Period, zone: str) -> bool:
    zones = province_zones()
    match period.scope:
        case "zones":
            return zone in period.names
        case "provinces":
            return any(zones[name] == ZONES[zone] for name in period.names)
        case "stations":
            return zones[period.province or ""] == ZONES[zone]
        case _:
            return True


def _span(period: Period, zone: str) -> Span:
    local = ZoneInfo(ZONES[zone])
    lead = LEAD if PERIODS[period.kind] is Phase.VOTING else timedelta()
    start = period.start.replace(tzinfo=local) - lead
    return start.astimezone(UTC), period.end.replace(tzinfo=local).astimezone(UTC)


def _outside(spans: Sequence[Span]) -> list[Json]:
    """Return intervals that cover all minutes outside the spans."""
    minutes = _minutes(spans)
    years = sorted({day.year for day in minutes})
    intervals: list[Json] = [{"years": _ranges(set(_YEARS) - set(years))}]
    for year in years:
        months = {day.month for day in minutes if day.year == year}
        intervals.append(_interval(year, set(range(1, 13)) - months))
        for month in sorted(months):
            days = {d.day for d in minutes if (d.year, d.month) == (year, month)}
            intervals.append(_interval(year, {month}, set(range(1, 32)) - days))
    for day, watched in sorted(minutes.items()):
        times = list(_times(set(range(_DAY)) - watched))
        if times:
            intervals.append(
                _interval(day.year, {day.month}, {day.day}) | {"times": times}
            )
    return intervals


def _minutes(spans: Iterable[Span]) -> dict[date, set[int]]:
    minutes: dict[date, set[int]] = defaultdict(set)
    for start, end in spans:
        day = start.date()
        while day <= end.date():
            begins = datetime.combine(day, time(), UTC)
            first = max(0, (start - begins) // timedelta(minutes=1))
            last = min(_DAY, -((begins - end) // timedelta(minutes=1)))
            if first < last:
                minutes[day] |= set(range(first, last))
            day += timedelta(days=1)
    return minutes


def _interval(year: int, months: set[int], days: set[int] | None = None) -> Json:
    interval: Json = {"years": [str(year)], "months": _ranges(months)}
    return interval | ({"days_of_month": _ranges(days)} if days is not None else {})


def _times(minutes: set[int]) -> Iterator[Json]:
    for first, last in _runs(minutes):
        yield {"start_time": _clock(first), "end_time": _clock(last + 1)}


def _clock(minute: int) -> str:
    # A day ends at 24:00. Alertmanager refuses 00:00 as an end.
    return f"{minute // 60:02}:{minute % 60:02}"


def _ranges(numbers: set[int]) -> list[str]:
    return [
        str(first) if first == last else f"{first}:{last}"
        for first, last in _runs(numbers)
    ]


def _runs(numbers: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of each run of consecutive numbers."""
    ordered = enumerate(sorted(numbers))
    for _, run in groupby(ordered, lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield members[0], members[-1]
