"""Stations that report with a wrong clock are counted as such, and not as silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.census.test_areas import SINGLE, STATIONS, service_of
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

Beat = Callable[[str, int], bytes]
WRONG = STATIONS[0]


def _by_clock(offset_s: float, *, known: bool) -> Beat:
    """Return heartbeats of a clock with an error, which the device knows or not."""

    def beat(station: str, at_ns: int) -> bytes:
        fields: dict[str, Any] = {"clock_offset_ms": 1e3 * offset_s} if known else {}
        stamped_ns = at_ns - MINUTE_NS // 2 + int(offset_s * 1e9)
        return nation.beat(station, stamped_ns, **fields)

    return beat


def _right(station: str, at_ns: int) -> bytes:
    return nation.beat(station, at_ns - MINUTE_NS // 2, clock_offset_ms=3.0)


def _minute(
    service: Service, database: Database, rollup: Database, minute: int, wrong: Beat
) -> dict[str, Any]:
    """Deliver a minute with one odd station, and return its census."""
    at_ns = START_NS + minute * MINUTE_NS
    beats = [_right(station, at_ns) for station in STATIONS[1:]]
    nation.deliver(database, [*beats, wrong(WRONG, at_ns)])
    assert service.minute(at_ns).failed == {}
    query = f"SELECT * FROM census WHERE time = {at_ns} AND \"operator\" = 'all'"
    (row,) = rollup.query(query)
    return row


@pytest.fixture
def centre(influxdb: Database, tmp_path: Path) -> tuple[Service, Database, Database]:
    """Return a census of ten stations of one regency."""
    nation.register_stations(tmp_path, dict.fromkeys(STATIONS, SINGLE))
    service, rollup = service_of(influxdb, tmp_path, census={"roll_call": "4m"})
    return service, influxdb, rollup


@pytest.mark.parametrize("offset_s", [-7200.0, -400.0, 3600.0])
def test_a_known_offset_is_no_silence(
    centre: tuple[Service, Database, Database], offset_s: float
) -> None:
    """A clock hours behind or ahead is listed by name, with its error."""
    row = _minute(*centre, 1, _by_clock(offset_s, known=True))
    assert (row["wrong_clock"], row["silent"], row["never"]) == (1, 0, 0)
    assert (row["reporting"], row["late"], row["stations_unknown"]) == (9, 1, 10)
    (station,) = centre[2].query("SELECT * FROM station")
    assert (station["station"], station["class"]) == (WRONG, "clock")
    assert station["clock_offset_s"] == offset_s
    assert (station["silent"], station["never"]) == (0, 0)


def test_a_device_with_a_wrong_clock_that_dies_is_silent(
    centre: tuple[Service, Database, Database],
) -> None:
    """Its corrected time grows old, and the next roll call finds it."""
    beat = _by_clock(-7200.0, known=True)
    for minute in range(1, 3):
        _minute(*centre, minute, beat)
    counts = [
        _minute(*centre, minute, lambda *_: beat(WRONG, START_NS + 2 * MINUTE_NS))
        for minute in range(3, 13)
    ]
    assert counts[0]["wrong_clock"] == 1
    assert (counts[-1]["wrong_clock"], counts[-1]["silent"]) == (0, 1)


def test_a_constant_delay_without_an_offset_is_a_wrong_clock(
    centre: tuple[Service, Database, Database],
) -> None:
    """Two roll calls show that the heartbeats advance like the time."""
    beat = _by_clock(-7200.0, known=False)
    counts = [_minute(*centre, minute, beat) for minute in range(1, 7)]
    assert (counts[0]["wrong_clock"], counts[0]["silent"]) == (0, 1)
    assert (counts[-1]["wrong_clock"], counts[-1]["silent"]) == (1, 0)


def test_a_silent_station_is_silent_since_it_was_last_heard(
    centre: tuple[Service, Database, Database],
) -> None:
    """The board shows the minute of the last heartbeat, in local time."""
    service, database, rollup = centre
    nation.deliver(database, [_right(WRONG, START_NS + MINUTE_NS)])
    at_ns = START_NS + 13 * MINUTE_NS
    nation.deliver(database, [_right(station, at_ns) for station in STATIONS[1:]])
    assert service.minute(at_ns).failed == {}
    (row,) = rollup.query('SELECT * FROM "station"')
    assert (row["station"], row["class"]) == (WRONG, "silent")
    assert row["since_local"] == "11:00 WIB"


@pytest.mark.parametrize("pace", [0, 3], ids=["dead", "catches up"])
def test_late_data_are_no_wrong_clock(
    centre: tuple[Service, Database, Database], pace: int
) -> None:
    """A station that stopped, or that delivers a backlog, stays silent."""

    def beat(station: str, at_ns: int) -> bytes:
        passed_ns = (at_ns - START_NS) * pace
        return nation.beat(station, START_NS - 7200 * 10**9 + passed_ns)

    counts = [_minute(*centre, minute, beat) for minute in range(1, 10)]
    assert {row["wrong_clock"] for row in counts} == {0}
    assert {row["silent"] for row in counts} == {1}
