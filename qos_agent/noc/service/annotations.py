"""The phases of the election as points, for annotations on the dashboards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, zip_longest
from zoneinfo import ZoneInfo

from qos_agent.model import Identity, Record, Value
from qos_agent.model.calendar import ZONES, Calendar
from qos_agent.model.line_protocol import encode
from qos_agent.system.language import Translator


def calendar_lines(calendar: Calendar) -> list[bytes]:
    """Return a point for the start of each phase in each zone; always the same ones."""
    return [encode(record) for zone in ZONES for record in _phases(calendar, zone)]


def calendar_end_ns(calendar: Calendar) -> int:
    """Return the moment of the last change of phase in any zone; 0 without one."""
    records = [record for zone in ZONES for record in _phases(calendar, zone)]
    return max((record.time_ns for record in records), default=0)


def _phases(calendar: Calendar, zone: str) -> Iterator[Record]:
    nationwide = Identity("", "", "", ZONES[zone], "")
    entries = calendar.timeline(nationwide).entries
    starts = [next(same) for _, same in groupby(entries, lambda entry: entry.phase)]
    for start, end in zip_longest(starts, starts[1:]):
        name = start.phase.value
        fields: dict[str, Value] = {
            "title": f"{_capital(Translator('id')(name))} / {_capital(name)}",
            "text": f"{zone} {_local(start.at_wall_ns, zone)}",
            "after": name,
        }
        if end is not None:
            fields["end_ms"] = end.at_wall_ns // 10**6
        yield Record("calendar", {"zone": zone}, fields, start.at_wall_ns)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _local(at_ns: int, zone: str) -> str:
    at = datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(ZoneInfo(ZONES[zone]))
    return f"{at:%Y-%m-%d %H:%M}"
