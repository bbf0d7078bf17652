"""The stations in trouble, by name: silent first, then bad, then degraded; the longest
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import one_line, tag_value
from qos_agent.noc.census.counting import Area
from qos_agent.noc.census.queries import NOT_GOOD, Judged
from qos_agent.noc.census.severity import LEVELS
from qos_agent.noc.register.store import Entry


@dataclass(frozen=True, slots=True)
class Trouble:
    """One station in trouble, and since when it is so."""

    entry: Entry
    judged: str
    operator: str
    since_s: float | None
    age_s: float | None = None
    link: Judged | None = None

    def rank(self) -> tuple[int, float]:
        """The worst first; one that was never heard has waited longest."""
        waited = float("inf") if self.since_s is None else self.since_s
        return -LEVELS.index(self.judged), -waited


def worst_first(area: Area, silent_s: float) -> list[Trouble]:
    """The stations in trouble in a regency."""
    found = [*_silent(area, silent_s), *_not_good(area)]
    return sorted(found, key=Trouble.rank)


def _silent(area: Area, silent_s: float) -> Iterator[Trouble]:
    for station, last_ns in area.silent().items():
        entry = area.entries[station]
        age_s = None if last_ns is None else (area.at_ns - last_ns) / 1e9
        since_s = None if age_s is None else max(0.0, age_s - silent_s)
        yield Trouble(entry, "silent", _first_operator(entry), since_s, age_s)


def _first_operator(entry: Entry) -> str:
    return entry.links[0][1] if entry.links else "unknown"


def _not_good(area: Area) -> Iterator[Trouble]:
    """Each station once, by its worst link, which has been so for longest."""
    silent = area.silent()
    of_links: dict[str, Judged] = {}
    there = (j for s in area.moved() for j in area.elsewhere.links.get(s, ()))
    for link in (*area.verdicts.not_good, *there):
        known = link.judged in NOT_GOOD and link.station in area.entries
        before = of_links.get(link.station)
        worse = before is None or _badness(link) > _badness(before)
        if known and worse and link.station not in silent:
            of_links[link.station] = link
    for station, link in of_links.items():
        entry = area.entries[station]
        yield Trouble(entry, link.judged, link.operator, link.since_s, None, link)


def _badness(link: Judged) -> tuple[int, float]:
    return LEVELS.index(link.judged), link.since_s or 0.0


def record(found: Trouble, area: Area) -> Record:
    """The `station` point of an exception."""
    entry = found.entry
    never = found.judged == "silent" and found.age_s is None
    fields: dict[str, Value | None] = {
        "class": found.judged,
        "class_level": LEVELS.index(found.judged),
        "silent": int(found.judged == "silent"),
        "never": int(never),
        "age_s": found.age_s,
        "since_s": found.since_s,
        "kpi": found.link.kpi if found.link else None,
        "side": found.link.side if found.link else None,
        "name": one_line(entry.name) or None,
        "contact": one_line(entry.contact or "") or None,
        "ticket": _ticket(found) or None,
        "maintenance": _noted(area, entry, "maintenance"),
        "acknowledged": _noted(area, entry, "acknowledged"),
        "latitude": entry.latitude,
        "longitude": entry.longitude,
    }
    tags = {
        "province": entry.province,
        "regency": entry.regency,
        "operator": tag_value(found.operator),
        "station": entry.code,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return Record("station", tags, given, area.at_ns)


def _ticket(found: Trouble) -> str:
    mine = [t for _, operator, t in found.entry.links if operator == found.operator]
    return one_line(next(iter(mine), ""))


def _noted(area: Area, entry: Entry, kind: str) -> int:
    scopes = {entry.code, entry.regency, entry.province}
    return int(any(n.kind == kind and n.scope in scopes for n in area.notes))
