"""From presence and verdicts to the census of a regency. Pure.

Station counts follow the register. A station is expected in the regency in which it is
registered, and counted there once, whichever regency its points are tagged with. Link
counts follow the tags, without the links of silent stations. In every regency
good + degraded + bad + unknown + silent = expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.model import Value
from qos_agent.noc.census.context import Spans
from qos_agent.noc.census.presence import Presence
from qos_agent.noc.census.queries import CLASSES, IMPAIRED, LinkVerdict
from qos_agent.noc.census.severity import affected, most_common
from qos_agent.noc.register.store import Entry, Note

_WORST_FIRST = ("bad", "degraded", "good", "unknown")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts on a regency's links: counts, and names if they were read.

    `impaired` are the degraded and bad links. `links` are all links, or None if counts
    were enough.
    """

    stations: Mapping[str, int]
    operators: Mapping[str, Mapping[str, int]]
    impaired: Sequence[LinkVerdict]
    links: Sequence[LinkVerdict] | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """The most frequent deciding indicator and side of the impaired links."""

    kpi: str | None = None
    side: str | None = None


@dataclass(frozen=True, slots=True)
class HeardElsewhere:
    """Stations heard in a regency that is not their own: last heartbeat, and links."""

    last: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, Sequence[LinkVerdict]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Area:
    """One regency at a moment: all facts from which its points are made.

    `entries` are its registered stations. If counts were enough, they are only the
    stations with a problem.
    """

    code: str
    spans: Spans
    expected: int
    by_operator: Mapping[str, int]
    presence: Presence
    verdicts: Verdicts
    elsewhere: HeardElsewhere
    entries: Mapping[str, Entry]
    notes: Sequence[Note]

    def silent(self) -> dict[str, int | None]:
        """Return registered stations heard in no regency, with their last heartbeat."""
        absent = self.presence.call.absent
        return {s: ns for s, ns in absent.items() if s not in self.elsewhere.last}

    def moved(self) -> set[str]:
        """Return registered stations that were heard in another regency."""
        return set(self.presence.call.absent) & set(self.elsewhere.last)

    def links_of_moved(self) -> Iterator[LinkVerdict]:
        """Yield the links of stations that were heard in another regency."""
        for station in self.moved():
            yield from self.elsewhere.links.get(station, ())


def station_fields(area: Area) -> dict[str, Value]:
    """Return the counts of stations, whatever their operator."""
    silent = area.silent()
    reporting = _reporting(area)
    fields: dict[str, Value] = {
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
    classes["unknown"] = area.expected - len(silent) - sum(classes.values())
    fields |= {f"stations_{name}": n for name, n in classes.items()}
    newest_ns = area.presence.newest_ns
    if newest_ns is not None:
        fields["age_s"] = (area.spans.at_ns - newest_ns) / 1e9
    return fields


def _reporting(area: Area) -> int:
    last_ns = area.presence.last
    if last_ns is None:
        return area.presence.fresh
    late_from_ns = area.spans.late[0]
    expected_here = area.entries.keys() - area.presence.call.unexpected.keys()
    elsewhere_ns = area.elsewhere.last
    here = sum(ns >= late_from_ns for s, ns in last_ns.items() if s in expected_here)
    return here + sum(elsewhere_ns[s] >= late_from_ns for s in area.moved())


def _noted(area: Area, kind: str) -> int:
    """Count stations under a note, each once; a note on an area covers all of them."""
    scopes = {note.scope for note in area.notes if note.kind == kind}
    if any(len(scope) < 13 for scope in scopes):
        return area.expected
    return len(scopes)


def _station_classes(area: Area, silent: Mapping[str, object]) -> dict[str, int]:
    """Count stations by the worst class of their links."""
    if area.verdicts.links is None:
        return {name: area.verdicts.stations.get(name, 0) for name in CLASSES[:3]}
    worst: dict[str, str] = {}
    for link in (*area.verdicts.links, *area.links_of_moved()):
        if link.station in area.entries and link.station not in silent:
            both = (worst.get(link.station, "unknown"), link.verdict)
            worst[link.station] = min(both, key=_WORST_FIRST.index)
    counts = Counter(worst.values())
    return {name: counts[name] for name in CLASSES[:3]}


def operator_fields(area: Area) -> dict[str, dict[str, Value]]:
    """Return, by operator, its stations and the counts of its links by class.

    A station with two operators counts for both, so these must never be summed over
    operators.
    """
    silent = area.silent()
    links = _link_classes(area)
    by_operator: dict[str, dict[str, Value]] = {}
    for operator in sorted({*area.by_operator, *links}):
        fields: dict[str, Value] = {
            f"links_{name}": links.get(operator, {}).get(name, 0) for name in CLASSES
        }
        if operator in area.by_operator:
            own = [s for s in silent if operator in area.entries[s].operators]
            fields["expected"] = area.by_operator[operator]
            fields["silent"] = len(own)
            fields["never"] = sum(silent[s] is None for s in own)
        by_operator[operator] = fields
    return by_operator


def affected_by_operator(area: Area) -> dict[str, int]:
    """Count, by operator, the stations that are silent or have a bad link of it."""
    silent = area.silent()
    bad = [
        (link.station, link.operator)
        for link in (*area.verdicts.impaired, *area.links_of_moved())
        if link.verdict == "bad" and link.station not in silent
    ]
    operators = {code: entry.operators for code, entry in area.entries.items()}
    return affected(silent, bad, operators)


def reasons(area: Area) -> Mapping[str, Reason]:
    """Return the main reason of impaired links by operator; "" stands for all."""
    links = area.verdicts.impaired
    if area.verdicts.links is not None:
        links = [link for link in _links_here(area) if link.verdict in IMPAIRED]
    by_operator: dict[str, list[LinkVerdict]] = {}
    for link in links:
        by_operator.setdefault("", []).append(link)
        by_operator.setdefault(link.operator, []).append(link)
    return {
        operator: Reason(
            most_common(link.kpi for link in impaired),
            most_common(link.side for link in impaired),
        )
        for operator, impaired in by_operator.items()
    }


def _link_classes(area: Area) -> Mapping[str, Mapping[str, int]]:
    if area.verdicts.links is None:
        return area.verdicts.operators
    return _counted(_links_here(area))


def _links_here(area: Area) -> list[LinkVerdict]:
    """Return the links in a regency without those of silent stations."""
    call = area.presence.call
    stations = area.entries.keys() - call.absent.keys() | call.unexpected.keys()
    return [link for link in area.verdicts.links or () if link.station in stations]


def _counted(links: Iterable[LinkVerdict]) -> dict[str, dict[str, int]]:
    by_operator: dict[str, dict[str, int]] = {}
    for link in links:
        counts = by_operator.setdefault(link.operator, dict.fromkeys(CLASSES, 0))
        counts[link.verdict] += 1
    return by_operator
