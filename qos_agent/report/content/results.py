"""The chapters on the figures: indicators, phases, operators and stations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

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
    share_cell,
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
from qos_agent.report.tables import Figure
from qos_agent.report.thresholds import defined

# Indicators that get a chart of areas, and of phases.
_CHARTED = ("availability", "loss", "delay_mean", "download_mean", "rsrp_mean")
_PHASED = ("availability", "loss", "delay_mean", "form_upload_within_30_s")


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
    national = [c for c in facts.comparisons if c.kind == kind and c.area is None]
    found = [c for c in national if c.difference is not None]
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
    if few := len(national) - len(found):
        note += " " + t(
            "{n} other comparisons have too few stations; comparisons.csv has them.",
            n=few,
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
            share_cell(s.available, s.seconds, t),
            count_cell(s.seconds, t),
            share_cell(s.lost, s.sent, t),
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
