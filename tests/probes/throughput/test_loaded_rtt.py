"""Echo requests under load use the latency probe's code and one clock."""

from __future__ import annotations

import select
import time

from qos_agent.probes.latency.transport import Answered, Departed
from qos_agent.probes.throughput.loaded_rtt import SPACING_S, EchoTrain
from tests.support.requirement import require


def exchange(train: EchoTrain, count: int) -> None:
    """Send `count` echo requests, each when it is due, and read all replies."""
    now_s = time.monotonic()
    train.begin(now_s)
    assert train.transport is not None
    for number in range(1, count + 1):
        train.send_due(now_s + number * SPACING_S)
        end_s = time.monotonic() + 2
        while train.answered_bytes(0) < number * 84 and time.monotonic() < end_s:
            select.select([train.transport], [], [], 0.1)
            train.receive()


def test_round_trips_and_bytes_are_counted() -> None:
    """Replies arrive over the loopback, each of 84 bytes with the IP header."""
    train = EchoTrain("127.0.0.1", None)
    require(train.transport is not None, "a ping socket", "net.ipv4.ping_group_range")
    try:
        exchange(train, 3)
        result = train.result()
        assert result is not None
        assert (result.sent, result.received) == (3, 3)
        assert train.sent_bytes(14) == train.answered_bytes(14) == 3 * (84 + 14)
        assert result.p50_ms is not None
        recent_s = train.recent_s()
        assert recent_s is not None
        assert 0 < result.p50_ms <= recent_s * 1e3
    finally:
        train.close()


def test_a_step_of_the_wall_clock_is_no_round_trip() -> None:
    """If kernel timestamps show a round trip of an hour, they are not used."""
    train = EchoTrain("127.0.0.1", None)
    require(train.transport is not None, "a ping socket", "net.ipv4.ping_group_range")
    try:
        now_s = time.monotonic()
        train.begin(now_s)
        train.send_due(now_s + SPACING_S)
        answer = Answered(0, time.monotonic_ns(), 3600 * 10**9)
        train._take([Departed(0, 0), answer])
        result = train.result()
        assert result is not None
        assert result.p50_ms is not None
        assert result.p50_ms < 1000
    finally:
        train.close()
