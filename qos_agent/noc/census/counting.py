"""Calculates the census of a regency from presence and verdicts. Pure.

Station counts follow the register. A station is expected in the regency in which it is
registered, and counted there once, whichever regency its points are tagged with. Link
counts follow the tags, without the links of silent stations. In every regency
good + degraded + bad + unknown + silent = expected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from qos_agent.model import Value
from qos_agent.noc.census.inputs import ProvinceInputs
from qos_agent.noc.census.presence import Presence
from qos_agent.noc.census.queries import CLASSES, IMPAIRED, LinkVerdict
from qos_agent.noc.census.spans import Spans
from qos_agent.noc.census.verdict_counts import VerdictCounts
from qos_agent.noc.register.store import Entry, Note

_WORST_FIRST = ("bad", "degraded", "good", "unknown")
Fields = dict[str, Value]


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
class Area:
    """One regency at a moment: all facts from which its points are made.

    `entries` are its registered stations, or those with a problem. `silent` are
    registered stations heard in no regency, and `moved` those heard in another one.
    Both have the last heartbeat. `moved_links` are the links of the moved stations.
    `wrong_clock` are stations that report with a wrong clock, with its offset in
    seconds. They are not silent, and nothing else is known about them.
    """

    code: str
    spans: Spans
    expected: int
    by_operator: Mapping[str, int]
    presence: Presence
    verdicts: Verdicts
    entries: Mapping[str, Entry]
    notes: Sequence[Note]
    silent: Mapping[str, int | None]
    moved: Mapping[str, int]
    moved_links: Sequence[LinkVerdict]
    wrong_clock: Mapping[str, float]


def area_of(inputs: ProvinceInputs, code: str) -> Area:
    """Return the facts of one regency."""
    expected, elsewhere = inputs.expected, inputs.elsewhere
    presence = inputs.presence[code]
    absent = presence.call.absent
    moved = [station for station in absent if station in elsewhere.last]
    offsets = presence.call.wrong_clock
    wrong = {s: offsets[s] for s in offsets if s not in elsewhere.last}
    return Area(
        code,
        inputs.spans,
        expected.stations.get(code, 0),
        expected.by_operator.get(code, {}),
        presence,
        verdicts_of(inputs.verdicts, code, presence.links),
        inputs.entries[code],
        [note for scope, note in expected.notes if code.startswith(scope)],
        silent={
            s: ns
            for s, ns in absent.items()
            if s not in elsewhere.last and s not in wrong
        },
        moved={station: elsewhere.last[station] for station in moved},
        moved_links=[
            link for station in moved for link in elsewhere.links.get(station, ())
        ],
        wrong_clock=wrong,
    )


def verdicts_of(
    counts: VerdictCounts, regency: str, links: Sequence[LinkVerdict] | None = None
) -> Verdicts:
    """Return the verdicts of one regency from its links, or else from counts."""
    if links is not None:
        return Verdicts({}, {}, _impaired(links), links)
    not_good = counts.not_good.get(regency, ())
    stations = dict.fromkeys(CLASSES, 0)
    worst = _worst_classes(not_good)
    for station, verdict in worst.items():
        stations["good" if station in counts.also_good else verdict] += 1
    stations["good"] += max(0, counts.stations.get(regency, 0) - len(worst))
    operators = {
        operator: dict.fromkeys(CLASSES, 0) | {"good": n}
        for operator, n in counts.links.get(regency, {}).items()
    }
    for link in not_good:
        classes = operators.setdefault(link.operator, dict.fromkeys(CLASSES, 0))
        classes["good"] = max(0, classes["good"] - 1)
        classes[link.verdict] += 1
    return Verdicts(stations, operators, _impaired(not_good))


def _impaired(links: Iterable[LinkVerdict]) -> list[LinkVerdict]:
    return [link for link in links if link.verdict in IMPAIRED]


def _worst_classes(links: Iterable[LinkVerdict]) -> dict[str, str]:
    """Return the worst class of each station's links."""
    worst: dict[str, str] = {}
    for link in links:
        both = (worst.get(link.station, "unknown"), link.verdict)
        worst[link.station] = min(both, key=_WORST_FIRST.index)
    return worst


def station_fields(area: Area) -> Fields:
    """Return the counts of stations, whatever their operator."""
    silent = len(area.silent)
    reporting = _reporting(area)
    fields: Fields = {
        "expected": area.expected,
        "reporting": reporting,
        "late": area.expected - silent - reporting,
        "silent": silent,
        "never": sum(ns is None for ns in area.silent.values()),
        "maintenance": _noted(area, "maintenance"),
        "acknowledged": _noted(area, "acknowledged"),
        "mismatched": len(area.moved),
        "wrong_clock": len(area.wrong_clock),
    }
    classes = _station_classes(area)
    classes["unknown"] = area.expected - silent - sum(classes.values())
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
    here = sum(ns >= late_from_ns for s, ns in last_ns.items() if s in expected_here)
    return here + sum(ns >= late_from_ns for ns in area.moved.values())


def _noted(area: Area, kind: str) -> int:
    """Count stations under a note, each once; a note on an area covers all of them."""
    scopes = {note.scope for note in area.notes if note.kind == kind}
    if any(len(scope) < 13 for scope in scopes):
        return area.expected
    return len(scopes)


def _station_classes(area: Area) -> dict[str, int]:
    """Count stations by the worst class of their links."""
    if area.verdicts.links is None:
        return {name: area.verdicts.stations.get(name, 0) for name in CLASSES[:3]}
    links = (*area.verdicts.links, *area.moved_links)
    counted = area.entries.keys() - area.silent.keys()
    worst = _worst_classes(link for link in links if link.station in counted)
    counts = Counter(worst.values())
    return {name: counts[name] for name in CLASSES[:3]}


def operator_fields(area: Area) -> dict[str, Fields]:
    """Return, by operator, its stations and the counts of its links by class.

    A station with two operators counts for both, so these must never be summed over
    operators.
    """
    links = _link_classes(area)
    by_operator: dict[str, Fields] = {}
    for operator in sorted({*area.by_operator, *links}):
        fields: Fields = {
            f"links_{name}": links.get(operator, {}).get(name, 0) for name in CLASSES
        }
        if operator in area.by_operator:
            own = [s for s in area.silent if operator in area.entries[s].operators]
            fields["expected"] = area.by_operator[operator]
            fields["silent"] = len(own)
            fields["never"] = sum(area.silent[s] is None for s in own)
        by_operator[operator] = fields
    return by_operator


def affected_by_operator(area: Area) -> dict[str, int]:
    """Count, by operator, the stations that are silent or have a bad link of it."""
    bad = [
        (link.station, link.operator)
        for link in (*area.verdicts.impaired, *area.moved_links)
        if link.verdict == "bad" and link.station not in area.silent
    ]
    operators = {code: entry.operators for code, entry in area.entries.items()}
    return affected(area.silent, bad, operators)


def affected(
    silent: Iterable[str],
    bad: Iterable[tuple[str, str]],
    operators: Mapping[str, frozenset[str]],
) -> dict[str, int]:
    """Count, by operator, the stations that are silent or have a bad link of it.

    `bad` has pairs (station, operator), `operators` those of each registered station.
    """
    pairs = {(s, o) for s in silent for o in operators.get(s, frozenset())}
    pairs |= {(s, o) for s, o in bad if o in operators.get(s, frozenset())}
    return dict(Counter(operator for _, operator in pairs))


def reasons(area: Area) -> dict[str, Fields]:
    """Return the main indicator and side of impaired links by operator; "" for all."""
    links = area.verdicts.impaired
    if area.verdicts.links is not None:
        links = _impaired(_links_here(area))
    by_operator: dict[str, list[LinkVerdict]] = {}
    for link in links:
        by_operator.setdefault("", []).append(link)
        by_operator.setdefault(link.operator, []).append(link)
    return {
        operator: {
            name: value
            for name, value in (
                ("kpi", most_common(link.kpi for link in impaired)),
                ("side", most_common(link.side for link in impaired)),
            )
            if value is not None
        }
        for operator, impaired in by_operator.items()
    }


def most_common(values: Iterable[str | None]) -> str | None:
    """Return the most frequent value, and of equals the first in the alphabet."""
    counts = Counter(value for value in values if value)
    return min(counts, key=lambda value: (-counts[value], value), default=None)


def _link_classes(area: Area) -> Mapping[str, Mapping[str, int]]:
    if area.verdicts.links is None:
        return area.verdicts.operators
    by_operator: dict[str, dict[str, int]] = {}
    for link in _links_here(area):
        counts = by_operator.setdefault(link.operator, dict.fromkeys(CLASSES, 0))
        counts[link.verdict] += 1
    return by_operator


def _links_here(area: Area) -> list[LinkVerdict]:
    """Return the links in a regency without those of silent stations."""
    call = area.presence.call
    stations = area.entries.keys() - call.absent.keys() | call.unexpected.keys()
    return [link for link in area.verdicts.links or () if link.station in stations]
