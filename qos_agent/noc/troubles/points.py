"""Points of troubles and of the watermark, and troubles as text for the state. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median
from zoneinfo import ZoneInfo

from qos_agent.config.places import province_zones, regencies
from qos_agent.model import Record, Value
from qos_agent.model.calendar import ZONES
from qos_agent.model.line_protocol import encode, tag_value
from qos_agent.noc.troubles.facts import Facts, Values
from qos_agent.noc.troubles.places import GROUPS
from qos_agent.noc.troubles.signals import ALL_OPERATORS, Key, Signal
from qos_agent.noc.troubles.standing import Trouble

OPEN, ENDED, CONTINUES = 1, 0, -1
IsNotified = Callable[[Key], bool]


def lines_of(
    before: Mapping[Key, Trouble],
    after: Iterable[Trouble],
    ended: Iterable[Trouble],
    at_ns: int,
    is_notified: IsNotified,
) -> Iterator[bytes]:
    """Yield the lines of all reported troubles, with those that ended or got worse."""
    for trouble in after:
        if not trouble.reported:
            continue
        yield _line(trouble, trouble.reported, OPEN, at_ns, is_notified)
        earlier = before.get(trouble.key)
        if earlier and earlier.reported not in {"", trouble.reported}:
            yield _line(trouble, earlier.reported, CONTINUES, at_ns, is_notified)
    for trouble in ended:
        yield _line(trouble, trouble.reported, ENDED, at_ns, is_notified)


def _line(
    trouble: Trouble, severity: str, state: int, at_ns: int, is_notified: IsNotified
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
        "notify": int(is_notified(key)),
        "known": int(trouble.known),
        "affected": signal.affected,
        "stations": signal.stations,
        "figure": float(signal.figure),
        "since_s": (at_ns - trouble.since_ns) / 1e9,
        "since_clock": _clock(trouble.since_ns, key),
    }
    return encode(Record("trouble", tags, fields, at_ns))


def _clock(at_ns: int, key: Key) -> float:
    """Return the local time of a place as a number; the nation has WIB."""
    local = datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(_zone(key))
    return local.hour + local.minute / 100


def _zone(key: Key) -> ZoneInfo:
    match key.level:
        case "regency" if key.place in regencies():
            return ZoneInfo(regencies()[key.place].time_zone)
        case "province" if key.place in province_zones():
            return ZoneInfo(province_zones()[key.place])
        case "group" if key.place in GROUPS:
            return ZoneInfo(province_zones()[GROUPS[key.place][1][0]])
        case _:
            return ZoneInfo(ZONES["WIB"])


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
