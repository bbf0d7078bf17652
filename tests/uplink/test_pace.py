"""New points wait for their delivery, but not after the start or a change of phase."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from qos_agent.config.uplink import UplinkSection
from qos_agent.influx.responses import Response
from qos_agent.model import Phase
from qos_agent.uplink.pace import Pace
from tests.uplink.conftest import MakeBench
from tests.uplink.support import Scripted, make_settings


@dataclass
class _Clock:
    """A clock that is set by hand."""

    now_s: float = 0.0

    def boot_ns(self) -> int:
        return int(self.now_s * 1e9)


def _pace(clock: _Clock, phase: Phase) -> Pace:
    pace = Pace(UplinkSection(), clock, lambda low, high: high)  # type: ignore[arg-type]
    pace.enter(phase)
    return pace


def _deliveries(pace: Pace, clock: _Clock, minutes: int) -> list[int]:
    """Return the minutes in which points are sent; they are committed each minute."""
    sent = []
    for minute in range(int(clock.now_s) // 60, int(clock.now_s) // 60 + minutes):
        clock.now_s = minute * 60.0
        if pace.is_due():
            sent.append(minute)
            pace.sent()
    return sent


@pytest.mark.parametrize("phase", [Phase.VOTING, Phase.COUNTING])
def test_each_minute_is_delivered_while_voting_and_counting(phase: Phase) -> None:
    """No point waits, and none is late because of a wait."""
    clock = _Clock()
    pace = _pace(clock, phase)
    assert _deliveries(pace, clock, 20) == list(range(20))
    assert (pace.interval_s, pace.wait_s) == (60.0, 0.0)


@pytest.mark.parametrize("phase", [Phase.PRE, Phase.POST, Phase.IDLE])
def test_other_phases_deliver_every_five_minutes(phase: Phase) -> None:
    """The first minutes are delivered at once, so the centre knows the interval."""
    clock = _Clock()
    pace = _pace(clock, phase)
    assert _deliveries(pace, clock, 20) == [0, 1, 2, 3, 8, 13, 18]
    assert (pace.interval_s, pace.wait_s) == (300.0, 300.0)


def test_a_change_of_phase_is_delivered_at_once() -> None:
    """A wait of the former phase ends."""
    clock = _Clock()
    pace = _pace(clock, Phase.PRE)
    _deliveries(pace, clock, 5)
    assert not pace.is_due()
    pace.enter(Phase.VOTING)
    assert pace.is_due()


def test_agents_do_not_deliver_in_the_same_second() -> None:
    """Waits differ by a fifth of the interval."""
    waits = set()
    for _ in range(50):
        clock = _Clock()
        pace = Pace(UplinkSection(), clock)  # type: ignore[arg-type]
        pace.enter(Phase.PRE)
        clock.now_s = 200.0
        pace.sent()
        while not pace.is_due():
            clock.now_s += 1.0
        waits.add(clock.now_s - 200.0)
    assert len(waits) > 10
    assert min(waits) >= 240
    assert max(waits) <= 301


def test_points_wait_in_the_journal(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points that are not due stay there, and are sent together when they are due."""
    collector = Scripted(lambda _: Response(204))
    bench = make_bench(make_settings({"url": "http://192.0.2.1:1", "insecure": True}))
    uplink = bench.uplink
    for sender in uplink._senders:
        monkeypatch.setattr(sender, "_transport", collector)
    uplink.enter(Phase.PRE)
    monkeypatch.setattr(uplink._pace, "is_due", lambda: False)
    bench.put(3)
    uplink._send_round()
    bench.put(4)
    uplink._send_round()
    assert collector.bodies == []
    monkeypatch.setattr(uplink._pace, "is_due", lambda: True)
    uplink._send_round()
    assert len(collector.bodies) == 1
