"""When the uplink comes back: after failures, between batches, after an outage."""

from __future__ import annotations

import threading
import time
from pathlib import Path

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


def _waits_s(folder: Path, answer: Response | Failure, failures: int) -> list[float]:
    """How long a sender waits after each of its failures in a row."""
    clock, journal = FakeClock(), open_journal(folder)
    put(journal, clock)
    transport = Scripted(lambda _: answer)
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


def test_backoff_doubles_to_its_cap_with_full_jitter(tmp_path: Path) -> None:
    """Anywhere from nothing to twice the last bound, never beyond the cap."""
    runs = [_waits_s(tmp_path / str(n), Failure("refused", ""), 12) for n in range(40)]
    for nth, waits in enumerate(zip(*runs, strict=True)):
        bound_s = min(CAP_S, 2.0**nth)
        assert max(waits) <= bound_s
        # Of forty uniform draws some are in the lower and some in the upper half.
        assert min(waits) < bound_s / 2 < max(waits)


def test_a_named_time_is_a_floor_and_the_jitter_comes_on_top(tmp_path: Path) -> None:
    """Told to wait a minute by Retry-After, agents do not come back together."""
    asked = Response(503, {"retry-after": "60"})
    waits = [_waits_s(tmp_path / str(n), asked, 1)[0] for n in range(10)]
    assert all(60 < wait <= 61 for wait in waits)
    assert len(set(waits)) == len(waits)


def test_backlog_starts_late_and_pauses_between_batches(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """A first wait of three pauses at least, then half a pause at least each time."""
    through = front()
    settings = make_settings(towards(influxdb, through.url), pause="500ms", batch=5)
    begun = time.monotonic()
    bench = make_bench(settings)
    bench.put_old(5 * 6)
    bench.start()
    through.wait_for(6, 60)
    moments = [request.received_mono - begun for request in through.requests]
    assert moments[0] > 1.5
    # Each wait is counted from the start before it: only their sum can be seen here.
    assert moments[5] - moments[0] > 1.0


def test_connection_that_the_collector_closed_meanwhile_costs_nothing(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """Half-closed while nobody sent: found at the next request, which loses nothing."""
    through = front()
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    for _ in range(3):
        bench.put(5)
        assert bench.uplink.drain(60)
        through.stop()
        through.start()
    assert influxdb.count("latency", "seq") == 15
    assert bench.uplink.status().error is None
