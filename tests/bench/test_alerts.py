"""Tests of the times from an event to its alert."""

from __future__ import annotations

from bench.alerts import windowed
from qos_agent.noc.troubles.limits import limits


def test_alerts_of_windows_come_within_the_documented_time() -> None:
    """The worst time of each cause is at most `within_min` of its warning."""
    times = windowed()
    assert times
    for cause, minutes in times.items():
        assert 0 < max(minutes) <= limits()[cause, "warning"].within_min, cause
