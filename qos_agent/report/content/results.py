"""The chapters on the figures: completeness first, then indicators and operators."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

from qos_agent.model.schema.codes import CAUSES, REASONS
from qos_agent.report import charts
from qos_agent.report.content.common import (
    NONE,
    all_figures,
    count_cell,
    figure_columns,
    figure_row,
    meaning,
    operator_name,
    phase_name,
    scope_name,
    value_cell,
)
from qos_agent.report.document import (
    Block,
    Cell,
    Column,
    Picture,
    Section,
    Table,
    Text,
)
from qos_agent.report.facts import Facts, area_name
from qos_agent.report.language import Words
from qos_agent.report.sums import Outcome
from qos_agent.report.tables import Figure
from qos_agent.report.thresholds import defined

_OUTCOMES = ("ok", "failed", "skipped")
_OUTCOME_NAMES = {"ok": "measured", "failed": "failed", "skipped": "skipped"}
# Indicators that get a chart of areas, and of phases.
_CHARTED = ("availability", "loss", "delay_mean", "download_mean", "rsrp_mean")
_PHASED = ("availability", "loss", "delay_mean", "form_upload_within_30_s")
_MISSING_MAX = 60
_AGES = {
    "acked_le_2m": "delivered within 2 minutes",
    "acked_le_1h": "late: within 1 hour",
    "acked_le_1d": "late: within 1 day",
    "acked_older": "late: after more than 1 day",
}


def completeness(facts: Facts, t: Words) -> Section:
    """Return the chapter on due, measured, failed and skipped slots."""
    by_measurement = _counts(facts, "nation", lambda o: o.measurement)
    by_area = _counts(
        facts,
        facts.area_level,
        lambda o: area_name(o.area),
        measurement="latency",
    )
    titles = [t(_OUTCOME_NAMES[outcome]) for outcome in _OUTCOMES]
    blocks: list[Block] = [
        Text(
            t(
                "Every figure depends on this chapter. A slot is a moment at which a"
                " measurement is due. It is measured, failed with a cause, or skipped"
                " with a reason. A failed slot is a result: it counts as bad."
            )
        ),
        _outcome_table(by_measurement, t),
    ]
    if by_area:
        svg = charts.shares("completeness", by_area, titles, t)
        alt = t("Shares of measured, failed and skipped slots of latency by area.")
        caption = t("Due slots of the latency measurement by area")
        blocks.append(Picture("completeness", caption, alt, svg))
    blocks += [_codes(facts, t), *_delivery(facts, t), *_silent(facts, t)]
    return Section(t("Completeness"), tuple(blocks), starts_page=True)


def _counts(
    facts: Facts,
    level: str,
    key: object,
    measurement: str | None = None,
) -> list[tuple[str, Sequence[int]]]:
    """Return the slots of each key by outcome."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for outcome in facts.outcomes:
        if outcome.level == level and measurement in (None, outcome.measurement):
            column = _OUTCOMES.index(outcome.outcome)
            found[key(outcome)][column] += outcome.slots  # type: ignore[operator]
    return [(name, found[name]) for name in found]


def _outcome_table(rows: Sequence[tuple[str, Sequence[int]]], t: Words) -> Table:
    columns = (
        Column(t("measurement"), weight=1.6),
        Column(t("due"), is_number=True),
        *(Column(t(_OUTCOME_NAMES[o]), is_number=True) for o in _OUTCOMES),
        Column(t("share measured"), is_number=True),
    )
    cells = tuple(
        (
            Cell(name),
            count_cell(sum(counts), t),
            *(count_cell(count, t) for count in counts),
            _share(counts[0], sum(counts), t),
        )
        for name, counts in rows
    )
    return Table("completeness", t("Due slots by outcome"), columns, cells)


def _share(part: int, whole: int, t: Words) -> Cell:
    if not whole:
        return Cell(NONE)
    return Cell(t.figure(part / whole, "ratio"), part / whole)


def _codes(facts: Facts, t: Words) -> Table:
    """Return the causes and reasons of slots that were not measured."""
    columns = (
        Column(t("measurement"), weight=1.2),
        Column(t("outcome"), weight=0.9),
        Column(t("cause or reason"), weight=3.6),
        Column(t("slots"), is_number=True),
        Column(t("stations"), is_number=True),
    )
    listed = [o for o in facts.outcomes if o.level == "nation" and o.outcome != "ok"]
    rows = tuple(
        (
            Cell(o.measurement),
            Cell(t(_OUTCOME_NAMES[o.outcome])),
            Cell(_code_text(o, t)),
            count_cell(o.slots, t),
            count_cell(o.stations, t),
        )
        for o in sorted(listed, key=lambda o: (o.measurement, o.outcome, -o.slots))
    )
    note = "" if rows else t("Every due slot was measured.")
    return Table("causes", t("Causes and reasons"), columns, rows, note)


def _code_text(outcome: Outcome, t: Words) -> str:
    code = outcome.code or ""
    known = {**CAUSES, **REASONS}.get(code)
    return f"{t(known).rstrip('.')} ({code})" if known else code or NONE


def _delivery(facts: Facts, t: Words) -> Iterator[Block]:
    """Yield the age of points when the collector acknowledged them."""
    if not facts.delivered:
        return
    total = sum(facts.delivered.values())
    columns = (
        Column(t("age when acknowledged"), weight=2),
        Column(t("points"), is_number=True),
        Column(t("share"), is_number=True),
    )
    rows = tuple(
        (Cell(t(_AGES[name])), count_cell(n, t), _share(n, total, t))
        for name, n in facts.delivered.items()
    )
    note = t("The devices count these points. Archives also have points from journals.")
    yield Table("delivery", t("Delivery to the centre"), columns, rows, note)


def _silent(facts: Facts, t: Words) -> Iterator[Block]:
    """Yield the stations without readings by name."""
    if facts.silent:
        rows = tuple(
            (Cell(station), Cell(name), Cell(area_name(regency)))
            for station, name, regency in facts.silent
        )
        columns = (Column(t("station")), Column(t("name")), Column(t("area")))
        caption = t("Selected stations that sent nothing")
        yield Table("silent", caption, columns, rows, is_searchable=True)
    without: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, regency, station in facts.missing:
        without[regency, station].append(name)
    if not without:
        return
    columns = (
        Column(t("station"), weight=1.3),
        Column(t("area"), weight=1.5),
        Column(t("indicators without a reading"), weight=3.5),
    )
    rows = tuple(
        (Cell(station), Cell(area_name(regency)), Cell(", ".join(names)))
        for (regency, station), names in sorted(without.items())
    )
    caption = t("Stations with readings, but none for an indicator")
    is_long = len(rows) > _MISSING_MAX
    yield Table("without readings", caption, columns, rows, is_long=is_long)


def indicators(facts: Facts, t: Words) -> Iterator[Section]:
    """Yield the chapter on each indicator by area, operator and phase."""
    yield Section(
        t("Indicators"),
        (
            Text(
                t(
                    "n is the sample size: what the definition counts. A figure below"
                    " the minimum sample size has no value and is insufficient data."
                    " Files and the HTML report have all combinations of area, operator"
                    " and phase."
                )
            ),
            all_figures(facts, t),
        ),
        starts_page=True,
    )
    for name in facts.names:
        yield Section(meaning(name, t), tuple(_indicator(name, facts, t)), level=2)


def _indicator(name: str, facts: Facts, t: Words) -> Iterator[Block]:
    definition = defined()[name]
    picture = _areas_chart(name, facts, t) if name in _CHARTED else None
    if picture is not None:
        yield picture
    rows = [
        (label, figure) for label, figure in _rows(name, facts, t) if figure is not None
    ]
    caption = t(
        "{name}; n counts {counted}, minimum {least}",
        name=name,
        counted=t(definition.counted),
        least=t.number(definition.sample_min),
    )
    yield Table(
        name,
        caption,
        figure_columns((t("area, operator or phase"),), facts, t),
        tuple(figure_row((label,), figure, facts, t) for label, figure in rows),
    )


def _rows(name: str, facts: Facts, t: Words) -> Iterator[tuple[str, Figure | None]]:
    """Yield the whole scope, then each operator, phase and area."""
    yield scope_name(facts, t), facts.figure(name)
    for operator in facts.operators:
        yield operator, facts.figure(name, operator=operator)
    for phase in facts.phases:
        yield phase_name(phase, t), facts.figure(name, phase=phase)
    for area in facts.areas:
        yield area_name(area), facts.figure(name, area)


def _areas_chart(name: str, facts: Facts, t: Words) -> Picture | None:
    unit = defined()[name].unit
    rows = [
        charts.Dot(area_name(area), f.value, f.low, f.high)
        for area in facts.areas
        if (f := facts.figure(name, area)) is not None
    ]
    if len(rows) < 2 or all(row.value is None for row in rows):
        return None
    limit = next(
        (o.limit for o in facts.template.thresholds if o.indicator == name), None
    )
    svg = charts.dots(f"areas-{name}", rows, lambda v: t.figure(v, unit), limit, t)
    alt = t("Chart of the figures by area; the table below has the same numbers.")
    return Picture(f"areas-{name}", meaning(name, t), alt, svg)


def phases(facts: Facts, t: Words) -> Section:
    """Return before, during and after the vote side by side."""
    blocks: list[Block] = []
    columns = (
        Column(t("indicator"), weight=2.4),
        *(Column(phase_name(phase, t), is_number=True) for phase in facts.phases),
    )
    rows = tuple(
        (
            Cell(meaning(name, t)),
            *(value_cell(facts.figure(name, phase=p), t) for p in facts.phases),
        )
        for name in facts.names
    )
    caption = t("Before, during and after the vote, all operators")
    note = t(
        "The phases have different hours and loads, so a difference has no one cause."
    )
    blocks.append(Table("phases", caption, columns, rows, note))
    if len(facts.phases) > 1:
        blocks += [p for name in _PHASED if (p := _phase_chart(name, facts, t))]
    blocks += _comparisons(facts, "phase", t)
    return Section(t("Before, during and after"), tuple(blocks), starts_page=True)


def _phase_chart(name: str, facts: Facts, t: Words) -> Picture | None:
    if name not in facts.names:
        return None
    unit = defined()[name].unit
    rows = [
        (
            operator,
            [_value(facts.figure(name, None, operator, p)) for p in facts.phases],
        )
        for operator in facts.operators
    ]
    if not any(value is not None for _, values in rows for value in values):
        return None
    titles = [phase_name(phase, t) for phase in facts.phases]
    svg = charts.phases(f"phases-{name}", rows, titles, lambda v: t.figure(v, unit))
    alt = t("Line for each operator through the phases; the table has the numbers.")
    return Picture(f"phases-{name}", meaning(name, t), alt, svg, 0.85)


def _value(figure: Figure | None) -> float | None:
    return None if figure is None else figure.value


def operators(facts: Facts, t: Words) -> Section:
    """Return the operators side by side, with the limits of such a comparison."""
    blocks: list[Block] = [
        Text(
            t(
                "The operators were not measured at the same stations, so the figures"
                " of this table are no ranking. Only a comparison at the same stations"
                " in the same hours is fair."
            )
        )
    ]
    columns = (
        Column(t("indicator"), weight=2.4),
        *(Column(operator, is_number=True) for operator in facts.operators),
    )
    rows = tuple(
        (
            Cell(meaning(name, t)),
            *(value_cell(facts.figure(name, operator=o), t) for o in facts.operators),
        )
        for name in facts.names
    )
    stations = tuple(
        count_cell(len({s.station for s in facts.stations if s.operator == o}), t)
        for o in facts.operators
    )
    rows = ((Cell(t("stations with a link of this operator")), *stations), *rows)
    caption = t("Figures of the operators, all phases")
    blocks.append(Table("operators", caption, columns, rows))
    blocks += _comparisons(facts, "operator", t)
    return Section(t("Operators"), tuple(blocks), starts_page=True)


def _comparisons(facts: Facts, kind: str, t: Words) -> Iterator[Block]:
    """Yield the paired comparisons of a kind, one table for all indicators."""
    found = [c for c in facts.comparisons if c.kind == kind and c.area is None]
    if not found:
        return
    columns = (
        Column(t("indicator"), weight=2),
        Column(t("compared"), weight=1.8),
        Column(t("first"), is_number=True),
        Column(t("second"), is_number=True),
        Column(t("difference"), is_number=True),
        Column(t("95 % interval"), weight=1.7),
        Column(t("pairs"), is_number=True, weight=0.8),
    )
    rows = []
    for _, same in groupby(found, key=lambda c: c.indicator):
        for c in same:
            names = [
                phase_name(n, t) if kind == "phase" else n for n in (c.first, c.second)
            ]
            values = (c.value_first, c.value_second, c.difference)
            shown = [NONE if v is None else t.figure(v, c.unit) for v in values]
            interval = NONE
            if c.low is not None and c.high is not None:
                ends = (t.figure(v, c.unit) for v in (c.low, c.high))
                interval = t(
                    "{low} to {high}", **dict(zip(("low", "high"), ends, strict=True))
                )
            rows.append(
                (
                    Cell(meaning(c.indicator, t)),
                    Cell(f"{names[0]} → {names[1]}"),
                    *(Cell(x, v) for x, v in zip(shown, values, strict=True)),
                    Cell(interval),
                    count_cell(c.pairs, t),
                )
            )
    note = t(
        "Differences at the same stations and hours. With {n} comparisons, about one in"
        " twenty intervals excludes 0 by chance.",
        n=len(rows),
    )
    caption = t("Compared at the same stations and hours")
    yield Table(f"compared {kind}s", caption, columns, tuple(rows), note)


def stations(facts: Facts, t: Words) -> Section:
    """Return the table of single stations, to search for one."""
    columns = (
        Column(t("station"), weight=1.4),
        Column(t("area"), weight=1.5),
        Column(t("operator"), weight=1.2),
        Column(t("Availability"), is_number=True),
        Column(t("seconds"), is_number=True),
        Column(t("Packet loss"), is_number=True),
        Column(t("packets"), is_number=True),
        Column(t("Mean round-trip time"), is_number=True),
    )
    rows = tuple(
        (
            Cell(s.station),
            Cell(area_name(s.regency)),
            Cell(operator_name(s.operator or None, t)),
            _share(s.available, s.seconds, t),
            count_cell(s.seconds, t),
            _share(s.lost, s.sent, t),
            count_cell(s.sent, t),
            _mean_ms(s.rtt_us, s.received, t),
        )
        for s in facts.stations
    )
    caption = t("Stations, all phases")
    note = t("These are sums of single stations and no figures for their areas.")
    table = Table(
        "stations", caption, columns, rows, note, is_long=True, is_searchable=True
    )
    return Section(t("Stations"), (table,))


def _mean_ms(total_us: int, count: int, t: Words) -> Cell:
    if not count:
        return Cell(NONE)
    return Cell(t.figure(total_us / count / 1000, "ms"), total_us / count / 1000)
