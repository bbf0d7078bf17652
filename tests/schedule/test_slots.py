"""Slots: one random moment in each interval, each used exactly once."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model import Layer, Link, Target
from qos_agent.schedule.slots import (
    MAX_LATE_S,
    DueSlots,
    Job,
    JobTable,
    Slots,
    first_delay_ns,
    fraction,
)

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
MAIN = Link("main", "telkomsel")
GATEWAY = Target("gateway", "@gateway", Layer.GATEWAY)

intervals = st.integers(min_value=1, max_value=86_400 * SECOND_NS)
origins = st.integers(min_value=0, max_value=10**18)
seeds = st.text(max_size=8)


@given(seeds, intervals, origins, st.integers(min_value=0, max_value=10**6))
def test_each_interval_holds_one_slot(
    seed: str, interval_ns: int, origin_ns: int, k: int
) -> None:
    """Slot k is due in the k-th interval after the origin, for any seed."""
    due_ns = Slots(seed, interval_ns, origin_ns).slot(k)
    assert 0 <= due_ns - origin_ns - k * interval_ns < interval_ns


@given(seeds, intervals, origins, st.integers(min_value=0, max_value=10**6))
def test_count_agrees_with_the_due_moments(
    seed: str, interval_ns: int, origin_ns: int, k: int
) -> None:
    """At the moment of slot k, k + 1 slots are due; a nanosecond before it, k."""
    slots = Slots(seed, interval_ns, origin_ns)
    assert slots.count(slots.slot(k)) == k + 1
    assert slots.count(slots.slot(k) - 1) == k


@given(intervals, origins)
def test_nothing_is_due_before_the_origin(interval_ns: int, origin_ns: int) -> None:
    """A job with an origin in the future counts no slot of the past."""
    slots = Slots("s", interval_ns, origin_ns)
    assert slots.count(origin_ns - 1) == 0
    assert slots.count(origin_ns - 10 * interval_ns) == 0


def _used(due_slots: list[DueSlots]) -> Counter[str]:
    """Return the number of used slots of each job."""
    used: Counter[str] = Counter()
    for slots in due_slots:
        lost = slots.missed.slots if slots.missed else 0
        used[slots.job.key] += lost + (slots.due_boot_ns is not None)
    return used


@given(st.lists(st.floats(min_value=0.001, max_value=20_000), max_size=60), seeds)
def test_each_slot_is_used_once_for_any_length_of_the_sleeps(
    naps_s: list[float], seed: str
) -> None:
    """Run and missed slots together are exactly the slots that were due."""
    job = Job("latency", MAIN, GATEWAY, 60.0)
    table = JobTable(seed)
    table.start([job], 0)
    due_slots: list[DueSlots] = []
    now_ns = 0
    for nap_s in naps_s:
        now_ns += int(nap_s * 1e9)
        due_slots += table.advance(now_ns)
    first_ns = first_delay_ns(job, seed)
    due = Slots(f"{seed}/{job.key}", 60 * SECOND_NS, 0, first_ns).count(now_ns)
    assert _used(due_slots)[job.key] == due


@given(
    st.floats(min_value=0.001, max_value=1e6), st.floats(min_value=0.5, max_value=1e4)
)
def test_a_sleep_ends_in_no_burst(nap_s: float, interval_s: float) -> None:
    """After any sleep a job runs at most once, for a slot that has just become due."""
    job = Job("latency", MAIN, GATEWAY, interval_s)
    table = JobTable("s")
    table.start([job], 0)
    now_ns = int(nap_s * 1e9)
    runs = [p.due_boot_ns for p in table.advance(now_ns) if p.due_boot_ns is not None]
    assert len(runs) <= 1
    assert all(0 <= now_ns - due_ns <= MAX_LATE_S * 1e9 for due_ns in runs)


@given(
    st.lists(
        st.tuples(st.sampled_from([60.0, 300.0]), st.integers(1, 2000)), max_size=20
    )
)
def test_replacing_jobs_loses_and_repeats_no_slot(
    phases: list[tuple[float, int]],
) -> None:
    """For any sequence of intervals, each due slot is used once."""
    table, due_slots = JobTable("s"), list[DueSlots]()
    table.start([Job("host", None, None, 60.0)], 0)
    slots, expected, now_ns = Slots("s/host", 60 * SECOND_NS, 0, 0), 0, 0
    for interval_s, length_s in phases:
        now_ns += length_s * SECOND_NS
        due_slots += table.advance(now_ns)
        due_slots += table.replace(
            [Job("host", None, None, interval_s)], now_ns, now_ns
        )
        if slots.interval_ns != int(interval_s * 1e9):
            expected += slots.count(now_ns)
            slots = Slots("s/host", int(interval_s * 1e9), now_ns)
    due_slots += table.advance(now_ns)
    assert _used(due_slots)["host"] == expected + slots.count(now_ns)


def test_jobs_replaced_in_the_past_count_from_that_moment() -> None:
    """A phase that began during a sleep has its own intervals from its start."""
    table = JobTable("s")
    table.start([Job("host", None, None, 300.0)], 0)
    before = table.replace([Job("host", None, None, 60.0)], HOUR_NS, 3 * HOUR_NS)
    after = table.advance(3 * HOUR_NS)
    assert _used(before)["host"] == 12
    assert _used(after)["host"] == 120


def test_an_unchanged_job_keeps_its_due_moments() -> None:
    """Replacing a job by the same job changes nothing."""
    table = JobTable("s")
    job = Job("latency", MAIN, GATEWAY, 60.0)
    table.start([job], 0)
    table.advance(90 * SECOND_NS)
    before = table.upcoming()
    table.replace([job, Job("host", None, None, 60.0)], 95 * SECOND_NS, 95 * SECOND_NS)
    assert before[0] in table.upcoming()


def test_the_first_round_starts_soon_with_the_small_tasks() -> None:
    """Host runs at once, trains within two seconds, heavy tasks after twelve."""
    jobs = [
        Job("host", None, None, 300.0),
        Job("latency", MAIN, GATEWAY, 300.0),
        Job("throughput", MAIN, None, 21600.0),
        Job("form", MAIN, None, 900.0),
    ]
    for device in range(50):
        table = JobTable(f"device-{device}")
        table.start(jobs, HOUR_NS)
        due_s = {job.probe: (ns - HOUR_NS) / 1e9 for job, ns in table.upcoming()}
        assert due_s["host"] == 0
        assert 0.1 <= due_s["latency"] <= 2
        assert 12 <= due_s["throughput"] <= 18
        assert 25 <= due_s["form"] <= 40


def test_the_first_round_stays_in_its_interval() -> None:
    """With an interval of a second, the second slot is after the first."""
    table = JobTable("s")
    table.start([Job("throughput", MAIN, None, 1.0)], HOUR_NS)
    assert table.upcoming()[0][1] < HOUR_NS + SECOND_NS


def test_devices_that_boot_together_do_not_load_their_cell() -> None:
    """After a power cut throughput waits for its random slot; trains do not."""
    jobs = [Job("latency", MAIN, None, 300.0), Job("throughput", MAIN, None, 3600.0)]
    first_s = []
    for device in range(200):
        table = JobTable(f"device-{device}")
        table.start(jobs, 30 * SECOND_NS)
        due_s = {job.probe: ns / 1e9 - 30 for job, ns in table.upcoming()}
        assert due_s["latency"] <= 2
        first_s.append(due_s["throughput"])
    assert sum(at < 60 for at in first_s) < 12
    assert max(first_s) > 3000


def test_two_devices_share_no_due_moments() -> None:
    """Different seeds give different slots, and the same seed the same slots."""

    def moments(seed: str) -> list[int]:
        slots = Slots(seed, 60 * SECOND_NS, 0)
        return [slots.slot(k) for k in range(100)]

    assert moments("3171/a") == moments("3171/a")
    assert not set(moments("3171/a")) & set(moments("3171/b"))


def test_moments_are_random_within_their_interval() -> None:
    """Ten bins of the interval fill evenly, and the gaps vary."""
    slots = Slots("s", 1000, 0)
    offsets = [slots.slot(k) % 1000 for k in range(10_000)]
    bins = Counter(offset // 100 for offset in offsets)
    # 1000 expected a bin; the standard deviation is 30.
    assert all(850 < bins[n] < 1150 for n in range(10))
    gaps = {b - a for a, b in pairwise(slots.slot(k) for k in range(1000))}
    assert len(gaps) > 500


@given(st.text(), st.integers(min_value=1, max_value=10**18))
def test_a_fraction_is_less_than_the_whole(name: str, whole: int) -> None:
    """The fraction is in its range for any name."""
    assert 0 <= fraction(name, whole) < whole


@pytest.mark.parametrize(
    ("job", "key"),
    [
        (Job("host", None, None, 1.0), "host"),
        (Job("throughput", MAIN, None, 1.0), "throughput/main"),
        (Job("latency", MAIN, GATEWAY, 1.0), "latency/main/gateway"),
    ],
)
def test_a_job_has_a_name(job: Job, key: str) -> None:
    """The key contains probe, link and target."""
    assert job.key == key


def test_a_restarted_agent_does_not_load_its_link_at_once() -> None:
    """After a quick restart throughput waits for its random slot; latency does not."""
    now_ns = 3600 * 10**9
    jobs = [Job("latency", None, None, 300.0), Job("throughput", None, None, 21_600.0)]

    def first_s(*, heavy_at_once: bool) -> dict[str, float]:
        table = JobTable("3171010001001/pi-1")
        table.start(jobs, now_ns, heavy_at_once=heavy_at_once)
        return {job.probe: (due - now_ns) / 1e9 for job, due in table.upcoming()}

    assert first_s(heavy_at_once=True)["throughput"] < 20
    restarted = first_s(heavy_at_once=False)
    assert restarted["latency"] < 5
    assert restarted["throughput"] > 20
