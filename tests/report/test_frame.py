"""Registers: coverage, weights, bounds, and what a figure describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from qos_agent.model.errors import OperatorError
from qos_agent.report.sums import Selection, archive_sums
from qos_agent.report.tables import Figure, figures
from qos_agent.report.types import Coverage
from tests.report.registers import register_of
from tests.report.support import archive_of, train

HEAD = "station,province,regency,operator,selection,stratum\n"
Stations = Iterable[Mapping[str, str]]


def _report(
    folder: Path, lines: Iterable[bytes], stations: Stations
) -> tuple[dict[str, Figure], list[Coverage]]:
    """Return the figures of the nation and the coverage."""
    archive, register = archive_of(folder, lines), register_of(folder, stations)
    with archive_sums(archive, Selection(), register=register) as sums:
        rows = figures(sums.groups(), is_random=False)
        coverage = [*sums.frame.coverage()]
    return {
        row.indicator: row
        for row in rows
        if (row.level, row.operator, row.phase) == ("nation", None, None)
    }, coverage


def _lost(station: str, seq: int, lost: int, sent: int = 1000) -> bytes:
    return train(seq, [10] * (sent - lost), lost=lost, station=station)


def _many(prefix: str, count: int, **values: str) -> list[dict[str, str]]:
    return [{"station": f"{prefix}{n}", **values} for n in range(count)]


def test_strata_have_weights(tmp_path: Path) -> None:
    """The figure is that of the registered stations, not that of the measured ones."""
    stations = [
        *_many("a", 2, stratum="big"),
        *_many("none", 8, stratum="big", selection="none"),
        *_many("b", 2, stratum="small"),
    ]
    losses = {"a0": 100, "a1": 200, "b0": 10, "b1": 30}
    lines = [_lost(name, n, lost) for n, (name, lost) in enumerate(losses.items())]
    found, coverage = _report(tmp_path, lines, stations)
    loss = found["loss"]
    # 10 stations with a mean of 150 of 1000, and 2 stations with a mean of 20 of 1000.
    assert loss.value == pytest.approx(1540 / 12_000, abs=1e-6)
    assert (loss.scope, loss.numerator, loss.denominator) == ("population", 340, 4000)
    assert loss.low is not None
    assert loss.all_good == loss.all_bad == loss.value
    nation = [c for c in coverage if c.level == "nation"]
    assert [(c.stratum, c.registered, c.selected, c.reporting) for c in nation] == [
        ("big", 10, 2, 2),
        ("small", 2, 2, 2),
    ]
    assert [c.weight for c in nation] == [5.0, 1.0]


@pytest.mark.parametrize("selection", ["chosen", ""])
def test_other_selections_describe_the_measured_stations(
    selection: str, tmp_path: Path
) -> None:
    """Stations that someone chose say nothing about the others."""
    stations = _many("a", 3, selection=selection)
    lines = [_lost(f"a{n}", n, 10 * n) for n in range(3)]
    found, coverage = _report(tmp_path, lines, stations)
    loss = found["loss"]
    assert (loss.scope, loss.low, loss.interval) == ("stations", None, "")
    assert coverage[0].selection == (selection or "unknown")
    assert coverage[0].weight is None


def test_a_silent_stratum_prevents_an_estimate(tmp_path: Path) -> None:
    """Nothing is known about a part of the population."""
    stations = [*_many("a", 2, stratum="one"), *_many("b", 2, stratum="two")]
    lines = [_lost("a0", 1, 10), _lost("a1", 2, 30)]
    found, coverage = _report(tmp_path, lines, stations)
    loss = found["loss"]
    assert (loss.scope, loss.value, loss.low) == ("stations", 0.02, None)
    assert loss.missing_stations == 2
    assert [c.silent for c in coverage if c.level == "nation"] == [0, 2]
    # Two silent stations with 1000 packets each, of which none or all were lost.
    assert (loss.all_good, loss.all_bad) == (0.01, 0.51)


def test_missing_slots_are_in_the_bounds(tmp_path: Path) -> None:
    """A slot without a sample may have been good or bad, for means and shares."""
    skipped = train(3, [], slots=2, ok=0, skipped=2, station="a0")
    lines = [_lost("a0", 1, 100, 300), _lost("a0", 2, 100, 300), skipped]
    found, _ = _report(tmp_path, lines, _many("a", 1, selection="all"))
    loss, delay = found["loss"], found["delay_mean"]
    assert (loss.missing_slots, loss.missing_stations) == (2, 0)
    # 600 packets in two slots; the other two slots would have had 600 more.
    assert loss.all_good == pytest.approx(200 / 1200, abs=1e-6)
    assert loss.all_bad == pytest.approx(800 / 1200, abs=1e-6)
    assert (delay.value, delay.all_good) == (10.0, 5.0)
    assert delay.all_bad == pytest.approx((10 + 3000) / 2)
    median = found["delay_p50"]
    assert (median.value, median.all_good, median.all_bad) == (10, 5, 10)


def test_every_figure_has_bounds(tmp_path: Path) -> None:
    """Also one with insufficient data: its bounds are the ends of what is possible."""
    lines = [_lost("a0", 1, 5), _lost("a1", 2, 5)]
    found, _ = _report(tmp_path, lines, _many("a", 4))
    for row in found.values():
        assert row.all_good is not None, row.indicator


def test_clusters_are_the_sampling_units(tmp_path: Path) -> None:
    """Stations of a village are alike, so they count as one unit."""
    stations = [
        {"station": f"{village}{n}", "stratum": "s", "cluster": village}
        for village in ("v", "w", "x")
        for n in range(4)
    ]
    stations += _many("none", 30, stratum="s", selection="none", cluster="other")
    losses = {"v": 10, "w": 50, "x": 90}
    lines = [
        _lost(s["station"], n, losses[s["cluster"]])
        for n, s in enumerate(stations[:12])
    ]
    alone = [{k: v for k, v in s.items() if k != "cluster"} for s in stations]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    by_cluster = _report(tmp_path / "one", lines, stations)[0]["loss"]
    by_station = _report(tmp_path / "two", lines, alone)[0]["loss"]
    assert by_cluster.value == by_station.value == 0.05
    assert by_cluster.stations == by_station.stations == 12
    assert by_cluster.high is not None
    assert by_station.high is not None
    assert by_cluster.high > by_station.high


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("station,province\n1,31\n", "has no column regency"),
        (
            f"{HEAD}1,31,3171,x,lot,a\n",
            "selection must be all, random, chosen or none",
        ),
        (
            f"{HEAD}1,31,3171,x,all,a\n1,31,3171,x,all,a\n",
            "has a station twice",
        ),
        (HEAD, "has no stations"),
    ],
)
def test_a_wrong_register_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    """The error names the file, the problem and the command that writes a good one."""
    archive = archive_of(tmp_path, [train(1, [10])])
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with (
        pytest.raises(OperatorError, match=problem),
        archive_sums(archive, Selection(), register=path),
    ):
        pass
