"""The chapters on the day: its timeline, and the incidents with both signs."""

from __future__ import annotations

from datetime import datetime, time

from qos_agent.model.calendar import PERIODS
from qos_agent.model.schema.codes import CAUSES
from qos_agent.report import charts
from qos_agent.report.content.common import NONE, count_cell, phase_name, share_cell
from qos_agent.report.document import (
    Block,
    Cell,
    Column,
    Picture,
    Section,
    Table,
    Text,
)
from qos_agent.report.facts import Facts, area_name, zone_of
from qos_agent.report.incidents import PlaceIncident
from qos_agent.report.language import Words, local_time
from qos_agent.report.types import Incident

_SIDES = {"access": "access network", "destination": "beyond the access network"}
_LISTED_MAX = 60


def timeline(facts: Facts, t: Words) -> Section:
    """Return the chapter on the day, hour by hour."""
    day = t.date(facts.day)
    blocks: list[Block] = [
        Text(
            t(
                "The hours are local: 07:00 is 07:00 in WIB, in WITA and in WIT."
                " An hour"
                " without readings is a gap in a line."
            )
        )
    ]
    if facts.hours or facts.slots:
        svg = charts.timeline("timeline", facts.hours, facts.slots, _spans(facts, t), t)
        alt = t(
            "Three charts by local hour: availability and packet loss of each operator,"
            " and the due slots by outcome. The sheet of the hours has the numbers."
        )
        blocks.append(
            Picture("timeline", t("The day by hour: {day}", day=day), alt, svg)
        )
        blocks.append(_hours(facts, t))
    else:
        blocks.append(Text(t("There are no readings on {day}.", day=day)))
    return Section(t("The day by hour"), tuple(blocks), starts_page=True)


def _spans(facts: Facts, t: Words) -> list[tuple[float, float, str]]:
    """Return the phases of most stations in hours of the day."""
    if facts.election is None:
        return []
    midnight = datetime.combine(facts.day, time())
    found = []
    for period in facts.election.calendar.periods:
        if period.scope:
            continue
        start, end = (
            (edge - midnight).total_seconds() / 3600
            for edge in (period.start, period.end)
        )
        if start < 24 and end > 0:
            title = phase_name(str(PERIODS[period.kind]), t)
            found.append((max(0.0, start), min(24.0, end), title))
    return found


def _hours(facts: Facts, t: Words) -> Table:
    columns = (
        Column(t("operator"), weight=1.5),
        Column(t("local hour"), is_number=True),
        Column(t("Availability"), is_number=True),
        Column(t("seconds"), is_number=True),
        Column(t("Packet loss"), is_number=True),
        Column(t("packets"), is_number=True),
    )
    rows = tuple(
        (
            Cell(row.operator),
            Cell(f"{row.hour:02}", row.hour),
            share_cell(row.available, row.seconds, t),
            count_cell(row.seconds, t),
            share_cell(row.lost, row.sent, t),
            count_cell(row.sent, t),
        )
        for row in facts.hours
    )
    caption = t("Availability and loss of each operator by local hour")
    return Table("hours", caption, columns, rows, is_long=True)


def incidents(facts: Facts, t: Words) -> Section:
    """Return the chapter on the incidents."""
    blocks: list[Block] = [
        Text(
            t(
                "An incident needs two independent signs: lost packets, and a"
                " failure of"
                " another kind, such as the radio or the delivery. Stations of one"
                " operator in one province whose outages overlap are one incident."
            )
        )
    ]
    if facts.incidents:
        blocks += [_table(facts, t), _of_stations(facts, t)]
    else:
        blocks.append(Text(t("No device recorded an incident.")))
    return Section(t("Incidents"), tuple(blocks), starts_page=True)


def _table(facts: Facts, t: Words) -> Table:
    columns = (
        Column(t("incident"), weight=2.2),
        Column(t("area"), weight=1.6),
        Column(t("operator"), weight=1.2),
        Column(t("time"), weight=2.1),
        Column(t("stations"), is_number=True, weight=0.9),
        Column(t("cause"), weight=2.3),
        Column(t("both signs"), weight=1.8),
    )
    longest = sorted(facts.incidents, key=lambda p: (-p.minutes, p.incident.start_ns))
    chosen = sorted(longest[:_LISTED_MAX], key=lambda p: p.incident.start_ns)
    note = ""
    if len(facts.incidents) > len(chosen):
        note = t(
            "The {n} longest of {total} incidents. The files list all outages.",
            n=len(chosen),
            total=len(facts.incidents),
        )
    rows = tuple(_row(place, t) for place in chosen)
    return Table("incidents", t("Incidents"), columns, rows, note)


def _row(place: PlaceIncident, t: Words) -> tuple[Cell, ...]:
    i = place.incident
    cause = cause_text(i.cause, t)
    return (
        Cell(i.incident_id),
        Cell(area_name(i.area)),
        Cell(i.operator or NONE),
        Cell(when(i, t), i.start_ns // 10**9),
        Cell(f"{i.stations} / {i.of_stations}", i.stations),
        Cell(f"{cause}; {side_text(i.side, t)}" if i.side else cause),
        Cell("; ".join(sign_text(sign, t) for sign in i.signs)),
    )


def _of_stations(facts: Facts, t: Words) -> Table:
    columns = (
        Column(t("incident"), weight=2),
        Column(t("station"), weight=1.5),
        Column(t("start"), weight=2),
        Column(t("end"), weight=2),
        Column(t("first sign")),
        Column(t("second sign"), weight=1.5),
    )
    rows = tuple(
        (
            Cell(place.incident.incident_id),
            Cell(o.station),
            Cell(t.moment(o.start_ns, zone_of(o.regency))),
            Cell(t.moment(o.end_ns, zone_of(o.regency)) if o.end_ns else t("open")),
            Cell(sign_text(o.sign_1, t)),
            Cell(sign_text(o.sign_2, t)),
        )
        for place in facts.incidents
        for o in place.outages
    )
    caption = t("Outages of single stations")
    return Table("outages", caption, columns, rows, is_long=True, is_searchable=True)


def when(incident: Incident, t: Words) -> str:
    """Return start, end and duration in the time zone of the place."""
    zone = zone_of(incident.area)
    start = t.moment(incident.start_ns, zone)
    if incident.end_ns is None:
        return t("since {start}, no end recorded", start=start)
    first, last = local_time(incident.start_ns, zone), local_time(incident.end_ns, zone)
    end = t.moment(incident.end_ns, zone)
    if first.date() == last.date():
        start = f"{t.date(first)}, {t.clock(first)}"
        end = end.rpartition(", ")[2]
    lasted = t.duration((incident.end_ns - incident.start_ns) / 1e9)
    return f"{start}–{end} ({lasted})"


def cause_text(cause: str, t: Words) -> str:
    """Return the meaning of a cause, without its full stop."""
    return t(CAUSES[cause]).rstrip(".") if cause in CAUSES else cause


def side_text(side: str, t: Words) -> str:
    """Return the side of a fault."""
    return t(_SIDES.get(side, side)) if side else t("unknown")


_SIGNS = {
    "trains: lost": "lost packets",
    "radio": "radio",
    "interface": "interface",
    "names": "names",
    "connections": "connections",
    "uplink": "delivery",
}


def sign_text(sign: str, t: Words) -> str:
    """Return a sign in the language of the report; details stay as recorded."""
    if sign in _SIGNS:
        return t(_SIGNS[sign])
    kind, colon, detail = sign.partition(": ")
    return f"{t(_SIGNS[kind])}: {detail}" if colon and kind in _SIGNS else sign
