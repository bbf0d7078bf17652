"""The decision about a staged roll-out: the statistic, and its rule."""

from __future__ import annotations

import random
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.noc.remote.devices import Slots
from qos_agent.noc.remote.rollout import (
    CHANCE,
    Decision,
    Facts,
    Outcome,
    decide,
    fisher,
    next_step,
)

pytestmark = pytest.mark.unit
WELL, BAD = Slots(100, 2), Slots(100, 30)
STAGED = 100
STATIONS = [f"{number:013d}" for number in range(1000)]


def _decided(
    worse: set[str],
    *,
    silent: set[str] | None = None,
    refused: set[str] | None = None,
    arrived: int = STAGED,
    may_advance: bool = True,
) -> Outcome:
    facts = Facts(
        before=dict.fromkeys(STATIONS, WELL),
        since={s: BAD if s in worse else WELL for s in STATIONS},
        heard=frozenset(set(STATIONS) - (silent or set())),
        refused=frozenset(refused or ()),
        arrived=frozenset(STATIONS[:arrived]),
    )
    stage = set(STATIONS[:STAGED])
    return decide(facts, stage.__contains__, may_advance=may_advance)


@given(st.data())
def test_the_chance_is_that_of_the_hypergeometric_distribution(
    data: st.DataObject,
) -> None:
    """It equals the sum of exact fractions."""
    n, others = data.draw(st.integers(0, 30)), data.draw(st.integers(0, 30))
    k, k_others = data.draw(st.integers(0, n)), data.draw(st.integers(0, others))
    worse = k + k_others
    exact = sum(
        comb(n, i) * comb(others, worse - i) for i in range(k, min(n, worse) + 1)
    ) / comb(n + others, worse)
    assert fisher(k, n, k_others, others) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("kind", ["worse", "silent", "refused"])
def test_a_stage_that_got_worse_is_halted(kind: str) -> None:
    """Eight of a hundred stations are worse, and none of the others."""
    some = set(STATIONS[:8])
    outcome = _decided(
        some if kind == "worse" else set(),
        silent=some if kind == "silent" else None,
        refused=some if kind == "refused" else None,
    )
    assert outcome.decision is Decision.HALT
    assert (outcome.staged_worse, outcome.others_worse) == (8, 0)
    assert outcome.chance < CHANCE


def test_an_outage_of_both_groups_halts_nothing() -> None:
    """A third of all stations is silent, in the stage and outside."""
    silent = set(random.Random(1).sample(STATIONS, 333))
    assert _decided(set(), silent=silent).decision is Decision.ADVANCE


def test_a_stage_grows_only_after_its_time_and_its_arrival() -> None:
    """Before the hold time, or if few have loaded the content, it waits."""
    assert _decided(set(), may_advance=False).decision is Decision.WAIT
    assert _decided(set(), arrived=80).decision is Decision.WAIT
    assert _decided(set(), arrived=90).decision is Decision.ADVANCE


def test_chance_halts_fewer_than_one_in_a_thousand_looks() -> None:
    """5 % of the stations are worse for another reason, at random."""
    source = random.Random(2)
    halted = 0
    for _ in range(300):
        worse = {s for s in STATIONS if source.random() < 0.05}
        halted += _decided(worse).decision is Decision.HALT
    assert halted == 0


def test_the_steps_of_a_roll_out_end_with_all_stations() -> None:
    """1, 10, 50 and 100 percent, from any share."""
    assert [next_step(p) for p in (0.5, 1, 10, 20, 50, 100)] == [
        1,
        10,
        50,
        50,
        100,
        100,
    ]
