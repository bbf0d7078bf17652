"""Definitions of indicators, and their agreement with the boards."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.archive.columns import READINGS, columns
from qos_agent.report.estimates import ratio
from qos_agent.report.expressions import sql_text
from qos_agent.report.indicator_types import Distribution, Indicator
from qos_agent.report.indicators import DISTRIBUTIONS, INDICATORS
from qos_agent.report.sums import Group, Selection, archive_sums
from tests.noc.figures import FIGURES, Figure, from_raw
from tests.report.support import archive_of, reading, train

LINES = [
    train(1, [20, 40, 90, 120], lost=1),
    train(2, [10] * 9, lost=3, station="s2", province="32", regency="3201"),
    train(3, [700] * 9, layer="gateway"),
    train(4, [], lost=20, operator="xl", link="backup"),
    *(
        reading("throughput", 10 + n, tests=1, rate_bps=1e6 * n + 0.4, rate_ge_5=n > 4)
        for n in range(1, 9)
    ),
]


ENTRIES: tuple[Indicator | Distribution, ...] = (*INDICATORS, *DISTRIBUTIONS)


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_expressions_use_columns_of_the_archive(
    entry: Indicator | Distribution,
) -> None:
    """Ibis compiles each expression against the columns of its measurement."""
    assert sql_text(entry.condition, entry.measurement)
    if isinstance(entry, Distribution):
        names = [f"{entry.prefix}{bound}" for bound in entry.bounds] + [entry.total]
        assert {*names} <= columns(READINGS[entry.measurement]).keys()
    else:
        assert sql_text(entry.denominator, entry.measurement)
        assert sql_text(entry.numerator, entry.numerator_from or entry.measurement)
        assert entry.best != entry.worst
        assert (entry.best > entry.worst) == (entry.better == "high")
    assert entry.meaning[0].isupper()


def test_an_unknown_column_is_an_error() -> None:
    """A definition with a typing error never reaches a report."""
    with pytest.raises(AttributeError):
        sql_text(lambda t: t.losst, "latency")


def test_names_are_unique() -> None:
    """A name is the key of an indicator in every file."""
    names = [entry.name for entry in ENTRIES]
    assert len(names) == len({*names})


# Boards show the figure, and the report has the indicator.
SAME = {
    "loss": "loss",
    "delay": "delay_mean",
    "delay within 100 ms": "delay_within_100_ms",
    "rate": "download_mean",
    "rate over 5 Mbit/s": "download_over_5_mbps",
    "signal": "rsrp_mean",
}


def test_indicators_equal_the_figures_of_boards(tmp_path: Path) -> None:
    """Both are the same ratio over the same readings, in the nation and provinces."""
    expected = from_raw(LINES, 0, 2**63 - 1)
    with archive_sums(archive_of(tmp_path, LINES), Selection()) as sums:
        found = {(s.name, s.group): s.sums for s in sums.groups()}
    compared = 0
    for name, indicator in SAME.items():
        factor = {i.name: i.factor for i in INDICATORS}[indicator]
        for province, (above, below) in expected[name].items():
            is_minute = " " in province
            if is_minute or not below:
                continue
            level = "province" if province else "nation"
            group = Group(level, province or None, None, None)
            value = ratio(found[indicator, group])
            # The boards divide microseconds by packets, and floats by tests.
            whole = above / below * (1e-3 if name == "delay" else 1)
            assert value is not None
            assert value * factor == pytest.approx(whole, rel=1e-6)
            compared += 1
    assert compared >= 8


def _figure(name: str) -> Figure:
    return next(figure for figure in FIGURES if figure.name == name)


@pytest.mark.parametrize("name", SAME)
def test_boards_and_indicators_name_the_same_measurement(name: str) -> None:
    """The condition on the layer or direction is in both."""
    figure = _figure(name)
    indicator = next(i for i in INDICATORS if i.name == SAME[name])
    assert figure.measurement == indicator.measurement
    for tag, value in figure.where:
        condition = sql_text(indicator.condition, indicator.measurement)
        assert f"{tag} = '{value}'" in condition
