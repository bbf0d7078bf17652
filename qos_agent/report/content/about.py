"""The chapters on scope, method, definitions and sampling."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qos_agent.model.calendar import PERIODS
from qos_agent.report.content.common import (
    NONE,
    count_cell,
    meaning,
    operator_name,
    phase_name,
    scope_name,
)
from qos_agent.report.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Section,
    Table,
    Text,
    plain_rows,
)
from qos_agent.report.facts import Facts, area_name, periods_of
from qos_agent.report.language import Words
from qos_agent.report.thresholds import Definition, defined

_PERIODS_MAX = 20
_RATIO_MAX = 110
_CAST = re.compile(r"CAST\((\w+) AS DOUBLE\)")
_SQL = re.compile(r"\b(CASE|CAST|COALESCE)\b")
# The nation's numbers: provinces, regencies and cities, and stations of 2024.
_NATION = (38, 514, 823_220)


def scope(facts: Facts, t: Words) -> Section:
    """Return the chapter on area, operators, period and phases."""
    first, last = (t.moment(time_ns, facts.zone) for time_ns in facts.span)
    rows = [
        (t("Area"), scope_name(facts, t)),
        (t("Operators"), ", ".join(facts.operators) or NONE),
        (t("Selected operator"), operator_name(facts.chosen.operator, t)),
        (t("Election"), facts.election.name if facts.election else t("none named")),
        (t("First reading"), first),
        (t("Last reading"), last),
        (t("Stations with readings"), t.number(facts.present)),
        (t("Readings in the archive"), t.number(facts.readings)),
        (t("Readings in conflict, left out"), t.number(facts.conflicts)),
    ]
    columns = (Column(t("item")), Column(t("value"), weight=2.5))
    blocks: list[Block] = [*map(Text, facts.template.introduction)]
    blocks.append(Table("scope", t("Scope"), columns, plain_rows(rows)))
    if facts.election is not None:
        blocks.append(_periods(facts, t))
    return Section(t("Scope, period and phases"), tuple(blocks))


def _periods(facts: Facts, t: Words) -> Table:
    assert facts.election is not None  # noqa: S101  the caller has checked it
    periods = periods_of(facts.election)
    columns = (
        Column(t("phase"), weight=1.4),
        Column(t("applies to"), weight=1.8),
        Column(t("start, local time"), weight=2),
        Column(t("end, local time"), weight=2),
    )
    rows = tuple(
        (
            Cell(phase_name(str(PERIODS[p.kind]), t)),
            Cell(", ".join(p.names[:4]) or t("all other stations")),
            Cell(f"{t.date(p.start)}, {t.clock(p.start)}"),
            Cell(f"{t.date(p.end)}, {t.clock(p.end)}"),
        )
        for p in periods[:_PERIODS_MAX]
    )
    note = t(
        "Local time: a period begins three times, in WIB, WITA and WIT. A device gives"
        " each reading its phase from this calendar."
    )
    if len(periods) > len(rows):
        note += " " + t(
            "{n} more periods are in the calendar.", n=len(periods) - len(rows)
        )
    return Table("phases of the calendar", t("Phases"), columns, rows, note)


def method(t: Words) -> Section:
    """Return the chapter on the measurement and on the calculation."""
    return Section(
        t("Method"),
        (
            Bullets(
                (
                    t(
                        "A device at the station measures at random moments in fixed"
                        " intervals, over each of its links: trains of 20 packets to"
                        " anchors (RFC 2681, RFC 7680), downloads and uploads, pages,"
                        " form bundles and the radio signal."
                    ),
                    t(
                        "Each reading has a number and a hash and is stored before"
                        " it is"
                        " sent. The archive contains each reading once, whatever the"
                        " number of its sources."
                    ),
                    t(
                        "An indicator is a ratio of two sums of whole numbers, so"
                        " no mean"
                        " of means is used. The station is the sampling unit, because"
                        " its readings are alike."
                    ),
                    t(
                        "Throughput tests with other traffic on the link are excluded"
                        " and counted. Impossible values are excluded and counted."
                    ),
                    t("No test was aimed at a server of the election commission."),
                )
            ),
        ),
    )


def definitions(facts: Facts, t: Words) -> Section:
    """Return the chapter with the definition of each indicator and threshold."""
    columns = (
        Column(t("indicator"), weight=1.5),
        Column(t("meaning"), weight=2.6),
        Column(t("numerator / denominator"), weight=2.2),
        Column(t("standard"), weight=1),
        Column(t("unit"), weight=0.6),
        Column(t("good values"), weight=0.7),
        Column(t("minimum n"), is_number=True, weight=0.7),
    )
    rows = tuple(
        (
            Cell(d.name),
            Cell(meaning(d.name, t)),
            Cell(_ratio_text(d, t)),
            Cell(d.standard or NONE),
            Cell(d.unit),
            Cell(t("high") if d.better == "high" else t("low")),
            count_cell(d.sample_min, t),
        )
        for d in defined().values()
    )
    note = t(
        "The minimum sample sizes are a choice of this project; no law prescribes them."
    )
    table = Table("definitions", t("Definitions"), columns, rows, note)
    return Section(
        t("Definitions and thresholds"),
        (table, *_thresholds(facts, t)),
        starts_page=True,
    )


def _ratio_text(definition: Definition, t: Words) -> str:
    """Return both expressions, if they are short and people can read them."""
    parts = (_plain(definition.numerator), _plain(definition.denominator))
    text = " / ".join(parts)
    is_readable = len(text) <= _RATIO_MAX and not _SQL.search(text)
    return text if is_readable else t("see definitions.csv")


def _plain(expression: str) -> str:
    """Return an expression of SQL without its types, in brackets if it is a sum."""
    text = _CAST.sub(r"\1", expression)
    return f"({text})" if " + " in text else text


def _thresholds(facts: Facts, t: Words) -> Iterator[Block]:
    if not facts.template.thresholds:
        yield Text(
            t(
                "No thresholds were given, so no figure is judged. No numeric statute"
                " for mobile data in Indonesia was found, and none is claimed."
            )
        )
        return
    columns = (
        Column(t("indicator"), weight=2),
        Column(t("threshold"), weight=1.3),
        Column(t("source"), weight=3),
        Column(t("legal status"), weight=1.3),
    )
    rows = []
    for o in facts.template.thresholds:
        limit = t.figure(o.limit, defined()[o.indicator].unit)
        text = (
            t("at least {low}", low=limit)
            if o.is_least
            else t("at most {high}", high=limit)
        )
        cells = (meaning(o.indicator, t), text, o.source, t(o.legal_status))
        rows.append(tuple(map(Cell, cells)))
    note = t(
        "A figure with an interval meets a threshold, or does not meet it, only if the"
        " whole interval does. Otherwise the data is insufficient for a judgement."
    )
    yield Table("thresholds", t("Thresholds"), columns, tuple(rows), note)


def sampling(facts: Facts, t: Words) -> Section:
    """Return the chapter on the selection of stations and their coverage."""
    selection = (
        t(
            "The publisher of this report states that the stations of each area are a"
            " simple random sample of all its stations. Intervals are 95 %."
        )
        if facts.is_random
        else t(
            "The stations were not selected at random, or it is unknown. The figures"
            " describe the measured stations and are no estimate for all stations."
        )
    )
    provinces, regencies, stations = _NATION
    shown = (
        len({s.province for s in facts.stations}),
        len({s.regency for s in facts.stations}),
    )
    columns = (
        Column(t("level"), weight=2),
        Column(t("with readings"), is_number=True),
        Column(t("in the nation"), is_number=True),
    )
    rows = (
        (Cell(t("provinces")), count_cell(shown[0], t), count_cell(provinces, t)),
        (
            Cell(t("regencies and cities")),
            count_cell(shown[1], t),
            count_cell(regencies, t),
        ),
        (Cell(t("stations")), count_cell(facts.present, t), count_cell(stations, t)),
    )
    note = t("Stations in the nation: those of the vote of 14 February 2024.")
    blocks: list[Block] = [Text(selection)]
    blocks.append(Table("coverage", t("Coverage"), columns, rows, note))
    blocks += _register(facts, t)
    return Section(t("Sampling and coverage"), tuple(blocks))


def _register(facts: Facts, t: Words) -> Iterator[Block]:
    if not facts.coverage:
        yield Text(
            t(
                "No register was given, so silent stations are not counted or"
                " named here."
            )
        )
        return
    columns = (
        Column(t("area"), weight=2),
        Column(t("stratum"), weight=1.3),
        Column(t("selection")),
        Column(t("in the register"), is_number=True),
        Column(t("selected"), is_number=True),
        Column(t("reporting"), is_number=True),
        Column(t("silent"), is_number=True),
    )
    rows = tuple(
        (
            Cell(area_name(c.area) or scope_name(facts, t)),
            Cell(c.stratum or NONE),
            Cell(t(c.selection)),
            *(
                count_cell(n, t)
                for n in (c.registered, c.selected, c.reporting, c.silent)
            ),
        )
        for c in facts.coverage
        if c.level in ("nation", facts.area_level)
    )
    caption = t("Coverage of the register")
    yield Table("register", caption, columns, rows)


def sources(facts: Facts, t: Words) -> Table:
    """Return the sources of the archive, with their faults."""
    columns = (
        Column(t("source"), weight=2),
        Column(t("readings"), is_number=True),
        Column(t("faults"), is_number=True),
    )
    rows = tuple(
        (Cell(s.name), count_cell(s.readings, t), count_cell(s.faulty, t))
        for s in facts.sources
    )
    return Table("sources", t("Sources of the archive"), columns, rows)
