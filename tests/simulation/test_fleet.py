"""Simulates ten thousand stations and counts the arrivals at one target per second.

This is the worst case: all stations start the jobs of voting at the same time, as they
do when the polls open in their time zone.
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
    """Return the number of tasks due in each second after the polls open."""
    seconds: Counter[int] = Counter()
    for station in range(stations):
        table = JobTable(f"{station:013}/device")
        table.replace([job], HOUR_NS, HOUR_NS)
        now_ns = HOUR_NS
        while (now_ns := table.upcoming()[0][1]) < HOUR_NS + length_s * SECOND_NS:
            seconds[(now_ns - HOUR_NS) // SECOND_NS] += 1
            table.advance(now_ns)
    return [seconds[second] for second in range(length_s)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "length_s", "multiple"),
    [(LATENCY, 1200, 1.5), (FORM, 3600, 2.5), (THROUGHPUT, 21_600, 5.0)],
    ids=["latency", "form", "throughput"],
)
def test_a_target_gets_poisson_arrivals_without_peaks(
    job: Job, length_s: int, multiple: float
) -> None:
    """Variance divided by mean is 1 within 10 %, and no second exceeds a multiple.

    The multiple depends on the mean: for 167, 11 and 3 per second, the maximum of a
    Poisson process in that many seconds is about 1.3, 2.3 and 4 times the mean.
    """
    counts = arrivals(job, length_s)
    mean = fmean(counts)
    assert mean == pytest.approx(STATIONS / job.interval_s, rel=0.01)
    assert 0.9 <= pvariance(counts) / mean <= 1.1
    assert max(counts) <= multiple * mean


def test_every_minute_has_every_station_once() -> None:
    """The load of the fleet is the same in each interval."""
    counts = arrivals(LATENCY, 600, 500)
    minutes = [sum(counts[start : start + 60]) for start in range(0, 600, 60)]
    assert minutes == [500] * 10


def test_the_targets_of_a_station_are_not_measured_together() -> None:
    """The due moments of one station's targets are independent."""
    table = JobTable("station/device")
    table.replace(
        [
            Job("latency", MAIN, Target(f"t{n}", "t.example.id", Layer.ANCHOR), 60.0)
            for n in range(200)
        ],
        HOUR_NS,
        HOUR_NS,
    )
    counts = Counter((ns - HOUR_NS) // SECOND_NS for _, ns in table.upcoming())
    assert max(counts.values()) <= 12
    assert len(counts) > 50
