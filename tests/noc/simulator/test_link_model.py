"""Simulated links: the published spread of rates, bursts of loss, handovers."""

from __future__ import annotations

from collections import Counter
from random import Random
from statistics import fmean, median, pvariance

import pytest

from qos_agent.noc.simulator.faults import Effect
from qos_agent.noc.simulator.link_model import TRAIN, LinkStep, draw_step, signal, train
from qos_agent.noc.simulator.population import SimulatedLink, nation
from tests.noc.nation import scenario

MINUTES = 40_000


@pytest.fixture(scope="module")
def links() -> list[SimulatedLink]:
    """Return the first links of 20,000 stations."""
    plan = scenario(stations=20_000, provinces=())
    return [station.links[0] for station in nation(plan)]


def test_rates_have_the_published_spread(links: list[SimulatedLink]) -> None:
    """Mean 52.6 over median 26.1 (Swiftest, SIGCOMM '22), 25 Mbit/s down, 10 up."""
    down, up = [link.down_bps for link in links], [link.up_bps for link in links]
    for rates in (down, up):
        assert fmean(rates) / median(rates) == pytest.approx(52.6 / 26.1, rel=0.06)
    assert fmean(down) == pytest.approx(25e6, rel=0.05)
    assert fmean(up) == pytest.approx(10e6, rel=0.05)


def test_operators_have_the_published_shares(links: list[SimulatedLink]) -> None:
    """Telkomsel 46 %, Indosat 28 % (Weplan, October 2024)."""
    counts = Counter(link.operator for link in links)
    assert counts["telkomsel"] / len(links) == pytest.approx(0.46, abs=0.015)
    assert counts["indosat"] / len(links) == pytest.approx(0.28, abs=0.015)


def test_losses_come_in_bursts(links: list[SimulatedLink]) -> None:
    """Independent losses have a variance equal to the mean. Here it is five times."""
    rng, link = Random(7), links[0]
    lost = [
        int(str(train(link, draw_step(1.0, Effect(), rng), "anchor", rng)["lost"]))
        for _ in range(MINUTES)
    ]
    assert 3 < pvariance(lost) / fmean(lost) < 8
    assert max(lost) <= TRAIN


def test_a_handover_changes_the_cell_and_delays_the_end_of_the_train(
    links: list[SimulatedLink],
) -> None:
    """It happens in 1 % of the minutes. In the others cell and delay do not change."""
    rng, link = Random(7), links[0]
    steps = [draw_step(1.0, Effect(), rng) for _ in range(MINUTES)]
    share = sum(step.handover for step in steps) / MINUTES
    assert share == pytest.approx(0.01, rel=0.2)
    for moved in (True, False):
        step, cell = LinkStep(1.0, 0, moved, None), link.cell
        fields = train(link, step, "anchor", rng)
        assert (float(str(fields["rtt_max_ms"])) > 250) == moved
        assert (float(str(fields["rtt_p50_ms"])) > 250) is False
        assert (signal(link, step, rng)["cell"] != f"{cell:07x}") == moved
