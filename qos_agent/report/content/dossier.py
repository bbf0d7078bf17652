"""The dossier of one incident: two pages to send to its operator."""

from __future__ import annotations

from collections.abc import Sequence

from qos_agent.report import charts
from qos_agent.report.content.annex import imprint
from qos_agent.report.content.common import (
    NONE,
    count_cell,
    evidence_state,
    share_cell,
)
from qos_agent.report.content.incidents import cause_text, side_text, sign_text, when
from qos_agent.report.document import (
    Block,
    Cell,
    Column,
    Document,
    Lines,
    Picture,
    Section,
    Table,
    Text,
    plain_rows,
)
from qos_agent.report.facts import Facts, area_name, zone_of
from qos_agent.report.incidents import PlaceIncident
from qos_agent.report.language import Words, local_time
from qos_agent.report.readings import Around

# The readings from this long before the start to this long after the end are shown.
AROUND_NS = 3600 * 10**9
# A step of five minutes belongs to the span that has its middle.
_HALF_STEP_NS = 150 * 10**9
_STATIONS_MAX = 14
_REPLY_LINES = 4


def end_of(place: PlaceIncident, facts: Facts) -> int:
    """Return the end of an incident, or of the readings while it goes on."""
    end_ns = place.incident.end_ns
    return facts.span[1] if end_ns is None else end_ns


def dossier(
    facts: Facts, place: PlaceIncident, around: Sequence[Around], t: Words
) -> Document:
    """Return the dossier of an incident."""
    zone = zone_of(place.incident.area)
    sections = (
        Section(t("The incident"), tuple(_facts(place, t))),
        Section(
            t("Before, during and after the incident"),
            tuple(_course(facts, place, around, t)),
        ),
        Section(
            t("Stations and evidence"),
            tuple(_evidence(facts, place, t)),
            starts_page=True,
        ),
        Section(t("Reply of the operator"), (Lines((), _REPLY_LINES),)),
    )
    return Document(
        t("Incident dossier"),
        place.incident.incident_id,
        t.code,
        facts.template.ministry,
        local_time(end_of(place, facts), zone).date(),
        sections,
        imprint(facts, t),
        has_contents=False,
        logo=facts.template.logo,
        logo_kind=facts.template.logo_kind,
    )


def _facts(place: PlaceIncident, t: Words) -> list[Block]:
    i = place.incident
    rows = [
        (t("Area"), f"{area_name(i.area)} ({i.area})"),
        (t("Operator"), i.operator or NONE),
        (t("Time"), when(i, t)),
        (
            t("Stations without a connection"),
            t("{n} of {total} measured", n=i.stations, total=i.of_stations),
        ),
        (t("Cause of the first failure"), cause_text(i.cause, t)),
        (t("Side of the fault"), side_text(i.side, t)),
        (t("Independent signs"), "; ".join(sign_text(s, t) for s in i.signs)),
        (t("Link time without a connection"), t.duration(place.minutes * 60)),
        (t("Ticket of the operator"), i.ticket or t("none recorded")),
    ]
    columns = (Column(t("incident")), Column(i.incident_id, weight=2.6))
    table = Table("incident", t("Measured facts"), columns, plain_rows(rows))
    text = t(
        "Devices at polling stations recorded this outage. The regulator asks the"
        " operator for the reason, the remedy, and its own records of this time."
    )
    return [Text(text), table]


def _course(
    facts: Facts, place: PlaceIncident, around: Sequence[Around], t: Words
) -> list[Block]:
    start_ns, end_ns = place.incident.start_ns, end_of(place, facts)

    def minute(time_ns: int) -> float:
        return (time_ns + _HALF_STEP_NS - start_ns) / 60e9

    loss = [(minute(a.start_ns), a.lost / a.sent) for a in around if a.sent]
    rsrp = [(minute(a.start_ns), _dbm(a)) for a in around if a.rsrp_values]
    span = (0.0, (end_ns - start_ns) / 60e9)
    svg = charts.around("around", loss, rsrp, span, t)
    alt = t("Loss and signal in steps of five minutes; the table has the sums.")
    caption = t("Packet loss and signal of these links; the shade is the incident")
    parts = (
        (t("the hour before"), [a for a in around if minute(a.start_ns) < 0]),
        (t("during"), [a for a in around if 0 <= minute(a.start_ns) < span[1]]),
        (t("the hour after"), [a for a in around if minute(a.start_ns) >= span[1]]),
    )
    columns = (
        Column(t("time"), weight=1.5),
        Column(t("Packet loss"), is_number=True),
        Column(t("packets"), is_number=True),
        Column(t("Mean RSRP"), is_number=True),
        Column(t("values of RSRP"), is_number=True),
    )
    rows = tuple((Cell(title), *_sums(part, t)) for title, part in parts)
    table = Table("course", t("Sums of these links"), columns, rows)
    return [Picture("around", caption, alt, svg), table]


def _dbm(around: Around) -> float:
    return around.rsrp_dbm_thousandths / around.rsrp_values / 1000


def _sums(part: Sequence[Around], t: Words) -> tuple[Cell, ...]:
    sent, lost = sum(a.sent for a in part), sum(a.lost for a in part)
    values = sum(a.rsrp_values for a in part)
    total = sum(a.rsrp_dbm_thousandths for a in part)
    loss = share_cell(lost, sent, t)
    rsrp = Cell(NONE)
    if values:
        dbm = total / values / 1000
        rsrp = Cell(t.figure(dbm, "dBm"), dbm)
    return loss, count_cell(sent, t), rsrp, count_cell(values, t)


def _evidence(facts: Facts, place: PlaceIncident, t: Words) -> list[Block]:
    columns = (
        Column(t("station"), weight=1.5),
        Column(t("start"), weight=1.7),
        Column(t("end"), weight=1.7),
        Column(t("second sign"), weight=1.4),
        Column(t("journal"), weight=1.8),
        Column(t("number"), is_number=True, weight=0.8),
    )
    rows = tuple(
        (
            Cell(o.station),
            Cell(t.moment(o.start_ns, zone_of(o.regency))),
            Cell(t.moment(o.end_ns, zone_of(o.regency)) if o.end_ns else t("open")),
            Cell(sign_text(o.sign_2, t)),
            Cell(o.journal),
            Cell(str(o.seq), o.seq),
        )
        for o in place.outages[:_STATIONS_MAX]
    )
    note = t(
        "Journal and number name the record in the archive and in the evidence bundle."
        " outages.csv has the records of all {n} stations.",
        n=place.incident.stations,
    )
    table = Table("evidence", t("Records"), columns, rows, note)
    return [table, Text(evidence_state(facts, t), is_important=True)]
