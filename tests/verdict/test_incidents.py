"""An incident needs two independent signs, and every opened one is closed."""

from __future__ import annotations

import pytest

from qos_agent.model import Layer, Outcome, Reading, Record, Sample
from qos_agent.model.line_protocol import encode, points
from qos_agent.verdict.incidents import Incidents, Now
from tests.support.clocks import FakeClock
from tests.support.ledgers import MAIN, MemoryLedger
from tests.support.readings import IDENTITY
from tests.verdict.test_judge import MINUTE_NS, train

WALL_NS = 1_707_868_800 * 10**9


def _incidents(memory: MemoryLedger, boot_id: str = "boot-1") -> Incidents:
    return Incidents(MAIN, "pi-1", boot_id, memory, 60.0)


def _minutes(
    watched: Incidents, first: int, last: int, received: int, wall: bool = True
) -> list[Reading]:
    readings: list[Reading] = []
    for minute in range(first, last + 1):
        now_ns = minute * MINUTE_NS
        watched.observe(train(now_ns - 10**9, Layer.ANCHOR, received))
        now = Now(now_ns, WALL_NS + now_ns if wall else None)
        readings += watched.cycle(now, received > 16, "access")
    return readings


def test_lost_trains_alone_open_nothing() -> None:
    """Signs of one kind do not open an incident, for any duration."""
    assert _minutes(_incidents(MemoryLedger(FakeClock())), 1, 60, 0) == []


def test_two_signs_open_and_the_end_closes() -> None:
    """It starts at the first lost train and ends at the first minute of service."""
    watched = _incidents(MemoryLedger(FakeClock()))
    assert _minutes(watched, 1, 3, 20) == []
    watched.uplink(True, 4 * MINUTE_NS)
    (opened,) = _minutes(watched, 4, 10, 0)
    fields = opened.samples[0].fields
    assert fields["opened"] == 1
    assert fields["cause"] == "timeout"
    assert (fields["sign_1"], fields["sign_2"]) == ("trains: lost", "uplink: failing")
    assert fields["start_ns"] == WALL_NS + 4 * MINUTE_NS - 10**9
    (closed,) = _minutes(watched, 11, 20, 20)
    ended = closed.samples[0].fields
    assert (ended["closed"], ended["incident"]) == (1, fields["incident"])
    assert closed.boot_ns == 11 * MINUTE_NS
    assert ended["lasted_s"] == 7 * 60 + 1
    assert watched.open is None
    for reading in (opened, closed):
        (point,) = points(reading, IDENTITY)
        assert encode(Record(point.measurement, point.tags, point.fields, 1))


def test_a_radio_that_searches_is_a_sign() -> None:
    """Lost registration and lost trains are signs of two kinds."""
    watched = _incidents(MemoryLedger(FakeClock()))
    sample = Sample({"link": "main"}, {"registration": "searching"})
    watched.observe(Reading("signal", Outcome.OK, MINUTE_NS, (sample,)))
    (opened,) = _minutes(watched, 1, 5, 0)
    assert opened.samples[0].fields["sign_2"] == "radio: searching"


@pytest.mark.parametrize("cause", ["prohibited", "no_resolver", "bad_address", None])
def test_a_train_without_a_packet_sent_is_no_outage(cause: str | None) -> None:
    """A measurement that could not be made, or one by handshakes, is not loss."""
    watched = _incidents(MemoryLedger(FakeClock()))
    sample = Sample({"link": "main"}, {"tcp_sent": 3, "tcp_received": 3})
    outcome = Outcome.OK if cause is None else Outcome.FAILED
    watched.observe(Reading("latency", outcome, MINUTE_NS, (sample,), cause))
    page = Reading("web", Outcome.FAILED, 5 * MINUTE_NS, (sample,), "timeout")
    watched.observe(page)
    assert watched.cycle(Now(6 * MINUTE_NS, None), False, None) == ()
    (opened,) = watched.cycle(Now(8 * MINUTE_NS, None), False, None)
    # The outage begins with the unavailability, not with the train.
    assert opened.samples[0].fields["lasted_s"] == 120.0


def test_a_missing_interface_is_a_separate_sign() -> None:
    """The kernel's error is a sign of another kind than lost trains."""
    watched = _incidents(MemoryLedger(FakeClock()))
    tags = {"link": "main", "layer": "anchor", "target": "a"}
    reading = Reading("latency", Outcome.FAILED, 1, (Sample(tags),), "link_down")
    watched.observe(reading)
    assert watched.cycle(Now(30 * 10**9, None), False, None) == ()
    (opened,) = watched.cycle(Now(2 * MINUTE_NS, None), False, None)
    fields = opened.samples[0].fields
    assert (fields["cause"], fields["sign_2"]) == ("link_down", "interface: link_down")
    assert "start_ns" not in fields


def test_an_incident_is_closed_after_a_restart() -> None:
    """After a reboot it is closed, and its length is in wall time."""
    memory = MemoryLedger(FakeClock())
    first = _incidents(memory)
    first.uplink(True, MINUTE_NS)
    (opened,) = _minutes(first, 1, 5, 0)
    second = _incidents(memory, "boot-2")
    (closed,) = _minutes(second, 10, 15, 20)
    fields = closed.samples[0].fields
    assert fields["incident"] == opened.samples[0].fields["incident"]
    assert fields["lasted_s"] == 9 * 60 + 1
    assert _incidents(memory, "boot-2").open is None


def test_a_short_recovery_does_not_end_it() -> None:
    """A minute of service within an outage does not close it."""
    watched = _incidents(MemoryLedger(FakeClock()))
    watched.uplink(True, MINUTE_NS)
    assert len(_minutes(watched, 1, 5, 0)) == 1
    assert _minutes(watched, 6, 6, 20) == []
    assert _minutes(watched, 7, 9, 0) == []
    assert watched.open is not None
