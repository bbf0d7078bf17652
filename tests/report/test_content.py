"""Statements of the pages that a reader could take for more than they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.report.content.about import definitions
from qos_agent.report.content.common import figure_columns, figure_row
from qos_agent.report.content.results import phases
from qos_agent.report.content.summary import summary
from qos_agent.report.content.whole import subtitle_of
from qos_agent.report.document import Table
from qos_agent.report.facts import Facts, gather
from qos_agent.report.language import words
from qos_agent.report.selection import Selection
from qos_agent.report.template import Template
from qos_agent.report.thresholds import Threshold
from qos_agent.report.types import Comparison
from tests.report.support import archive_of, train

_EN = words("en")


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """Return the facts of latency readings, without any availability."""
    archive = archive_of(tmp_path, [train(n, [10] * 20) for n in range(3)])
    return gather(archive, Selection(), Template())


def test_without_availability_a_report_does_not_say_that_all_is_well(
    facts: Facts,
) -> None:
    """A missing figure is no sign that nothing needs a fix."""
    text = str(summary(facts, _EN).blocks)
    assert "These readings cannot show what needs a fix" in text
    assert "Nothing in these readings needs a fix." not in text


def test_a_comparison_without_a_result_takes_no_line(facts: Facts) -> None:
    """The note counts the intervals that are shown, and the others apart."""
    known = _comparison("loss", 0.5)
    empty = _comparison("delay_mean", None)
    section = phases(replace(facts, comparisons=[known, empty, empty]), _EN)
    [table] = [
        block
        for block in section.blocks
        if isinstance(block, Table) and block.name == "compared phases"
    ]
    assert len(table.rows) == 1
    assert "With 1 comparisons" in table.note
    assert "2 other comparisons have too few stations" in table.note


def test_a_report_without_an_election_has_its_days_on_the_first_page(
    facts: Facts,
) -> None:
    """The days distinguish two reports of the same area."""
    day = 86_400 * 10**9
    text = subtitle_of(facts, _EN).replace("\u00a0", " ")
    assert text == "Indonesia · 14 February 2024 · version 1"
    longer = replace(facts, span=(facts.span[0], facts.span[0] + 2 * day))
    text = subtitle_of(longer, _EN).replace("\u00a0", " ")
    assert "14 February 2024 – 16 February 2024" in text


def test_definitions_have_no_program_code(facts: Facts) -> None:
    """An expression is a sum of fields, or in the file of definitions."""
    text = str(definitions(facts, _EN).blocks)
    assert "available / (available + unavailable)" in text
    assert not [word for word in ("CASE", "CAST", "COALESCE") if word in text]


def test_figures_are_judged_only_with_a_threshold(facts: Facts) -> None:
    """A column of *no threshold* would double the height of each row."""
    limit = Threshold("loss", 0.01, False, "Rule 7", "contract")
    for thresholds, columns in (((), 5), ((limit,), 6)):
        chosen = replace(facts, template=Template(thresholds=thresholds))
        assert len(figure_columns((), chosen, _EN)) == columns
        assert len(figure_row((), facts.figures[0], chosen, _EN)) == columns


def _comparison(indicator: str, difference: float | None) -> Comparison:
    return Comparison(
        indicator=indicator,
        kind="phase",
        area=None,
        first="pre",
        second="voting",
        value_first=0.0 if difference is not None else None,
        value_second=difference,
        difference=difference,
        low=None,
        high=None,
        unit="ratio",
        pairs=9,
        stations=3,
        status="ok",
    )
