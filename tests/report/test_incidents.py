"""Incidents of places from the incidents of devices."""

from __future__ import annotations

from qos_agent.report.incidents import incidents_of
from qos_agent.report.readings import Outage, Station

_MINUTE = 60 * 10**9


def _outage(station: str, start: int, end: int | None, regency: str = "3171") -> Outage:
    return Outage(
        name=f"{station}-{start}",
        province=regency[:2],
        regency=regency,
        station=station,
        operator="xl",
        start_ns=start * _MINUTE,
        end_ns=None if end is None else end * _MINUTE,
        cause="timeout",
        sign_1="trains: lost",
        sign_2="radio: searching",
        side="access",
        journal="j",
        seq=1,
    )


def _station(name: str, regency: str = "3171", operator: str = "xl") -> Station:
    return Station(regency[:2], regency, name, operator, 1, 1, 0, 1, 1, 1)


def test_overlapping_outages_are_one_incident() -> None:
    """It has the first start, the last end, and the stations of its place."""
    outages = [_outage("a", 0, 10), _outage("b", 5, 20), _outage("c", 30, 31)]
    stations = [*map(_station, "abcd"), _station("e", operator="tri")]
    first, second = incidents_of(outages, stations)
    assert (first.incident.start_ns, first.incident.end_ns) == (0, 20 * _MINUTE)
    assert (first.incident.stations, first.incident.of_stations) == (2, 4)
    assert first.incident.signs == ("radio: searching", "trains: lost")
    assert first.minutes == 25
    assert second.incident.stations == 1


def test_outages_of_two_regencies_have_the_province_as_place() -> None:
    """Another province has another incident."""
    outages = [
        _outage("a", 0, 10),
        _outage("b", 1, 9, "3172"),
        _outage("c", 1, 9, "3201"),
    ]
    found = incidents_of(outages, [])
    assert [place.incident.area for place in found] == ["31", "3201"]


def test_an_outage_without_an_end_lasts() -> None:
    """Later outages belong to it, and the incident has no end."""
    found = incidents_of([_outage("a", 0, None), _outage("b", 99, 100)], [])
    assert [place.incident.end_ns for place in found] == [None]


def test_a_long_outage_covers_shorter_ones() -> None:
    """The end of the group is that of its longest outage."""
    outages = [_outage("a", 0, 100), _outage("b", 10, 20), _outage("c", 50, 60)]
    assert len(incidents_of(outages, [])) == 1
