"""Judgements of figures by thresholds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qos_agent.report.tables import INSUFFICIENT, Figure
from qos_agent.report.thresholds import Threshold, defined, judged

_FIGURE = Figure(
    indicator="loss",
    level="nation",
    area=None,
    operator=None,
    phase=None,
    value=0.02,
    unit="ratio",
    low=None,
    high=None,
    interval="",
    numerator=2,
    denominator=100,
    counted="packets",
    stations=3,
    readings=5,
    excluded=0,
    status="ok",
)
_MOST = Threshold("loss", 0.02, False, "source", "contract")
_LEAST = Threshold("availability", 0.99, True, "source", "contract")


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.02, None, None, "meets"),
        (0.021, None, None, "does not meet"),
        (0.01, 0.0, 0.02, "meets"),
        (0.02, 0.01, 0.03, "insufficient data"),
        (0.04, 0.03, 0.05, "does not meet"),
    ],
)
def test_a_maximum_needs_the_whole_interval(
    value: float, low: float | None, high: float | None, expected: str
) -> None:
    """An interval on both sides of the limit decides nothing."""
    figure = replace(_FIGURE, value=value, low=low, high=high)
    assert judged(figure, [_MOST]) == expected


def test_a_minimum_is_the_other_way_round() -> None:
    """Availability must be at least the limit."""
    figure = replace(_FIGURE, indicator="availability", value=0.99)
    assert judged(figure, [_LEAST]) == "meets"
    assert judged(replace(figure, value=0.98), [_LEAST]) == "does not meet"


def test_insufficient_data_is_never_judged() -> None:
    """Without a value there is no judgement, and without a threshold neither."""
    few = replace(_FIGURE, value=None, status=INSUFFICIENT)
    assert judged(few, [_MOST]) == "insufficient data"
    assert judged(_FIGURE, [_LEAST]) == "no threshold"


def test_a_bin_is_above_its_lower_end() -> None:
    """A quantile above 100 and up to 150 ms does not meet a limit of 100 ms."""
    limit = Threshold("delay_p95", 100.0, False, "source", "contract")
    figure = replace(_FIGURE, indicator="delay_p95", value=150.0, low=100.0, high=150.0)
    binned = replace(figure, interval="bin", unit="ms")
    assert judged(binned, [limit]) == "does not meet"
    assert judged(replace(binned, low=75.0, high=100.0), [limit]) == "meets"
    assert judged(replace(binned, low=75.0, high=150.0), [limit]) != "meets"


def test_definitions_are_found_by_name() -> None:
    """Each indicator has a unit and a direction."""
    assert defined()["availability"].better == "high"
    assert {d.better for d in defined().values()} == {"high", "low"}
