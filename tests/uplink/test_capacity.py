"""Delivery to a server that has reached a limit of its capacity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qos_agent.config.settings import Settings as AgentSettings
from qos_agent.journal import Batch, JournalEvent
from qos_agent.uplink.capacity import CapacityHold
from tests.journal.support import point
from tests.servers.answers import refused
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront, MakeInfluxDB
from tests.servers.front import Front
from tests.servers.influxdb import InfluxDB, Settings
from tests.support.waiting import eventually
from tests.uplink.conftest import MakeBench
from tests.uplink.support import Bench, make_settings, towards

VALUES = Settings(index="inmem", max_values_per_tag=3)
SERIES = Settings(index="inmem", max_series_per_database=4)
UNLIMITED = Settings(index="inmem", max_values_per_tag=0, max_series_per_database=0)


def _fill(server: InfluxDB) -> None:
    """Write series of other stations until the server is full."""
    for number in range(4):
        server.write(b"latency,station=other-%d sent=20i 1" % number)


def _lift(server: InfluxDB) -> None:
    """Restart the server without limits."""
    server.settings = UNLIMITED
    server.restart()


def _settings(server: InfluxDB, between: Front) -> AgentSettings:
    """Return settings with short waits; a busy machine needs a long timeout."""
    section = towards(server.view, between.url) | {"timeout": "30s"}
    return make_settings(section, backoff="500ms")


def _put(bench: Bench, count: int, **tags: str) -> None:
    points = [point(bench.clock.boot_ns() + n, **tags) for n in range(count)]
    bench.journal.put(points, bench.clock.state(), bench.clock.boot_id)


def _count(server: InfluxDB) -> int:
    return sum(row.get("seq") is not None for row in server.rows("latency"))


@pytest.mark.parametrize("settings", [VALUES, SERIES], ids=["values", "series"])
def test_a_full_server_keeps_all_points_until_the_limit_is_raised(
    make_bench: MakeBench,
    make_influxdb: MakeInfluxDB,
    front: MakeFront,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is quarantined, no event is made, and few requests are sent."""
    server = make_influxdb(settings)
    _fill(server)
    between = front(server.url)
    bench = make_bench(_settings(server, between))
    bench.put(40)
    bench.start()
    eventually(lambda: len(between.requests) >= 3)
    counts, status = bench.journal.counts(), bench.uplink.status()
    assert (counts.quarantined, bench.undelivered(), counts.points) == (0, 40, 40)
    assert bench.journal.take_events() == ()
    eventually(lambda: bench.uplink.status().state == "failing")
    assert status.full
    assert "index-version = tsi1" in str(status.error)
    assert {len(request.lines) for request in between.requests} == {40, 10}
    assert len([r for r in caplog.records if "cannot deliver" in r.message]) == 1
    _lift(server)
    eventually(lambda: _count(server) == 40)
    eventually(lambda: bench.uplink.status().state == "idle")
    status = bench.uplink.status()
    assert (status.full, status.error) == (False, None)


def test_points_of_known_series_are_delivered_by_a_full_server(
    make_bench: MakeBench, make_influxdb: MakeInfluxDB, front: MakeFront
) -> None:
    """Only the refused points wait, and new points are not delayed by them."""
    server = make_influxdb(VALUES)
    bench = make_bench(_settings(server, front(server.url)))
    for target in ("a", "b", "c"):
        _put(bench, 1, target=target)
    assert bench.uplink.drain(60)
    for target in ("a", "new", "b"):
        _put(bench, 10, target=target)
    bench.start()
    eventually(lambda: (_count(server), bench.undelivered()) == (23, 10))
    eventually(lambda: bench.uplink.status().state == "failing")
    status = bench.uplink.status()
    assert (status.full, status.quarantined) == (True, 0)
    _put(bench, 5, target="c")
    eventually(lambda: (_count(server), bench.undelivered()) == (28, 10))
    _lift(server)
    eventually(lambda: _count(server) == 38)


def test_many_refused_points_stop_the_backlog_and_not_new_points(
    make_bench: MakeBench, make_influxdb: MakeInfluxDB, front: MakeFront
) -> None:
    """A backlog of refused points costs a few requests; nothing of it is lost."""
    server = make_influxdb(VALUES)
    between = front(server.url)
    bench = make_bench(_settings(server, between))
    for target in ("a", "b", "c"):
        _put(bench, 1, target=target)
    assert bench.uplink.drain(60)
    old_ns = bench.clock.boot_ns() - 600 * 10**9
    old = [point(old_ns + n, target="new") for n in range(2500)]
    bench.journal.put(old, bench.clock.state(), bench.clock.boot_id)
    bench.journal.put([], bench.clock.state(), bench.clock.boot_id)
    bench.start()
    eventually(lambda: len(between.requests) >= 6)
    _put(bench, 5, target="c")
    eventually(lambda: _count(server) == 8)
    eventually(lambda: bench.undelivered() == 2500)
    assert bench.journal.counts().quarantined == 0
    sent = {seq for request in between.requests for seq in _seqs(request.lines)}
    assert len(sent) < 1600
    _lift(server)
    eventually(lambda: _count(server) == 2508)


def _seqs(lines: list[bytes]) -> set[bytes]:
    return {line.partition(b"seq=")[2].partition(b"i")[0] for line in lines}


def test_a_rejected_event_about_rejected_points_makes_no_other_event(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """A collector that rejects every point causes one event, not one each minute."""
    between = front()
    between.always(refused(400, "field type conflict dropped=1"))
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(10)
    for _ in range(4):
        bench.uplink.drain(0.5)
        _record_events(bench)
    counts = bench.journal.counts()
    assert (counts.points, counts.quarantined) == (11, 11)


def _record_events(bench: Bench) -> None:
    """Store the journal's events as points, as the agent does."""
    now_ns = bench.clock.boot_ns()
    for event in bench.journal.take_events():
        assert (event.kind, event.amount) == ("quarantine", 10)
        raw = point(now_ns, "event")
        about = replace(raw, tags={**raw.tags, "kind": event.kind})
        bench.journal.put([about], bench.clock.state(), bench.clock.boot_id)


def test_rejected_points_of_one_cause_are_one_event_an_hour(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The next event after an hour contains all points that were rejected since."""
    numbers = iter(range(100))
    between = front()
    message = "unable to parse 'latency seq=%d': bad timestamp"
    between.always(lambda _: refused(400, message % next(numbers)))
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    events: list[JournalEvent] = []
    hour_ns = 3600 * 10**9
    for minute in (0, 1, 2, 61):
        put_ns = bench.clock.boot_ns() + minute * hour_ns // 60
        bench.journal.put([point(put_ns)], bench.clock.state(), bench.clock.boot_id)
        bench.uplink.drain(0.5)
        events += bench.journal.take_events()
    assert [event.amount for event in events] == [1, 3]
    assert (events[1].first_seq, events[1].last_seq) == (2, 4)


def test_the_hold_is_bounded_and_tries_its_parts_in_turn() -> None:
    """The oldest part leaves if there is no space, and each attempt takes the next."""
    hold = CapacityHold(60.0, lambda low, _high: low)
    parts = [
        Batch("j", "c", tuple(range(n, n + 600)), (b"x 1",) * 600)
        for n in range(0, 2400, 600)
    ]
    removed = [gone for part in parts for gone in hold.add(part, "full", 0)]
    assert (removed, hold.points, hold.is_full) == ([parts[0]], 1800, True)
    assert hold.attempt(0) is None
    assert hold.attempt(10**9) == parts[1].part(0, 10)
    hold.add(parts[1].part(0, 10), "full", 10**9)
    assert hold.attempt(10**9) is None
    assert hold.attempt(3 * 10**9) == parts[2].part(0, 10)
    assert sum(map(len, hold.clear())) == 1790
    assert (hold.points, hold.message) == (0, None)
