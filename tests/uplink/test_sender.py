"""Waiting times after failures, between batches and after an outage."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from qos_agent.influx.responses import Failure, Response
from qos_agent.journal import Lane
from qos_agent.uplink.sender import Sender, SenderOptions
from tests.journal.support import open_journal, put
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront
from tests.support.clocks import FakeClock
from tests.uplink.conftest import MakeBench
from tests.uplink.support import Scripted, Unbounded, make_settings, towards

CAP_S = 60.0


def _waits_s(folder: Path, response: Response | Failure, failures: int) -> list[float]:
    """Return the wait after each of several failures in a row."""
    clock, journal = FakeClock(), open_journal(folder)
    put(journal, clock)
    transport = Scripted(lambda _: response)
    options = SenderOptions(10, CAP_S)
    sender = Sender("collector", journal, transport, clock, options, Unbounded())
    waits = []
    for _ in range(failures):
        assert sender.may_try()
        sender.send(Lane.FRESH, threading.Event(), 1.0)
        waits.append((sender.retry_boot_ns - clock.boot_ns()) / 1e9)
        assert not sender.may_try()
        clock.now_boot_ns = sender.retry_boot_ns
    journal.close()
    return waits


@pytest.mark.slow
def test_backoff_doubles_to_its_cap_with_full_jitter(tmp_path: Path) -> None:
    """The wait is random between zero and a bound that doubles up to the cap."""
    runs = [_waits_s(tmp_path / str(n), Failure("refused", ""), 12) for n in range(40)]
    for nth, waits in enumerate(zip(*runs, strict=True)):
        bound_s = min(CAP_S, 2.0**nth)
        assert max(waits) <= bound_s
        # Of 40 uniform values some are in the lower and some in the upper half.
        assert min(waits) < bound_s / 2 < max(waits)


def test_retry_after_is_the_minimum_and_the_jitter_is_added(tmp_path: Path) -> None:
    """After a Retry-After of a minute agents do not reconnect at the same time."""
    throttled = Response(503, {"retry-after": "60"})
    waits = [_waits_s(tmp_path / str(n), throttled, 1)[0] for n in range(10)]
    assert all(60 < wait <= 61 for wait in waits)
    assert len(set(waits)) == len(waits)


def test_backlog_starts_late_and_pauses_between_batches(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The first wait is at least three pauses, the next ones at least half a pause."""
    through = front()
    settings = make_settings(towards(influxdb, through.url), pause="500ms", batch=5)
    started = time.monotonic()
    bench = make_bench(settings)
    bench.put_old(5 * 6)
    bench.start()
    through.wait_for(6, 60)
    moments = [request.received_mono - started for request in through.requests]
    assert moments[0] > 1.5
    # Each wait begins with the request before it, so only their sum is visible here.
    assert moments[5] - moments[0] > 1.0


def test_a_connection_that_the_collector_closed_loses_nothing(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The next request finds the closed connection and opens a new one."""
    through = front()
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    for _ in range(3):
        bench.put(5)
        assert bench.uplink.drain(60)
        through.stop()
        through.start()
    assert influxdb.count("latency", "seq") == 15
    assert bench.uplink.status().error is None


def test_a_quarantined_point_ends_a_failure(tmp_path: Path) -> None:
    """The collector answers again, so no earlier error is left in an idle status.

    Otherwise the fallback would be used in the end.
    """
    clock, journal = FakeClock(), open_journal(tmp_path)
    put(journal, clock)
    responses: list[Response | Failure] = [
        Failure("refused", "no listener"),
        Response(400, {}, '{"error":"field type conflict"}'),
    ]
    transport = Scripted(lambda number: responses[number])
    options = SenderOptions(10, CAP_S)
    sender = Sender("collector", journal, transport, clock, options, Unbounded())
    sender.send(Lane.FRESH, threading.Event(), 1.0)
    assert sender.status.state == "failing"
    assert "no listener" in str(sender.status.error)
    clock.now_boot_ns = sender.retry_boot_ns + 10**9
    sender.send(Lane.FRESH, threading.Event(), 1.0)
    status = sender.status
    assert (status.state, status.error, status.quarantined) == ("idle", None, 1)
    assert sender.failing_s == 0
    journal.close()
