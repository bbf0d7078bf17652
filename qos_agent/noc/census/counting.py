"""From attendance and verdicts to the census of a regency. Pure.

Station counts follow the register: a station is expected where it is registered, and
counted there once, wherever its points are summed. Link counts follow the tags, less
the links of stations that are silent. For every regency
good + degraded + bad + unknown + silent = expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.model import Value
from qos_agent.noc.census.presence import Attendance
from qos_agent.noc.census.queries import CLASSES, NOT_GOOD, Judged
from qos_agent.noc.census.severity import affected, commonest
from qos_agent.noc.register.store import Entry, Note

_WORST_FIRST = ("bad", "degraded", "good", "unknown")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How a regency's links are judged: by counts, and by name where they were read.

    `not_good` are the bad and degraded links; `links` all of them, None where counts
    are enough.
    """

    stations: Mapping[str, int]
    operators: Mapping[str, Mapping[str, int]]
    not_good: Sequence[Judged]
    links: Sequence[Judged] | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """What decided on most of the links that are not good, and on which side."""

    kpi: str | None = None
    side: str | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Stations heard in another regency than theirs: last heard, links as judged."""

    last: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, Sequence[Judged]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Area:
    """All that is known of one regency at a moment.

    `entries` are its registered stations: all, or those in trouble where counts are
    enough.
    """

    code: str
    at_ns: int
    late_ns: int
    expected: int
    by_operator: Mapping[str, int]
    attendance: Attendance
    verdicts: Verdicts
    elsewhere: Elsewhere
    entries: Mapping[str, Entry]
    notes: Sequence[Note]

    def silent(self) -> dict[str, int | None]:
        """Registered stations that were heard nowhere: when each was heard last."""
        absent = self.attendance.call.absent
        return {s: ns for s, ns in absent.items() if s not in self.elsewhere.last}

    def moved(self) -> set[str]:
        """Registered stations that were heard, but in another regency."""
        return set(self.attendance.call.absent) & set(self.elsewhere.last)


def by_name(
    attendance: Attendance, elsewhere: Mapping[str, int], verdicts_from_ns: int
) -> bool:
    """Whether counts are not enough: strangers, or verdicts of those now silent."""
    absent, left_ns = attendance.call.absent, attendance.call.left_ns
    return (
        bool(attendance.call.strangers)
        or (left_ns is not None and left_ns >= verdicts_from_ns)
        or any(station in elsewhere for station in absent)
        or any(ns is not None and ns >= verdicts_from_ns for ns in absent.values())
    )


def station_fields(area: Area) -> dict[str, Value]:
    """The counts of stations, whatever their operator."""
    silent = area.silent()
    reporting = _reporting(area)
    counts = {
        "expected": area.expected,
        "reporting": reporting,
        "late": area.expected - len(silent) - reporting,
        "silent": len(silent),
        "never": sum(ns is None for ns in silent.values()),
        "maintenance": _noted(area, "maintenance"),
        "acknowledged": _noted(area, "acknowledged"),
        "mismatched": len(area.moved()),
    }
    classes = _station_classes(area, silent)
    judged = sum(classes.values())
    classes["unknown"] = area.expected - len(silent) - judged
    found: dict[str, Value] = {
        **counts, **{f"stations_{name}": n for name, n in classes.items()}
    }  # fmt: skip
    newest_ns = area.attendance.newest_ns
    if newest_ns is not None:
        found["age_s"] = (area.at_ns - newest_ns) / 1e9
    return found


def _reporting(area: Area) -> int:
    last = area.attendance.last
    if last is None:
        return area.attendance.fresh
    strangers = area.attendance.call.strangers
    here = sum(ns >= area.late_ns for s, ns in last.items()
               if s not in strangers and s in area.entries)  # fmt: skip
    there = area.elsewhere.last
    return here + sum(there[s] >= area.late_ns for s in area.moved())


def _noted(area: Area, kind: str) -> int:
    """Stations under a note, each once; a note on their area is on all of them."""
    scopes = {note.scope for note in area.notes if note.kind == kind}
    if any(len(scope) < 13 for scope in scopes):
        return area.expected
    return len(scopes)


def _station_classes(area: Area, silent: Mapping[str, object]) -> dict[str, int]:
    if area.verdicts.links is None:
        return {name: area.verdicts.stations.get(name, 0) for name in CLASSES[:3]}
    worst: dict[str, str] = {}
    moved = area.moved()
    links = [*area.verdicts.links, *(j for s in moved for j in _of(area, s))]
    for link in links:
        if link.station in area.entries and link.station not in silent:
            both = (worst.get(link.station, "unknown"), link.judged)
            worst[link.station] = min(both, key=_WORST_FIRST.index)
    counts = Counter(worst.values())
    return {name: counts[name] for name in CLASSES[:3]}


def _of(area: Area, station: str) -> Sequence[Judged]:
    return area.elsewhere.links.get(station, ())


def operator_fields(area: Area) -> dict[str, dict[str, Value]]:
    """By operator: stations with a link of it, and its links by class.

    A station with two operators is in both: these are never summed over operators.
    """
    silent = area.silent()
    links = _link_classes(area)
    found: dict[str, dict[str, Value]] = {}
    for operator in sorted({*area.by_operator, *links}):
        fields: dict[str, Value] = {
            f"links_{name}": links.get(operator, {}).get(name, 0) for name in CLASSES
        }
        if operator in area.by_operator:
            mine = [s for s in silent if operator in area.entries[s].operators]
            fields["expected"] = area.by_operator[operator]
            fields["silent"] = len(mine)
            fields["never"] = sum(silent[s] is None for s in mine)
        found[operator] = fields
    return found


def affected_by_operator(area: Area) -> dict[str, int]:
    """Stations of each operator that are silent, or have a bad link of it."""
    silent = area.silent()
    links = (*area.verdicts.not_good, *(j for s in area.moved() for j in _of(area, s)))
    bad = [
        (link.station, link.operator)
        for link in links
        if link.judged == "bad" and link.station not in silent
    ]
    operators = {code: entry.operators for code, entry in area.entries.items()}
    return affected(silent, bad, operators)


def reasons(area: Area) -> Mapping[str, Reason]:
    """What decided on most of the links that are not good, by operator; "" is all."""
    links = area.verdicts.not_good
    if area.verdicts.links is not None:
        links = [link for link in _there(area) if link.judged in NOT_GOOD]
    by_operator: dict[str, list[Judged]] = {}
    for link in links:
        by_operator.setdefault("", []).append(link)
        by_operator.setdefault(link.operator, []).append(link)
    return {
        operator: Reason(
            commonest(j.kpi for j in mine), commonest(j.side for j in mine)
        )
        for operator, mine in by_operator.items()
    }


def _link_classes(area: Area) -> Mapping[str, Mapping[str, int]]:
    if area.verdicts.links is None:
        return area.verdicts.operators
    return _counted(_there(area))


def _there(area: Area) -> list[Judged]:
    """The links in a regency, less those of stations that are silent."""
    call = area.attendance.call
    there = area.entries.keys() - call.absent.keys() | call.strangers.keys()
    return [link for link in area.verdicts.links or () if link.station in there]


def _counted(links: Iterable[Judged]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for link in links:
        counts = found.setdefault(link.operator, dict.fromkeys(CLASSES, 0))
        counts[link.judged] += 1
    return found
