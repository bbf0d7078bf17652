"""The whole report as one document."""

from __future__ import annotations

from collections.abc import Mapping

from qos_agent.report.content import about, annex, completeness, incidents, results
from qos_agent.report.content.common import scope_name
from qos_agent.report.content.summary import summary
from qos_agent.report.document import Document, Section
from qos_agent.report.facts import Facts
from qos_agent.report.language import Words, local_time


def title_of(facts: Facts, t: Words) -> str:
    """Return the title: the regulator's own, or the usual one."""
    return facts.template.title or t("Quality of mobile networks at polling stations")


def subtitle_of(facts: Facts, t: Words) -> str:
    """Return area, and the election with its voting day or the days of readings."""
    parts = [scope_name(facts, t)]
    if facts.election is not None:
        parts.append(t("election of {day}", day=t.date(facts.election.voting_day)))
    else:
        days = [t.date(local_time(ns, facts.zone)) for ns in facts.span]
        parts.append(" – ".join(dict.fromkeys(days)))
    parts.append(t("version {version}", version=facts.template.version))
    return " · ".join(parts)


def chapters(facts: Facts, t: Words) -> tuple[Section, ...]:
    """Return all chapters but the index of the files."""
    return (
        summary(facts, t),
        about.scope(facts, t),
        about.method(t),
        about.sampling(facts, t),
        completeness.completeness(facts, t),
        results.phases(facts, t),
        results.operators(facts, t),
        incidents.timeline(facts, t),
        incidents.incidents(facts, t),
        *results.indicators(facts, t),
        results.stations(facts, t),
        about.definitions(facts, t),
        annex.limits(t),
        annex.evidence(facts, t),
        annex.glossary(t),
        *annex.conclusion(facts, t),
        annex.reply(t),
        annex.corrections(facts, t),
    )


def document(
    facts: Facts,
    sections: tuple[Section, ...],
    sha256: Mapping[str, str],
    t: Words,
) -> Document:
    """Return the document with the index of the files that were written before it."""
    return Document(
        title_of(facts, t),
        subtitle_of(facts, t),
        t.code,
        facts.template.ministry,
        local_time(facts.span[1], facts.zone).date(),
        (*sections, annex.files(sha256, facts, t)),
        annex.imprint(facts, t),
        logo=facts.template.logo,
        logo_kind=facts.template.logo_kind,
    )
