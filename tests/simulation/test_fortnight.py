"""A fortnight around each shipped election, for a station in each zone."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from qos_agent.config import calendar_file
from qos_agent.config.settings import Settings
from qos_agent.model import Identity, Phase
from tests.simulation.station import Nap, Station
from tests.support.clocks import FakeClock

HOUR_NS = 3600 * 10**9
SETTINGS = Settings.model_validate(
    {
        "links": [{"name": "main", "operator": "telkomsel"}],
        "targets": [{"name": "gateway", "host": "@gateway", "layer": "gateway"}],
        "web": {"pages": [{"name": "page", "url": "https://page.example.id/"}]},
        "form": {"url": "https://forms.example.id/"},
    }
)
WHO = {
    "WIB": Identity("3171011001001", "31", "3171", "Asia/Jakarta", "a"),
    "WITA": Identity("7371011001001", "73", "7371", "Asia/Makassar", "b"),
    "WIT": Identity("9171011001001", "91", "9171", "Asia/Jayapura", "c"),
}
# From 01:00 a week before to 00:00 a week after, in local time: whole intervals.
SPAN = {
    "2024-02-14": ("2024-02-07T01:00", "2024-02-21T00:00"),
    "2024-11-27": ("2024-11-20T01:00", "2024-12-04T00:00"),
}
# 174 h, 6 h, 23 h and 132 h at the intervals of the default profiles. A phase change
# cuts the last throughput interval of counting (23 h, every 2 h) in half: whether its
# slot came before the cut is the draw of the station.
PRE = {"host": 2088, "latency": 2088, "throughput": 29}
VOTING = {"form": 24, "host": 360, "latency": 360, "throughput": 6, "web": 24}
COUNTING = {"form": 138, "host": 1380, "latency": 1380, "web": 46}
POST = {"host": 1584, "latency": 1584, "throughput": 22}
CUT = {"WIB": 12, "WITA": 11, "WIT": 11}
# When the phases change, in UTC: the date changes between the zones.
UTC_CHANGES = {
    ("2024-02-14", "WIB"): ("02-14 00:00", "02-14 06:00", "02-15 05:00"),
    ("2024-02-14", "WITA"): ("02-13 23:00", "02-14 05:00", "02-15 04:00"),
    ("2024-02-14", "WIT"): ("02-13 22:00", "02-14 04:00", "02-15 03:00"),
    ("2024-11-27", "WIB"): ("11-27 00:00", "11-27 06:00", "11-28 05:00"),
    ("2024-11-27", "WITA"): ("11-26 23:00", "11-27 05:00", "11-28 04:00"),
    ("2024-11-27", "WIT"): ("11-26 22:00", "11-27 04:00", "11-28 03:00"),
}
CASES = list(UTC_CHANGES)


def wall_ns(local: str, zone: str) -> int:
    """A local time in nanoseconds since 1970."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp()) * 10**9


@cache
def fortnight(name: str, zone: str, naps: tuple[Nap, ...] = ()) -> Station:
    """A station that has lived through it."""
    who = WHO[zone]
    start, end = (wall_ns(edge, who.time_zone) for edge in SPAN[name])
    clock = FakeClock(now_boot_ns=HOUR_NS, offset_ns=start - HOUR_NS)
    station = Station(who, calendar_file.named(name), SETTINGS, clock)
    station.live(end, naps)
    return station


@pytest.mark.parametrize(("name", "zone"), CASES)
def test_the_table_of_phases_and_tasks(name: str, zone: str) -> None:
    """Every task of the fortnight, exactly, and every change at its minute of UTC."""
    station = fortnight(name, zone)
    assert station.table() == {
        "pre": PRE,
        "voting": VOTING,
        "counting": dict(sorted({**COUNTING, "throughput": CUT[zone]}.items())),
        "post": POST,
    }
    assert station.table("ok") == station.table()
    said = [
        (f"{datetime.fromtimestamp(ns // 10**9, UTC):%m-%d %H:%M}", phase)
        for ns, phase in station.changes
    ]
    phases = (Phase.VOTING, Phase.COUNTING, Phase.POST)
    assert said == list(zip(UTC_CHANGES[name, zone], phases, strict=True))


@pytest.mark.parametrize(("name", "zone"), CASES)
def test_no_slot_is_without_an_outcome_however_the_device_sleeps(
    name: str, zone: str
) -> None:
    """Nights off, and one sleep over the whole of voting: the same slots, by phase."""
    who = WHO[zone]
    start = wall_ns(SPAN[name][0], who.time_zone)
    nights = tuple(
        (start + day * 24 * HOUR_NS, start + (day * 24 + 5) * HOUR_NS)
        for day in range(1, 14)
    )
    day = wall_ns(f"{name}T06:30", who.time_zone)
    over_voting = (day, day + 7 * HOUR_NS)
    calm, asleep = fortnight(name, zone), fortnight(name, zone, (*nights, over_voting))
    assert asleep.table() == calm.table()
    assert asleep.changes == calm.changes
    assert asleep.table("missed")["voting"] == VOTING
    assert asleep.table("ok")["pre"]["latency"] < PRE["latency"]
