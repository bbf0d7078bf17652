"""The stations with a problem by name: silent first, then bad, then degraded.

Within a class, the station with the longest problem comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from qos_agent.model import Record, Value
from qos_agent.noc.census.counting import Area
from qos_agent.noc.census.local_time import local_time
from qos_agent.noc.census.queries import IMPAIRED, LinkVerdict
from qos_agent.noc.census.severity import LEVELS
from qos_agent.noc.register.store import Entry

# The class of a station that reports with a wrong clock.
CLOCK = "clock"
# A longer duration comes from a device with a wrong clock.
_LONGEST_S = 366 * 86400


@dataclass(frozen=True, slots=True)
class WorstStation:
    """One station with a problem, and how long it has had it."""

    entry: Entry
    severity: str
    operator: str
    since_s: float | None
    age_s: float | None = None
    link: LinkVerdict | None = None
    clock_offset_s: float | None = None

    @property
    def level(self) -> int:
        """Return the number of its class. A wrong clock counts as degraded."""
        return LEVELS.index("degraded" if self.severity == CLOCK else self.severity)

    def rank(self) -> tuple[int, float]:
        """Return a sort key, worst first; a station never heard counts as longest."""
        since_s = float("inf") if self.since_s is None else self.since_s
        return -self.level, -since_s


def worst_first(area: Area, silent_s: float) -> list[WorstStation]:
    """Return the stations with a problem in a regency."""
    stations = [*_silent(area, silent_s), *_impaired(area), *_wrong_clocks(area)]
    return sorted(stations, key=WorstStation.rank)


def _silent(area: Area, silent_s: float) -> Iterator[WorstStation]:
    for station, last_ns in area.silent.items():
        entry = area.entries[station]
        age_s = None if last_ns is None else (area.spans.at_ns - last_ns) / 1e9
        since_s = None if age_s is None else max(0.0, age_s - silent_s)
        yield WorstStation(entry, "silent", _first_operator(entry), since_s, age_s)


def _wrong_clocks(area: Area) -> Iterator[WorstStation]:
    for station, offset_s in area.wrong_clock.items():
        entry = area.entries[station]
        operator = _first_operator(entry)
        yield WorstStation(entry, CLOCK, operator, None, clock_offset_s=offset_s)


def _first_operator(entry: Entry) -> str:
    return entry.links[0][1] if entry.links else "unknown"


def _impaired(area: Area) -> Iterator[WorstStation]:
    """Yield each station once, by the link that is worst and has been for longest."""
    worst_links: dict[str, LinkVerdict] = {}
    for link in (*area.verdicts.impaired, *area.moved_links):
        registered = link.verdict in IMPAIRED and link.station in area.entries
        before = worst_links.get(link.station)
        is_worse = before is None or _badness(link) > _badness(before)
        if registered and is_worse and link.station not in area.silent:
            worst_links[link.station] = link
    for station, link in worst_links.items():
        entry = area.entries[station]
        yield WorstStation(entry, link.verdict, link.operator, link.since_s, None, link)


def _badness(link: LinkVerdict) -> tuple[int, float]:
    return LEVELS.index(link.verdict), link.since_s or 0.0


def record(station: WorstStation, area: Area) -> Record:
    """Return the `station` point of one station, with texts as in the register."""
    entry, link = station.entry, station.link
    is_silent = station.severity == "silent"
    fields: dict[str, Value | None] = {
        "class": station.severity,
        "class_level": station.level,
        "silent": int(is_silent),
        "never": int(is_silent and station.age_s is None),
        "age_s": station.age_s,
        "since_s": station.since_s,
        "since_local": _since_local(station, area.spans.at_ns),
        "kpi": link.kpi if link else _cause(station),
        "clock_offset_s": station.clock_offset_s,
        "side": link.side if link else None,
        "name": entry.name,
        "contact": entry.contact,
        "ticket": _ticket(station),
        "maintenance": _noted(area, entry, "maintenance"),
        "acknowledged": _noted(area, entry, "acknowledged"),
        "latitude": entry.latitude,
        "longitude": entry.longitude,
    }
    tags = {
        "province": entry.province,
        "regency": entry.regency,
        "operator": station.operator,
        "station": entry.code,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return Record("station", tags, present, area.spans.at_ns)


def _cause(station: WorstStation) -> str | None:
    return CLOCK if station.severity == CLOCK else None


def _since_local(station: WorstStation, at_ns: int) -> str | None:
    """Return the local time since which a station has had its problem.

    A silent station has been silent since it was last heard.
    """
    since_s = station.since_s if station.age_s is None else station.age_s
    if since_s is None or not 0 <= since_s <= _LONGEST_S:
        return None
    zone = ZoneInfo(station.entry.time_zone)
    return local_time(at_ns - int(since_s * 1e9), at_ns, zone)


def _ticket(station: WorstStation) -> str | None:
    links = station.entry.links
    tickets = (t for _, operator, t in links if operator == station.operator)
    return next(tickets, None)


def _noted(area: Area, entry: Entry, kind: str) -> int:
    scopes = {entry.code, entry.regency, entry.province}
    return int(any(n.kind == kind and n.scope in scopes for n in area.notes))
