"""The chapter on completeness: due, measured, failed, skipped, delivered and silent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from qos_agent.model.schema.codes import CAUSES, REASONS
from qos_agent.report import charts
from qos_agent.report.content.common import NONE, count_cell, share_cell
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

_OUTCOMES = ("ok", "failed", "skipped")
_OUTCOME_NAMES = {"ok": "measured", "failed": "failed", "skipped": "skipped"}
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
    return Section(t("Completeness"), tuple(blocks))


def _counts(
    facts: Facts,
    level: str,
    key: Callable[[Outcome], str],
    measurement: str | None = None,
) -> list[tuple[str, Sequence[int]]]:
    """Return the slots of each key by outcome."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for outcome in facts.outcomes:
        if outcome.level == level and measurement in (None, outcome.measurement):
            column = _OUTCOMES.index(outcome.outcome)
            found[key(outcome)][column] += outcome.slots
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
            share_cell(counts[0], sum(counts), t),
        )
        for name, counts in rows
    )
    return Table("completeness", t("Due slots by outcome"), columns, cells)


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
        (Cell(t(_AGES[name])), count_cell(n, t), share_cell(n, total, t))
        for name, n in facts.delivered.items()
    )
    note = t("The devices count these points. Archives also have points from journals.")
    yield Table("delivery", t("Delivery to the centre"), columns, rows, note)


def _silent(facts: Facts, t: Words) -> Iterator[Block]:
    """Yield the stations without readings by name."""
    if facts.silent:
        yield _named_silent(facts, t)
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


def _named_silent(facts: Facts, t: Words) -> Table:
    """Return the selected stations of the register that sent nothing."""
    rows = tuple(
        (Cell(station), Cell(area_name(regency))) for regency, station in facts.silent
    )
    columns = (Column(t("station")), Column(t("area"), weight=2))
    caption = t("Selected stations that sent nothing")
    return Table("silent", caption, columns, rows, is_searchable=True)
