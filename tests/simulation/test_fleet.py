"""Ten thousand stations together: what arrives at one target, second by second.

The worst case is taken: all have laid the plan of voting at the same instant, as they
do when the polls open in their zone.
"""

from __future__ import annotations

from collections import Counter
from statistics import fmean, pvariance

import pytest

from qos_agent.model import Layer, Link, Target
from qos_agent.schedule.slots import Job, JobTable

STATIONS = 10_000
SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
MAIN = Link("main", "telkomsel")
LATENCY = Job("latency", MAIN, Target("anchor", "a.example.id", Layer.ANCHOR), 60.0)
THROUGHPUT = Job("throughput", MAIN, None, 3600.0)
FORM = Job("form", MAIN, None, 900.0)


def arrivals(job: Job, length_s: int, stations: int = STATIONS) -> list[int]:
    """How many tasks of the fleet are due in each second after the polls open."""
    seconds: Counter[int] = Counter()
    for station in range(stations):
        plan = JobTable(f"{station:013}/device")
        plan.replace([job], HOUR_NS, HOUR_NS)
        now_ns = HOUR_NS
        while (now_ns := plan.upcoming()[0][1]) < HOUR_NS + length_s * SECOND_NS:
            seconds[(now_ns - HOUR_NS) // SECOND_NS] += 1
            plan.advance(now_ns)
    return [seconds[second] for second in range(length_s)]


@pytest.mark.parametrize(
    ("job", "length_s", "multiple"),
    [(LATENCY, 1200, 1.5), (FORM, 3600, 2.5), (THROUGHPUT, 21_600, 5.0)],
    ids=["latency", "form", "throughput"],
)
def test_a_target_sees_poisson_arrivals_and_no_herd(
    job: Job, length_s: int, multiple: float
) -> None:
    """Variance over mean is 1 within a tenth; no second passes a multiple of the mean.

    The multiple belongs to the mean: at 167, 11 and 3 a second the extremes of a
    Poisson process in as many seconds stand at about 1.3, 2.3 and 4 times it.
    """
    counts = arrivals(job, length_s)
    mean = fmean(counts)
    assert mean == pytest.approx(STATIONS / job.interval_s, rel=0.01)
    assert 0.9 <= pvariance(counts) / mean <= 1.1
    assert max(counts) <= multiple * mean


def test_every_minute_has_every_station_once() -> None:
    """Spread, and still regular: the fleet's load is the same in each interval."""
    counts = arrivals(LATENCY, 600, 500)
    minutes = [sum(counts[start : start + 60]) for start in range(0, 600, 60)]
    assert minutes == [500] * 10


def test_a_stations_targets_are_not_measured_in_step() -> None:
    """The moments of a station's own targets are as far apart as strangers'."""
    plan = JobTable("station/device")
    plan.replace(
        [
            Job("latency", MAIN, Target(f"t{n}", "t.example.id", Layer.ANCHOR), 60.0)
            for n in range(200)
        ],
        HOUR_NS,
        HOUR_NS,
    )
    counts = Counter((ns - HOUR_NS) // SECOND_NS for _, ns in plan.upcoming())
    assert max(counts.values()) <= 12
    assert len(counts) > 50
