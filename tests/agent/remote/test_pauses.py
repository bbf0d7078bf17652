"""Pauses by the centre: whom they concern, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from qos_agent.agent.remote.pauses import CentrePauses
from qos_agent.config.remote.index import Pause
from qos_agent.model import Identity, Link
from tests.support.clocks import ELECTION_MORNING_NS, FakeClock

pytestmark = pytest.mark.unit
HOME = Identity("3171010001001", "31", "3171", "Asia/Jakarta", "pi")
LINK = Link("main", "telkomsel")
NOW = datetime.fromtimestamp(ELECTION_MORNING_NS // 10**9, UTC)


def _pause(**changes: object) -> Pause:
    values = {
        "name": "p",
        "probes": ("throughput",),
        "start": NOW,
        "end": NOW + timedelta(hours=1),
        **changes,
    }
    return Pause.model_validate(values)


def _pauses(
    clock: FakeClock, *pauses: Pause, last_record_ns: int | None = None
) -> CentrePauses:
    made = CentrePauses(HOME, clock, lambda: last_record_ns)
    made.replace(pauses)
    return made


@pytest.mark.parametrize(
    ("changes", "probe", "operator", "expected"),
    [
        ({}, "throughput", "telkomsel", True),
        ({}, "form", "telkomsel", False),
        ({}, "latency", "telkomsel", False),
        ({"operators": ("xl",)}, "throughput", "telkomsel", False),
        ({"operators": ("xl", "Telkomsel")}, "throughput", "telkomsel", True),
        ({"areas": ("32",)}, "throughput", "telkomsel", False),
        ({"areas": ("31",)}, "throughput", "telkomsel", True),
        ({"areas": ("3171",)}, "throughput", "telkomsel", True),
        ({"areas": ("3172",)}, "throughput", "telkomsel", False),
    ],
)
def test_a_pause_holds_back_its_probes_operators_and_areas(
    changes: dict[str, object], probe: str, operator: str, expected: bool
) -> None:
    """Other tasks run as before."""
    pauses = _pauses(FakeClock(), _pause(**changes))
    assert pauses.is_paused(probe, Link("main", operator)) is expected


def test_a_trusted_clock_decides_about_start_and_end() -> None:
    """The pause is reported when it begins and when it ends."""
    clock = FakeClock()
    start = NOW + timedelta(seconds=10)
    pauses = _pauses(clock, _pause(start=start))
    assert pauses.changes() == []
    clock.advance(10)
    ((kind, detail),) = pauses.changes()
    assert kind == "pause"
    assert detail == "centre: p, throughput of all until 2024-02-14 01:00:00Z"
    clock.advance(3590)
    assert pauses.changes() == [("resume", "centre: p")]


def test_without_a_clock_a_pause_lasts_for_its_length() -> None:
    """It counts from its arrival in boot time, and again from a restart."""
    clock = FakeClock(trusted=False)
    clock.step(-(10**8))
    pauses = _pauses(clock, _pause())
    clock.advance(3599)
    pauses.replace([_pause()])
    assert pauses.is_paused("throughput", LINK)
    clock.advance(1)
    assert not pauses.is_paused("throughput", LINK)
    assert _pauses(clock, _pause()).is_paused("throughput", LINK)


def test_without_a_clock_a_later_record_ends_a_pause() -> None:
    """The true time is not before the newest record."""
    clock = FakeClock(trusted=False)
    later_ns = ELECTION_MORNING_NS + 3600 * 10**9
    pauses = _pauses(clock, _pause(), last_record_ns=later_ns)
    assert not pauses.is_paused("throughput", LINK)


def test_a_pause_ends_when_the_centre_ends_it() -> None:
    """The next index does not have it any more."""
    pauses = _pauses(FakeClock(), _pause())
    pauses.changes()
    pauses.replace(())
    assert pauses.changes() == [("resume", "centre: p")]
    assert not pauses.is_paused("throughput", LINK)


@pytest.mark.parametrize("hours", [0, 73])
def test_a_pause_has_a_limited_length(hours: int) -> None:
    """It must end after its start and within 72 hours."""
    with pytest.raises(ValueError, match="must be at most 3 days"):
        _pause(end=NOW + timedelta(hours=hours))
