"""Points of troubles and of the watermark, and troubles as text for the state. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median
from zoneinfo import ZoneInfo

from qos_agent.model import Record, Value
from qos_agent.model.calendar import ZONES
from qos_agent.model.line_protocol import encode, one_line, tag_value
from qos_agent.noc.census.local_time import local_time, zone_of
from qos_agent.noc.troubles.facts import Facts, Values
from qos_agent.noc.troubles.handling import Handling
from qos_agent.noc.troubles.places import GROUPS
from qos_agent.noc.troubles.signals import ALL_OPERATORS, Key, Signal
from qos_agent.noc.troubles.standing import Trouble

_HOUR_NS = 3600 * 10**9
_ROLLOUT = ("expected", "heard", "reporting")
OPEN, ENDED, CONTINUES = 1, 0, -1


def lines_of(
    before: Mapping[Key, Trouble],
    after: Iterable[Trouble],
    ended: Iterable[Trouble],
    at_ns: int,
    handling: Handling,
) -> Iterator[bytes]:
    """Yield the lines of all reported troubles, with those that ended or got worse."""
    for trouble in after:
        if not trouble.reported:
            continue
        yield _line(trouble, trouble.reported, OPEN, at_ns, handling)
        earlier = before.get(trouble.key)
        if earlier and earlier.reported not in {"", trouble.reported}:
            yield _line(trouble, earlier.reported, CONTINUES, at_ns, handling)
    for trouble in ended:
        yield _line(trouble, trouble.reported, ENDED, at_ns, handling)


def _line(
    trouble: Trouble, severity: str, state: int, at_ns: int, handling: Handling
) -> bytes:
    key, signal = trouble.key, trouble.signal
    tags = {
        "cause": key.cause,
        "level": key.level,
        "place": key.place,
        "province": key.place[:2] if key.level == "regency" else key.place,
        "operator": tag_value(key.operator),
        "severity": severity,
    }
    fields: dict[str, Value] = {
        "open": state,
        "notify": handling.notify(trouble),
        "known": int(trouble.known),
        "affected": signal.affected,
        "stations": signal.stations,
        "figure": float(signal.figure),
        "since_s": (at_ns - trouble.since_ns) / 1e9,
        "since_clock": _clock(trouble.since_ns, key),
        "since_local": local_time(trouble.since_ns, at_ns, _zone(key)),
    }
    fields |= _note_fields(trouble, at_ns, handling)
    return encode(Record("trouble", tags, fields, at_ns))


def _note_fields(trouble: Trouble, at_ns: int, handling: Handling) -> dict[str, Value]:
    """Return who has acknowledged a trouble, and the operator's ticket, with times."""
    note, ticket = handling.note_of(trouble), handling.ticket_of(trouble)
    fields: dict[str, Value] = {"acknowledged": int(note is not None)}
    zone = _zone(trouble.key)
    if note is not None:
        fields["acknowledged_at"] = local_time(note.starts * 10**9, at_ns, zone)
        if author := one_line(note.author or note.reason):
            fields["acknowledged_by"] = author
    if ticket is not None:
        fields["ticket"] = one_line(ticket.ticket)
        fields["ticket_at"] = local_time(ticket.starts * 10**9, at_ns, zone)
    return fields


def _clock(at_ns: int, key: Key) -> float:
    """Return the local time of a place as a number; the nation has WIB."""
    local = datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(_zone(key))
    return local.hour + local.minute / 100


def _zone(key: Key) -> ZoneInfo:
    code = GROUPS[key.place][1][0] if key.place in GROUPS else key.place
    return zone_of(code) or ZoneInfo(ZONES["WIB"])


def watermark_line(facts: Facts) -> bytes | None:
    """Return the point of the newest minute with a complete census, or None."""
    if not facts.counted_ns:
        return None
    complete_ns = min(facts.counted_ns.values())
    rows = [row for key, row in facts.census.items() if key[1] == ALL_OPERATORS]
    expecting = [row for row in rows if row.get("expected")]
    ages = [row["age_s"] for row in expecting if _is_alive(row) and "age_s" in row]
    behind = sum(ns < facts.at_ns for ns in facts.counted_ns.values())
    fields: dict[str, Value] = {
        "complete_ms": complete_ns // 10**6,
        "census_age_s": (facts.at_ns - complete_ns) / 1e9,
        "regencies_dead": sum(not _is_alive(row) for row in expecting),
        "provinces_behind": behind,
    }
    if ages:
        fields["data_late_s"] = float(median(ages))
    return encode(Record("watermark", {}, fields, complete_ns))


def rollout_lines(facts: Facts) -> Iterator[bytes]:
    """Yield the state of the roll-out of each counted province, one point an hour.

    The point of an hour is overwritten each minute, so a panel over weeks stays fast.
    """
    counts: dict[str, dict[str, int]] = {}
    for (regency, operator), row in facts.census.items():
        if operator != ALL_OPERATORS:
            continue
        province = counts.setdefault(regency[:2], dict.fromkeys(_ROLLOUT, 0))
        expected = int(row.get("expected") or 0)
        province["expected"] += expected
        province["heard"] += expected - int(row.get("never") or 0)
        province["reporting"] += int(row.get("reporting") or 0)
    hour_ns = facts.at_ns // _HOUR_NS * _HOUR_NS
    for code, fields in counts.items():
        yield encode(Record("rollout", {"province": code}, {**fields}, hour_ns))


def _is_alive(row: Values) -> bool:
    return int(row.get("silent") or 0) < int(row.get("expected") or 0)


def to_text(trouble: Trouble) -> str:
    """Return a trouble as JSON."""
    return json.dumps(asdict(trouble))


def from_text(text: str) -> Trouble:
    """Return the trouble of a text made by `to_text`."""
    values = json.loads(text)
    key = Key(**values.pop("key"))
    signal = values.pop("signal")
    signal.pop("key")
    return Trouble(key=key, signal=Signal(key=key, **signal), **values)
