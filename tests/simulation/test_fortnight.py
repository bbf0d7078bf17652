"""Simulates two weeks around each shipped election in each time zone."""

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
# From 01:00 a week before to 00:00 a week after, in local time. These are whole
# intervals.
SPAN = {
    "2024-02-14": ("2024-02-07T01:00", "2024-02-21T00:00"),
    "2024-11-27": ("2024-11-20T01:00", "2024-12-04T00:00"),
}
# 174 h, 6 h, 23 h and 132 h at the default intervals. A phase change ends the last
# throughput interval of counting (23 h, every 2 h) after half its time. Its slot may be
# before or after that, depending on the station's random moment.
PRE = {"host": 2088, "latency": 2088, "throughput": 29}
VOTING = {"form": 24, "host": 360, "latency": 360, "throughput": 6, "web": 24}
COUNTING = {"form": 138, "host": 1380, "latency": 1380, "web": 46}
POST = {"host": 1584, "latency": 1584, "throughput": 22}
LAST_SLOT = {"WIB": 12, "WITA": 11, "WIT": 11}
# The phase changes in UTC. The date differs between the zones.
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
    """Return a local time in nanoseconds since 1970."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp()) * 10**9


@cache
def fortnight(name: str, zone: str, naps: tuple[Nap, ...] = ()) -> Station:
    """Run a station through the two weeks."""
    identity = WHO[zone]
    start, end = (wall_ns(edge, identity.time_zone) for edge in SPAN[name])
    clock = FakeClock(now_boot_ns=HOUR_NS, offset_ns=start - HOUR_NS)
    station = Station(identity, calendar_file.named(name), SETTINGS, clock)
    station.run(end, naps)
    return station


@pytest.mark.slow
@pytest.mark.parametrize(("name", "zone"), CASES)
def test_the_table_of_phases_and_tasks(name: str, zone: str) -> None:
    """Every task of the two weeks is counted, and every change is at its minute."""
    station = fortnight(name, zone)
    assert station.table() == {
        "pre": PRE,
        "voting": VOTING,
        "counting": dict(sorted({**COUNTING, "throughput": LAST_SLOT[zone]}.items())),
        "post": POST,
    }
    assert station.table("ok") == station.table()
    changes = [
        (f"{datetime.fromtimestamp(ns // 10**9, UTC):%m-%d %H:%M}", phase)
        for ns, phase in station.changes
    ]
    phases = (Phase.VOTING, Phase.COUNTING, Phase.POST)
    assert changes == list(zip(UTC_CHANGES[name, zone], phases, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "zone"), CASES)
def test_every_slot_has_an_outcome_for_any_sleep_of_the_device(
    name: str, zone: str
) -> None:
    """With sleeps at night and over all of voting, the slots by phase are the same."""
    identity = WHO[zone]
    start = wall_ns(SPAN[name][0], identity.time_zone)
    nights = tuple(
        (start + day * 24 * HOUR_NS, start + (day * 24 + 5) * HOUR_NS)
        for day in range(1, 14)
    )
    day = wall_ns(f"{name}T06:30", identity.time_zone)
    over_voting = (day, day + 7 * HOUR_NS)
    awake, asleep = fortnight(name, zone), fortnight(name, zone, (*nights, over_voting))
    assert asleep.table() == awake.table()
    assert asleep.changes == awake.changes
    assert asleep.table("missed")["voting"] == VOTING
    assert asleep.table("ok")["pre"]["latency"] < PRE["latency"]
