"""The first page: a map, five figures, and the places where something needs a fix."""

from __future__ import annotations

from collections.abc import Iterator

from qos_agent.report import maps
from qos_agent.report.content.common import (
    evidence_state,
    judgement_cell,
    meaning,
    operator_name,
    phase_name,
    scope_name,
    value_text,
)
from qos_agent.report.content.incidents import cause_text, when
from qos_agent.report.document import (
    Block,
    Bullets,
    Picture,
    Section,
    Text,
    Tile,
    Tiles,
)
from qos_agent.report.facts import Facts, area_name
from qos_agent.report.language import Words
from qos_agent.report.tables import Figure
from qos_agent.report.thresholds import judged

FIVE = (
    "availability",
    "loss",
    "delay_mean",
    "form_upload_within_30_s",
    "completeness_latency",
)
_SHORT = {
    "availability": "Availability of the links",
    "loss": "Packet loss",
    "delay_mean": "Mean round-trip time",
    "form_upload_within_30_s": "Form uploads within 30\u00a0s",
    "completeness_latency": "Due measurements made",
}
# Limits of the classes on the map. They only order the areas and judge nothing.
_BREAKS = (0.999, 0.99, 0.95, 0.90)
_FIXES_MAX = 4


def summary(facts: Facts, t: Words) -> Section:
    """Return the page that a minister can read."""
    phase = main_phase(facts)
    blocks: list[Block] = [Text(_lead(facts, phase, t))]
    blocks += [Tiles(tuple(_tiles(facts, phase, t))), _map(facts, phase, t)]
    fixes = tuple(fixes_of(facts, phase, t))
    blocks.append(Text(t("What to fix, and where"), is_important=True))
    blocks.append(Bullets(fixes or (_no_fix(facts, phase, t),)))
    blocks.append(Text(_caveat(facts, t)))
    return Section(t("Summary"), tuple(blocks))


def _no_fix(facts: Facts, phase: str | None, t: Words) -> str:
    """Return that nothing needs a fix, or that the readings cannot show it."""
    figure = facts.figure("availability", phase=phase)
    if figure is None or figure.value is None:
        return t(
            "These readings cannot show what needs a fix: the availability of the links"
            " has no figure."
        )
    return t("Nothing in these readings needs a fix.")


def main_phase(facts: Facts) -> str | None:
    """Return the phase of the summary: voting, or None for all phases."""
    return "voting" if "voting" in facts.phases else None


def _lead(facts: Facts, phase: str | None, t: Words) -> str:
    sources = len(facts.sources)
    return t(
        "{stations} stations in {area} gave readings. The figures on this page are"
        " those of the phase: {phase}. Readings in the archive: {readings}; sources:"
        " {sources}.",
        stations=t.number(facts.present),
        area=scope_name(facts, t),
        phase=phase_name(phase, t),
        readings=t.number(facts.readings),
        sources=t.number(sources),
    )


def _tiles(facts: Facts, phase: str | None, t: Words) -> Iterator[Tile]:
    for name in FIVE:
        figure = facts.figure(name, phase=phase)
        sample = t("no readings")
        if figure is not None:
            sample = t(
                "{stations} stations, n = {n}",
                stations=t.number(figure.stations),
                n=t.number(figure.denominator),
            )
        cell = judgement_cell(figure, facts, t)
        has_limit = any(o.indicator == name for o in facts.template.thresholds)
        verdict = cell.text if has_limit else ""
        yield Tile(value_text(figure, t), t(_SHORT[name]), sample, cell.tone, verdict)


def _map(facts: Facts, phase: str | None, t: Words) -> Picture:
    classes = [*_classes(facts, phase, t)]
    borders = facts.template.borders
    svg = maps.draw(
        "map", classes, t("no or insufficient data"), borders, facts.chosen.area
    )
    described = "; ".join(
        f"{one.label}: {len(one.codes)}" for one in classes if one.codes
    )
    caption = t(
        "Availability by regency or city. Phase: {phase}", phase=phase_name(phase, t)
    )
    if borders is None:
        caption += t(". Dots are points inside the areas, not stations.")
    elif facts.template.borders_source:
        caption += ". " + t("Borders: {source}.", source=facts.template.borders_source)
    alt = t("Map of the availability. Number of areas: {classes}.", classes=described)
    return Picture("map", caption, alt, svg)


def _classes(facts: Facts, phase: str | None, t: Words) -> Iterator[maps.Class]:
    values = {
        f.area: f.value
        for f in facts.figures
        if f.indicator == "availability"
        and (f.level, f.operator, f.phase) == ("regency", None, phase)
        and f.area is not None
        and f.value is not None
    }
    high = 1.1
    for limit in (*_BREAKS, -1.0):
        codes = frozenset(a for a, v in values.items() if limit <= v < high)
        yield maps.Class(_class_label(limit, high, t), codes)
        high = limit


def _class_label(low: float, high: float, t: Words) -> str:
    if high > 1:
        return t("at least {low}", low=t.figure(low, "ratio"))
    if low < 0:
        return t("below {high}", high=t.figure(high, "ratio"))
    return t(
        "{low} to {high}", low=t.figure(low, "ratio"), high=t.figure(high, "ratio")
    )


def fixes_of(facts: Facts, phase: str | None, t: Words) -> Iterator[str]:
    """Yield what needs a fix: the longest incidents, then figures below thresholds."""
    incidents = sorted(facts.incidents, key=lambda p: (-p.minutes, p.incident.start_ns))
    for place in incidents[:_FIXES_MAX]:
        i = place.incident
        yield t(
            "{area}, {operator}: no connection at {stations} of {total} stations,"
            " {when} ({cause}). Ask the operator for the reason and the remedy:"
            " dossier {id}.",
            area=area_name(i.area),
            operator=operator_name(i.operator, t),
            stations=i.stations,
            total=i.of_stations,
            when=when(i, t),
            cause=cause_text(i.cause, t),
            id=i.incident_id,
        )
    for figure in _failing(facts, phase)[:_FIXES_MAX]:
        yield t(
            "{area}, {operator}: {indicator} is {value} and does not meet its"
            " threshold.",
            area=area_name(figure.area) or scope_name(facts, t),
            operator=operator_name(figure.operator, t),
            indicator=meaning(figure.indicator, t),
            value=value_text(figure, t),
        )
    if facts.silent:
        yield t(
            "{n} selected stations sent nothing. The chapter on completeness names"
            " them.",
            n=t.number(len(facts.silent)),
        )


def _failing(facts: Facts, phase: str | None) -> list[Figure]:
    """Return figures of single operators in the areas that fail, the worst first."""
    thresholds = {o.indicator: o for o in facts.template.thresholds}
    found = [
        f
        for f in facts.figures
        if f.indicator in thresholds
        and f.level == facts.area_level
        and f.operator is not None
        and f.phase == phase
        and judged(f, facts.template.thresholds) == "does not meet"
    ]

    def distance(figure: Figure) -> float:
        limit = thresholds[figure.indicator].limit or 1.0
        return -abs((figure.value or 0) - limit) / abs(limit)

    return sorted(found, key=distance)


def _caveat(facts: Facts, t: Words) -> str:
    described = (
        t("The intervals apply to all stations of an area.")
        if facts.is_random
        else t("The figures describe the measured stations, not all stations.")
    )
    return f"{described} {evidence_state(facts, t)}"
