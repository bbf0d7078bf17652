"""Estimates for all stations: against R's `survey`, and against known truths."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import reduce
from operator import add
from pathlib import Path

import pytest

from qos_agent.report.design import (
    Cell,
    Estimate,
    Pair,
    effective_trials,
    estimate,
    exact_interval,
    interval,
    paired_difference,
    quantile,
)
from qos_agent.report.distributions import beta_quantile, t_quantile
from qos_agent.report.estimates import NOTHING, Sums, station_sums
from tests.report import survey
from tests.report.survey import BINS, STRATA, Row, recorded, sample, write_sample

ROWS = sample()
FULL = os.environ.get("QOS_HYPOTHESIS") == "full"
Value = Callable[[Row], tuple[int, int]]


def _added(units: Iterable[tuple[int, int]]) -> Sums:
    return reduce(add, (station_sums(y, x) for y, x in units), NOTHING)


def _stations(value: Value) -> list[Cell]:
    """Return the strata of a sample of stations."""
    cells = []
    for name, (registered, *_) in STRATA.items():
        rows = [row for row in ROWS if row.stratum == name]
        weight = Fraction(registered, len(rows))
        cells.append(Cell(_added(map(value, rows)), weight, len(rows), registered))
    return cells


def _clusters(value: Value) -> list[Cell]:
    """Return the strata of a sample of clusters."""
    cells = []
    for name, (registered, clusters, *_) in STRATA.items():
        rows = [row for row in ROWS if row.stratum == name]
        units: dict[str, tuple[int, int]] = {}
        for row in rows:
            (y, x), (more_y, more_x) = units.get(row.cluster, (0, 0)), value(row)
            units[row.cluster] = y + more_y, x + more_x
        weight = Fraction(registered, len(rows))
        cells.append(Cell(_added(units.values()), weight, len(units), clusters))
    return cells


def _lonely() -> list[Cell]:
    cells = []
    for name, (registered, _, sampled, size) in STRATA.items():
        rows = [row for row in ROWS if row.stratum == name and row.lonely]
        sums = _added((row.y, row.x) for row in rows)
        cells.append(
            Cell(sums, Fraction(registered, sampled * size), len(rows), registered)
        )
    return cells


def _all(row: Row) -> tuple[int, int]:
    return row.y, row.x


def _domain(row: Row) -> tuple[int, int]:
    return (row.y, row.x) if row.domain else (0, 0)


def _simple() -> list[Cell]:
    return [Cell(_added(map(_all, ROWS)), Fraction(1), len(ROWS), None)]


CASES = {
    "stations": _stations(_all),
    "domain": _stations(_domain),
    "clusters": _clusters(_all),
    "clusters_domain": _clusters(_domain),
    "simple": _simple(),
    "lonely": _lonely(),
    "share": _stations(lambda row: (int(row.value <= 30), 1)),
}


def _found(cells: list[Cell]) -> Estimate:
    found = estimate(cells)
    assert found is not None
    return found


@pytest.mark.parametrize("name", CASES)
def test_estimates_equal_those_of_r(name: str) -> None:
    """Ratios agree to 1e-9 and standard errors to 1e-6 with R's `survey`."""
    found = _found(CASES[name])
    value, error = recorded()[name]
    assert found.value == pytest.approx(value, rel=1e-9, abs=0)
    assert found.error == pytest.approx(error, rel=1e-6, abs=0)


def test_a_paired_difference_equals_that_of_r() -> None:
    """R subtracts two ratios of the same stations with their covariance."""
    pairs = [Pair(r.y, r.x, r.second_y, r.second_x) for r in ROWS]
    *_, difference, error = paired_difference(pairs)
    value, expected = recorded()["paired"]
    assert difference == pytest.approx(value, rel=1e-9)
    assert error == pytest.approx(expected, rel=1e-6)


def test_an_interval_of_few_events_equals_that_of_r() -> None:
    """It is the one of Korn and Graubard (`svyciprop`, method `beta`)."""
    found = _found(_stations(lambda row: (row.event, 1)))
    known = interval(found, is_share=True)
    assert known is not None
    assert known[1] == "95 % Clopper-Pearson"
    assert (known[0].low, known[0].high) == pytest.approx(recorded()["few"], rel=1e-7)


def test_a_quantile_and_its_interval_equal_those_of_r() -> None:
    """The ends are values of the sample, so they are equal and not only close."""
    found = quantile(
        lambda k: _stations(lambda row: (int(row.value <= BINS[k]), 1)), len(BINS), 0.5
    )
    assert found is not None
    (median, _), ends = recorded()["median"], recorded()["woodruff"]
    assert BINS[found.index] == median
    assert (BINS[found.low], BINS[found.high]) == ends


@pytest.mark.skipif(not FULL, reason="R is installed for the long checks only")
def test_the_recorded_results_are_those_of_r(tmp_path: Path) -> None:
    """The program next to the recording gives it again."""
    program = shutil.which("Rscript")
    assert program, "Rscript is missing. Fix: apt-get install r-cran-survey"
    write_sample(tmp_path)
    script = str(survey.FOLDER / "survey.R")
    done = subprocess.run(
        [program, script, str(tmp_path)], capture_output=True, check=True, timeout=300
    )
    found = json.loads(done.stdout)
    for name, values in recorded().items():
        assert found[name] == pytest.approx(values, rel=1e-12)


def test_quantiles_of_t_and_beta_equal_those_of_r() -> None:
    """The values are those of qt and qbeta."""
    for degrees, share, expected in (
        (1, 0.975, 12.706204736174694),
        (5, 0.975, 2.5705818356363137),
        (199, 0.975, 1.9719565442517519),
        (30, 1 - 0.025 / 100, 3.9016426777434172),
    ):
        assert t_quantile(degrees, share) == pytest.approx(expected, rel=1e-9)
    for share, a, b, expected in (
        (0.975, 1, 30, 0.11570330822202779),
        (0.025, 3, 28, 0.021117137029722573),
        (0.975, 3.3, 0.7, 0.99857599894345084),
        (0.025, 500, 2e5, 0.0022801926338980225),
    ):
        assert beta_quantile(share, a, b) == pytest.approx(expected, rel=1e-9)


def test_complete_strata_need_no_interval() -> None:
    """Every registered station reports, so there is no error of sampling."""
    sums = _added([(1, 10), (4, 10), (2, 10)])
    found = _found([Cell(sums, Fraction(1), 3, 3)])
    assert found.is_complete
    assert found.error == 0
    assert interval(found, is_share=True) is None


def test_one_station_has_no_interval() -> None:
    """It does not show the variation between stations."""
    found = _found([Cell(_added([(1, 10)]), Fraction(5), 1, 5)])
    assert found.error is None
    assert interval(found, is_share=True) is None
    assert estimate([Cell(NOTHING, Fraction(1), 4, 9)]) is None
    assert math.isnan(paired_difference([Pair(1, 2, 1, 3)])[3])


def test_no_event_has_an_exact_interval() -> None:
    """0 of 10 stations gives 0 to 30.8 %, as Clopper and Pearson published."""
    known = interval(
        _found([Cell(_added([(0, 500)] * 10), Fraction(1), 10, None)]), is_share=True
    )
    assert known is not None
    assert known[0].low == 0
    assert known[0].high == pytest.approx(0.3084971)
    assert exact_interval(1.0, 10).low == pytest.approx(1 - 0.3084971)


NATION = {
    "city": (4_000, 80, 0.02),
    "town": (9_000, 60, 0.05),
    "far": (7_000, 60, 0.11),
}


def test_design_based_intervals_cover_the_truth() -> None:
    """95 % intervals of 1,000 stratified samples of a nation cover 93 to 97 %."""
    chosen = random.Random(14022024)
    nation: dict[str, list[tuple[int, int]]] = {}
    for name, (registered, _, loss) in NATION.items():
        sent = [chosen.randint(200, 2000) for _ in range(registered)]
        nation[name] = [
            (round(x * chosen.betavariate(2, 2 / loss - 2)), x) for x in sent
        ]
    truth = _ratio(pair for units in nation.values() for pair in units)
    covered = 0
    for _ in range(1000):
        found = _found(
            [
                Cell(
                    _added(chosen.sample(nation[name], count)),
                    Fraction(registered, count),
                    count,
                    registered,
                )
                for name, (registered, count, _) in NATION.items()
            ]
        )
        known = interval(found, is_share=True)
        assert known is not None
        covered += known[0].low <= truth <= known[0].high
    assert 930 <= covered <= 970


def test_exact_intervals_of_few_events_cover_the_truth() -> None:
    """At least 94 % of 1,000 samples of 60 stations, 2 % of which have an event."""
    chosen = random.Random(60)
    nation = [(int(number < 80), 1) for number in range(4_000)]
    covered = 0
    for _ in range(1000):
        sums = _added(chosen.sample(nation, 60))
        known = interval(
            _found([Cell(sums, Fraction(4_000, 60), 60, 4_000)]), is_share=True
        )
        assert known is not None
        assert known[1] == "95 % Clopper-Pearson"
        covered += known[0].low <= 0.02 <= known[0].high
    assert covered >= 940


def test_effective_trials_of_independent_stations_are_the_stations() -> None:
    """Without clusters and strata, a share of stations has as many trials."""
    found = _found([Cell(_added([(1, 1)] * 20 + [(0, 1)] * 60), Fraction(1), 80, None)])
    assert effective_trials(found) == pytest.approx(79, abs=1e-6)


def _ratio(units: Iterable[tuple[int, int]]) -> float:
    known = [*units]
    return sum(y for y, _ in known) / sum(x for _, x in known)
