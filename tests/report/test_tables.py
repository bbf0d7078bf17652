"""Rows of a report: values, sample sizes, and what is not enough."""

from __future__ import annotations

from pathlib import Path

from qos_agent.report.indicators import DISTRIBUTIONS, INDICATORS, QUANTILES
from qos_agent.report.sums import Selection, archive_sums
from qos_agent.report.tables import (
    DEFINITIONS,
    INSUFFICIENT,
    Figure,
    definitions,
    figures,
    missing,
)
from tests.report.support import archive_of, reading, train


def _nation(archive: Path, *, is_random: bool = False) -> dict[str, Figure]:
    with archive_sums(archive, Selection()) as sums:
        rows = figures(sums.groups(), is_random=is_random)
    return {
        row.indicator: row
        for row in rows
        if row.level == "nation" and row.operator is None and row.phase is None
    }


def test_values_have_units_and_sample_sizes(tmp_path: Path) -> None:
    """Sums are in the row, so that everyone can calculate the value again."""
    lines = [train(n, [10] * 80 + [60] * 15, lost=5) for n in range(1, 4)]
    found = _nation(archive_of(tmp_path, lines))
    loss, delay = found["loss"], found["delay_mean"]
    assert (loss.value, loss.unit, loss.numerator, loss.denominator) == (
        0.05,
        "ratio",
        15,
        300,
    )
    assert (delay.value, delay.unit, delay.counted) == (17.894737, "ms", "responses")
    assert (loss.stations, loss.readings, loss.status) == (1, 3, "ok")
    medians = found["delay_p50"], found["delay_p95"]
    assert [(m.low, m.value, m.interval) for m in medians] == [
        (5, 10, "bin"),
        (50, 75, "bin"),
    ]


def test_too_few_readings_are_insufficient(tmp_path: Path) -> None:
    """There is no value, and the sums show how many there were."""
    found = _nation(archive_of(tmp_path, [train(1, [10] * 20)]))
    for name in ("loss", "delay_mean", "delay_p50"):
        row = found[name]
        assert (row.value, row.low, row.status) == (None, None, INSUFFICIENT)
    assert found["loss"].denominator == 20


def test_only_a_random_selection_has_intervals(tmp_path: Path) -> None:
    """The interval is that between the stations."""
    lines = [train(n, [10] * (200 - n), lost=n, station=f"s{n}") for n in range(60, 90)]
    archive = archive_of(tmp_path, lines)
    assert _nation(archive)["loss"].interval == ""
    row = _nation(archive, is_random=True)["loss"]
    assert row.interval == "95 % design-based"
    assert row.low is not None
    assert row.high is not None
    assert row.value is not None
    assert row.low < row.value < row.high


def test_missing_stations_are_named_for_each_indicator(tmp_path: Path) -> None:
    """A station with heartbeats alone is missing everywhere."""
    lines = [train(1, [10]), reading("agent", 2, beats=1, station="s2")]
    with archive_sums(archive_of(tmp_path, lines), Selection()) as sums:
        rows = [*missing(sums)]
    assert {name for name, _, station in rows if station == "s2"} == {
        i.name for i in INDICATORS
    }
    assert ("loss", "3171", "s1") not in rows


def test_every_figure_has_a_definition() -> None:
    """The names are those of the figures."""
    rows = [*definitions()]
    assert all(len(row) == len(DEFINITIONS) for row in rows)
    assert len(rows) == len(INDICATORS) + len(DISTRIBUTIONS) * len(QUANTILES)
