"""Drills: each planted trouble is one message of the right cause, and one end.

The places and times depend on a seed. Nothing is reported for a healthy nation.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from random import Random

import pytest

from qos_agent.noc.troubles.signals import Key
from tests.grafana.drills.nation import Drill, Fleet, Planted

FULL = os.environ.get("QOS_FAULTS") == "full"
SEEDS = tuple(range(1, 21 if FULL else 2))
# 10:00 WIB on the day of the vote; the polls close at 13:00 in each zone.
VOTING_NS = int(datetime(2024, 2, 14, 3, tzinfo=UTC).timestamp()) * 10**9
BEGINS, LASTS = 20, 60


def held(
    seed: int, size: int, planted: tuple[Planted, ...], minutes: int = 105
) -> Drill:
    """Hold a drill during voting."""
    (province,) = {code[:2] for one in planted for code in one.regencies}
    fleet = Fleet.of(size, seed).around(province)
    return Drill(fleet, VOTING_NS, seed, planted).run(minutes)


def one_message(drill: Drill, key: Key, within: int) -> None:
    """Check that only one trouble was reported: in time, and ended after its end."""
    assert {found for _, _, _, found in drill.messages} == {key}
    begun = [minute for minute, kind, _, _ in drill.messages if kind == "begin"]
    ended = [minute for minute, kind, _, _ in drill.messages if kind == "end"]
    assert BEGINS <= begun[0] <= BEGINS + within
    assert len(ended) == 1
    assert BEGINS + LASTS <= ended[0] <= BEGINS + LASTS + 20


def of_size(fleet: Fleet, seed: int, least: int, most: int) -> str:
    """Draw a province with a number of stations in this range."""
    provinces = sorted({code[:2] for code, _ in fleet.stations})
    fitting = [
        province
        for province in provinces
        if least <= fleet.count(fleet.of_province(province)) <= most
    ]
    return Random(seed).choice(fitting)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_province_dies(seed: int) -> None:
    """All stations of a province of small regencies fall silent."""
    fleet = Fleet.of(1000, seed)
    province = of_size(fleet, seed, 10, 20)
    dead = Planted("dead", fleet.of_province(province), BEGINS, BEGINS + LASTS)
    drill = held(seed, 1000, (dead,))
    one_message(drill, Key("outage-place", "province", province, "all"), 5)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_operator_fails_in_a_province(seed: int) -> None:
    """All links of one operator are bad while others work."""
    fleet = Fleet.of(2000, seed)
    province = of_size(fleet, seed, 60, 200)
    bad = Planted(
        "bad", fleet.of_province(province), BEGINS, BEGINS + LASTS, "telkomsel"
    )
    drill = held(seed, 2000, (bad,))
    one_message(drill, Key("outage-operator", "province", province, "telkomsel"), 5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_city_is_found_against_its_own_baseline(seed: int) -> None:
    """Latency of one operator rises from 40 to 113 ms."""
    fleet = Fleet.of(2000, seed)
    (n, city) = max((n, code) for (code, op), n in fleet.stations.items() if op == "xl")
    assert n >= 6
    slow = Planted(
        "slow", frozenset({city}), BEGINS, BEGINS + LASTS, "xl", rtt_ms=113.0
    )
    drill = held(seed, 2000, (slow,))
    one_message(drill, Key("rtt", "regency", city, "xl"), 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_short_cut_is_not_announced_after_its_end(seed: int) -> None:
    """A province is silent for two minutes; verdicts are bad for ten more."""
    fleet = Fleet.of(2000, seed)
    province = of_size(fleet, seed, 60, 200)
    cut = Planted("dead", fleet.of_province(province), BEGINS, BEGINS + 2)
    late = [m for m, kind, _, _ in held(seed, 2000, (cut,)).messages if kind == "begin"]
    assert all(minute < BEGINS + 2 for minute in late)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("province", ["31", "73", "81"])
@pytest.mark.parametrize("is_over", [False, True], ids=["goes on", "ends"])
def test_the_close_of_the_polls_ends_nothing(
    seed: int, province: str, is_over: bool
) -> None:
    """A critical trouble stays critical through counting, in each zone."""
    fleet = Fleet.of(4000, seed).around(province)
    # The polls close at 04:00, 05:00 and 06:00 UTC, 60 minutes after this begin.
    hour = {"31": 2, "73": 1, "81": 0}[province]
    ends = 100 if is_over else 10**6
    dead = Planted("dead", fleet.of_province(province), BEGINS, ends)
    start_ns = VOTING_NS + hour * 3600 * 10**9
    drill = Drill(fleet, start_ns, seed, (dead,)).run(130)
    kinds = [(kind, severity) for _, kind, severity, _ in drill.messages]
    assert kinds == [("begin", "critical")] + [("end", "critical")] * is_over


@pytest.mark.parametrize("seed", SEEDS)
def test_skipped_minutes_end_nothing(seed: int) -> None:
    """A census that skips the province for half an hour resolves nothing."""
    fleet = Fleet.of(2000, seed)
    province = of_size(fleet, seed, 60, 200)
    regencies = fleet.of_province(province)
    planted = (
        Planted("dead", regencies, BEGINS, BEGINS + LASTS),
        Planted("uncounted", regencies, BEGINS + 10, BEGINS + 40),
    )
    drill = held(seed, 2000, planted)
    one_message(drill, Key("outage-place", "province", province, "all"), 5)


@pytest.mark.parametrize("size", [200, 1000, 2000] if FULL else [1000])
def test_a_healthy_nation_is_silent_for_a_day_and_a_half(size: int) -> None:
    """No message from the day before to the end of counting in three zones."""
    start_ns = int(datetime(2024, 2, 13, 18, tzinfo=UTC).timestamp()) * 10**9
    step = 1 if FULL else 20
    drill = Drill(Fleet.of(size, 1), start_ns, 1).run(36 * 60, step)
    assert drill.messages == []
