"""When warnings are muted: always, but around the days of the election calendar.

Alertmanager's time intervals, in UTC: 9.3 knows no location. What is wanted is the
complement of a few stretches of time, and an interval knows only years, months, days
and times, all of which must match. So: all other years; in these years all other
months; in these months all other days; and on these days the other hours.
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

# Devices are set up and seen before the polls open.
LEAD = timedelta(hours=2)
_WATCHED = (Phase.VOTING, Phase.COUNTING)
_YEARS = range(1970, 2200)
_DAY = 24 * 60
Span = tuple[datetime, datetime]


def name(zone: str) -> str:
    """What the policies call it."""
    return f"outside-watch-{zone.lower()}"


def mute_times(calendars: Iterable[Calendar]) -> list[Json]:
    """The mute timings of the three zones."""
    watched = list(calendars)
    return [
        {
            "orgId": 1,
            "name": name(zone),
            "time_intervals": _outside(watch(watched, zone)),
        }
        for zone in ZONES
    ]


def watch(calendars: Iterable[Calendar], zone: str) -> list[Span]:
    """When somebody in a zone votes or counts, or will within the lead, in UTC."""
    return [
        _span(period, zone)
        for calendar in calendars
        for period in calendar.periods
        if PERIODS[period.kind] in _WATCHED and _holds_in(period, zone)
    ]


def _holds_in(period: Period, zone: str) -> bool:
    of_province = province_zones()
    match period.scope:
        case "zones":
            return zone in period.names
        case "provinces":
            return any(of_province[name] == ZONES[zone] for name in period.names)
        case "stations":
            return of_province[period.province or ""] == ZONES[zone]
        case _:
            return True


def _span(period: Period, zone: str) -> Span:
    local = ZoneInfo(ZONES[zone])
    lead = LEAD if PERIODS[period.kind] is Phase.VOTING else timedelta()
    start = period.start.replace(tzinfo=local) - lead
    return start.astimezone(UTC), period.end.replace(tzinfo=local).astimezone(UTC)


def _outside(spans: Sequence[Span]) -> list[Json]:
    """Intervals that together are all time but the spans, to the minute."""
    minutes = _minutes(spans)
    years = sorted({day.year for day in minutes})
    found: list[Json] = [{"years": _ranges(set(_YEARS) - set(years))}]
    for year in years:
        months = {day.month for day in minutes if day.year == year}
        found.append(_interval(year, set(range(1, 13)) - months))
        for month in sorted(months):
            days = {d.day for d in minutes if (d.year, d.month) == (year, month)}
            found.append(_interval(year, {month}, set(range(1, 32)) - days))
    for day, watched in sorted(minutes.items()):
        times = list(_times(set(range(_DAY)) - watched))
        if times:
            found.append(_interval(day.year, {day.month}, {day.day}) | {"times": times})
    return found


def _minutes(spans: Iterable[Span]) -> dict[date, set[int]]:
    found: dict[date, set[int]] = defaultdict(set)
    for start, end in spans:
        day = start.date()
        while day <= end.date():
            begins = datetime.combine(day, time(), UTC)
            first = max(0, (start - begins) // timedelta(minutes=1))
            last = min(_DAY, -((begins - end) // timedelta(minutes=1)))
            if first < last:
                found[day] |= set(range(first, last))
            day += timedelta(days=1)
    return found


def _interval(year: int, months: set[int], days: set[int] | None = None) -> Json:
    made: Json = {"years": [str(year)], "months": _ranges(months)}
    return made | ({"days_of_month": _ranges(days)} if days is not None else {})


def _times(minutes: set[int]) -> Iterator[Json]:
    for first, last in _runs(minutes):
        yield {"start_time": _clock(first), "end_time": _clock(last + 1)}


def _clock(minute: int) -> str:
    # The end of a day is 24:00; 00:00 there is refused.
    return f"{minute // 60:02}:{minute % 60:02}"


def _ranges(numbers: set[int]) -> list[str]:
    return [
        str(first) if first == last else f"{first}:{last}"
        for first, last in _runs(numbers)
    ]


def _runs(numbers: set[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbours, as first and last."""
    ordered = enumerate(sorted(numbers))
    for _, run in groupby(ordered, lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield members[0], members[-1]
