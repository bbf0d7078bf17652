"""Parts that several chapters share: names, cells and tables of figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qos_agent.report.document import Cell, Column, Table, Tone
from qos_agent.report.facts import Facts, area_name
from qos_agent.report.language import Words
from qos_agent.report.tables import INSUFFICIENT, Figure
from qos_agent.report.thresholds import defined, judged
from qos_agent.report.types import Judgement

_TONES: dict[Judgement, Tone] = {
    "meets": "good",
    "does not meet": "bad",
    "insufficient data": "few",
    "no threshold": "",
}
_PHASES = {
    "pre": "Before (pre)",
    "voting": "Voting",
    "counting": "Counting",
    "post": "After (post)",
    "idle": "Outside of an election",
}
NONE = "–"
# A browser sorts this many rows in a second.
_ROWS_MAX = 20_000


def phase_name(phase: str | None, t: Words) -> str:
    """Return the name of a phase."""
    return t("All phases") if phase is None else t(_PHASES.get(phase, phase))


def scope_name(facts: Facts, t: Words) -> str:
    """Return the name of the area of the report."""
    area = facts.chosen.area
    return t("Indonesia") if area is None else f"{area_name(area)} ({area})"


def operator_name(operator: str | None, t: Words) -> str:
    """Return the name of an operator as the readings have it."""
    return t("All operators") if operator is None else operator


def meaning(name: str, t: Words) -> str:
    """Return the meaning of an indicator, in which a quantile has its share."""
    text, colon, share = defined()[name].meaning.partition(": ")
    translated = t(text).replace("`", "")
    if not colon:
        return translated
    return f"{translated}: {t.figure(float(share), 'ratio')}"


def value_text(figure: Figure | None, t: Words) -> str:
    """Return the value of a figure, or that the data is insufficient."""
    if figure is None:
        return NONE
    if figure.value is None:
        if figure.low is not None and figure.interval == "bin":
            return f"> {t.figure(figure.low, figure.unit)}"
        return t(INSUFFICIENT)
    prefix = "≤ " if figure.interval == "bin" else ""
    return f"{prefix}{t.figure(figure.value, figure.unit)}"


def interval_text(figure: Figure, t: Words) -> str:
    """Return the interval of a figure for all stations, or that it has none."""
    if figure.low is None or figure.interval == "bin":
        return NONE
    high = figure.low if figure.high is None else figure.high
    low_text, high_text = (t.figure(v, figure.unit) for v in (figure.low, high))
    return t("{low} to {high}", low=low_text, high=high_text)


def _bounds_text(figure: Figure, t: Words) -> str:
    """Return the value if all missing stations and slots were good, and bad."""
    ends = (figure.all_good, figure.all_bad)
    return " – ".join(NONE if v is None else t.figure(v, figure.unit) for v in ends)


def judgement_cell(figure: Figure | None, facts: Facts, t: Words) -> Cell:
    """Return the judgement of a figure by the thresholds of the template."""
    if figure is None:
        return Cell(NONE)
    judgement = judged(figure, facts.template.thresholds)
    return Cell(t(judgement), tone=_TONES[judgement])


def value_cell(figure: Figure | None, t: Words) -> Cell:
    """Return the cell of a figure."""
    few: Tone = "few" if figure is not None and figure.value is None else ""
    return Cell(value_text(figure, t), figure.value if figure else None, few)


def count_cell(count: int, t: Words) -> Cell:
    """Return a whole number as a cell."""
    return Cell(t.number(count), count)


def has_bounds(facts: Facts) -> bool:
    """Return True if figures have bounds for the stations that are missing."""
    return any(f.all_good is not None for f in facts.figures)


def share_cell(part: int, whole: int, t: Words) -> Cell:
    """Return a share of a whole, or none without a whole."""
    if not whole:
        return Cell(NONE)
    return Cell(t.figure(part / whole, "ratio"), part / whole)


def figure_columns(first: Sequence[str], facts: Facts, t: Words) -> tuple[Column, ...]:
    """Return the columns of a table of figures, after some columns of texts."""
    bounds = (Column(t("missing all good – all bad"), weight=1.8),)
    return (
        *(Column(title, weight=2.2) for title in first),
        Column(t("figure"), is_number=True, weight=1.3),
        Column(t("95 % interval"), weight=1.7),
        *(bounds if has_bounds(facts) else ()),
        Column(t("stations"), is_number=True),
        Column("n", is_number=True, weight=1.2),
        *((Column(t("judgement"), weight=1.6),) if facts.template.thresholds else ()),
    )


def figure_row(
    first: Iterable[str], figure: Figure, facts: Facts, t: Words
) -> tuple[Cell, ...]:
    """Return the row of a figure with its sample and its judgement."""
    return (
        *(Cell(text) for text in first),
        value_cell(figure, t),
        Cell(interval_text(figure, t)),
        *((Cell(_bounds_text(figure, t)),) if has_bounds(facts) else ()),
        count_cell(figure.stations, t),
        count_cell(figure.denominator, t),
        *((judgement_cell(figure, facts, t),) if facts.template.thresholds else ()),
    )


def all_figures(facts: Facts, t: Words) -> Table:
    """Return the table with every figure, which only files without pages have.

    If they are too many for a browser, figures of the lowest level are left out.
    """
    chosen = list(facts.figures)
    if len(chosen) > _ROWS_MAX:
        chosen = [f for f in chosen if f.level in ("nation", facts.area_level)]
    note = ""
    if len(chosen[:_ROWS_MAX]) < len(facts.figures):
        note = t(
            "{n} of {total} rows. figures.csv has all of them.",
            n=t.number(len(chosen[:_ROWS_MAX])),
            total=t.number(len(facts.figures)),
        )
    rows = tuple(
        figure_row(
            (
                f.indicator,
                area_name(f.area) or scope_name(facts, t),
                operator_name(f.operator, t),
                phase_name(f.phase, t),
            ),
            f,
            facts,
            t,
        )
        for f in chosen[:_ROWS_MAX]
    )
    heads = (t("indicator"), t("area"), t("operator"), t("phase"))
    return Table(
        "all figures",
        t("All figures by area, operator and phase"),
        figure_columns(heads, facts, t),
        rows,
        note,
        is_long=True,
        is_searchable=True,
    )


def evidence_state(facts: Facts, t: Words) -> str:
    """Return what the verification says about the readings of this archive."""
    found = facts.verification
    if found is None:
        return t("The evidence is not verified.")
    if not found.is_valid:
        return t("The verification of the evidence found faults.")
    if rest := found.unproven(facts.readings):
        return t(
            "The verification proves {proven} readings. The archive has {readings}, so"
            " at least {rest} are not proven.",
            proven=t.number(found.points),
            readings=t.number(facts.readings),
            rest=t.number(rest),
        )
    return t("The evidence is verified: every reading of the bundle is proven.")
