"""Delivery to a real InfluxDB through a front that simulates network faults."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.config.settings import Settings
from qos_agent.influx import responses
from qos_agent.influx.responses import Decision, Failure, Response
from qos_agent.journal import Lane
from qos_agent.system import supervision
from qos_agent.uplink import sender
from qos_agent.uplink.status import AcknowledgedPoints
from tests.journal.support import point
from tests.servers.answers import (
    Answer,
    CutAnswer,
    CutRequest,
    Delay,
    Hang,
    Pass,
    Reset,
    Unheard,
    portal_page,
    portal_redirect,
    refused,
    throttled,
)
from tests.servers.certificates import Authority, Fault
from tests.servers.database import Database, HttpAnswer
from tests.servers.fixtures import MakeFront
from tests.servers.front import Front
from tests.support.waiting import eventually
from tests.uplink.conftest import MakeBench
from tests.uplink.support import make_settings, towards


def held(database: Database) -> list[int]:
    """Return the numbers of all points on the server, with repetitions."""
    return sorted(int(row["seq"]) for row in database.rows("latency"))


def accept_new_token(between: Front, database: Database) -> None:
    """Let the front accept the token `new` and refuse every other one."""
    known = Pass(headers={"authorization": f"Token {database.token}"})
    between.always(
        lambda request: (
            known if request.headers["authorization"] == "Token new" else refused(401)
        )
    )


def with_token_file(database: Database, between: Front, token_file: Path) -> Settings:
    """Write the token `old` to a file, and return settings that name the file."""
    token_file.write_text("old")
    section = towards(database, between.url) | {"token_file": str(token_file)}
    section.pop("token")
    return make_settings(section)


def test_points_are_delivered_byte_for_byte(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The body of the request contains the journal's lines."""
    between = front()
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(30)
    assert bench.uplink.drain(60)
    lines = [line for request in between.requests for line in request.lines]
    assert lines == [line for _, line in bench.journal.lines()]
    assert held(influxdb) == list(range(1, 31))
    assert bench.uplink.status().acknowledged.le_2m == 30


@pytest.mark.parametrize(
    "answer",
    [
        portal_page(),
        portal_redirect(),
        portal_redirect("http://127.0.0.1:1/"),
        refused(403),
        refused(404),
        refused(500),
        refused(503),
        throttled("0"),
        throttled("0", 503),
        CutRequest(),
        Reset(),
        Unheard(),
        Delay(0.3, refused(502)),
        Hang(0.2),
        CutAnswer(HttpAnswer(500, {}, b"0123456789")),
    ],
    ids=lambda answer: type(answer).__name__ + str(getattr(answer, "code", "")),
)
def test_one_bad_response_loses_nothing(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, answer: Answer
) -> None:
    """The points are kept and sent again, and each one arrives once."""
    between = front()
    between.script(answer)
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(5)
    bench.uplink.drain(0.4)
    assert bench.uplink.drain(60)
    assert held(influxdb) == [1, 2, 3, 4, 5]
    status = bench.uplink.status()
    # On a busy machine a good response may also be too late.
    assert status.failures >= 1
    assert (status.error, status.quarantined) == (None, 0)


def test_timeout_before_and_after_the_body_was_stored(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """Points are sent again after a timeout, and each one arrives once."""
    between = front()
    between.script(Hang(), Delay(3, Pass()))
    section = towards(influxdb, between.url) | {"timeout": "500ms"}
    bench = make_bench(make_settings(section))
    bench.put(5)
    assert bench.uplink.drain(30)
    # On a busy machine a good response may also be too late.
    assert bench.uplink.status().failures >= 2
    assert held(influxdb) == [1, 2, 3, 4, 5]


def test_a_rejected_point_is_found_and_the_others_delivered(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """After a field type conflict on a real server one point is quarantined."""
    bench = make_bench(make_settings(towards(influxdb)))
    place = {"station": "S1", "province": "31", "regency": "3171"}
    influxdb.write(b'latency,station=S1 sent="not a number"')
    good = [
        replace(point(bench.clock.boot_ns() + n), tags=place, fields={"received": n})
        for n in range(20)
    ]
    bad = replace(good[0], fields={"sent": 20}, boot_ns=good[0].boot_ns + 777)
    mixed = [*good[:7], bad, *good[7:]]
    bench.journal.put(mixed, bench.clock.state(), bench.clock.boot_id)
    assert bench.uplink.drain(60)
    counts = bench.journal.counts()
    assert (counts.quarantined, counts.undelivered["collector"]) == (1, 0)
    (event,) = bench.journal.take_events()
    assert (event.kind, event.first_seq) == ("quarantine", 8)
    assert "field type conflict" in event.detail
    assert held_with_number(influxdb) == [n for n in range(1, 22) if n != 8]


def held_with_number(database: Database) -> list[int]:
    """Return the numbers of all points that have one."""
    rows = database.rows("latency")
    return sorted(int(row["seq"]) for row in rows if row.get("seq") is not None)


def test_a_batch_that_is_too_large_is_halved(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """A collector with a small limit receives smaller batches."""
    between = front()
    between.always(
        lambda request: (
            Pass() if int(request.headers["content-length"]) < 600 else refused(413)
        )
    )
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(100)
    assert bench.uplink.drain(60)
    assert held(influxdb) == list(range(1, 101))
    assert bench.journal.counts().quarantined == 0


def test_renewed_token_is_read_again(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """401 keeps the points; a new token in the file is used without a restart."""
    token_file = tmp_path / "token"
    between = front()
    accept_new_token(between, influxdb)
    bench = make_bench(with_token_file(influxdb, between, token_file))
    bench.put(3)
    assert not bench.uplink.drain(0.5)
    assert "token not accepted" in str(bench.uplink.status().error)
    token_file.write_text("new\n")
    assert bench.uplink.drain(60)
    assert held(influxdb) == [1, 2, 3]


def test_a_missing_bucket_is_reported_and_loses_nothing(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """After 404 from a real server the points are kept until the bucket exists."""
    section = towards(influxdb) | {"bucket": "not_there"}
    bench = make_bench(make_settings(section))
    bench.put(3)
    assert not bench.uplink.drain(0.5)
    status = bench.uplink.status()
    assert "create the bucket" in str(status.error)
    assert bench.undelivered() == 3


def test_retry_after_is_respected(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The next request is not sent before that time."""
    between = front()
    between.script(throttled("1"))
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(1)
    assert bench.uplink.drain(60)
    first, second = [request.received_mono for request in between.requests]
    assert second - first >= 1.0


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("expired", "tls_expired"),
        ("not_yet_valid", "tls_expired"),
        ("wrong_name", "tls_name"),
        ("self_signed", "tls_untrusted"),
    ],
)
def test_tls_errors_have_different_causes(
    make_bench: MakeBench,
    influxdb: Database,
    front: MakeFront,
    authority: Authority,
    fault: Fault,
    cause: str,
) -> None:
    """The status shows the cause of each certificate error."""
    between = front(tls=authority.server_context(fault))
    section = towards(influxdb, between.url) | {"ca_file": str(authority.file)}
    bench = make_bench(make_settings(section))
    bench.put(1)
    assert not bench.uplink.drain(0.5)
    assert str(bench.uplink.status().error).startswith(cause)
    assert influxdb.rows("latency") == []


def test_tls_delivers(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, authority: Authority
) -> None:
    """With the right authority points are delivered over TLS."""
    between = front(tls=authority.server_context())
    section = towards(influxdb, between.url)
    bench = make_bench(make_settings(section | {"ca_file": str(authority.file)}))
    bench.put(3)
    assert bench.uplink.drain(60)
    assert held(influxdb) == [1, 2, 3]


def test_name_that_does_not_resolve(make_bench: MakeBench) -> None:
    """Without DNS the cause is reported and the points are kept."""
    bench = make_bench(make_settings({"url": "http://collector.invalid:8086"}))
    bench.put(1)
    bench.uplink.drain(0.5)
    status = bench.uplink.status()
    assert str(status.error).startswith("name_not_resolved")
    assert status.sent_bytes < 500 * status.failures


def test_nothing_listens(make_bench: MakeBench) -> None:
    """A refused connection is reported as such."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    bench = make_bench(make_settings({"url": f"http://127.0.0.1:{port}"}))
    bench.put(1)
    bench.uplink.drain(0.3)
    assert str(bench.uplink.status().error).startswith("refused")


def test_without_a_url_nothing_is_sent(make_bench: MakeBench) -> None:
    """Without a collector all points stay queued."""
    bench = make_bench(make_settings({}))
    bench.put(4)
    assert bench.uplink.drain(1)
    assert (bench.uplink.status().state, bench.undelivered()) == ("off", 4)


def test_the_fallback_does_not_empty_the_queue_of_the_collector(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """While the collector fails the fallback receives the points; both queues count."""
    fallback = influxdb.fresh()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = make_settings(
        {"url": f"http://127.0.0.1:{port}"}, towards(fallback), fallback_after="100ms"
    )
    bench = make_bench(settings)
    bench.start()
    bench.put(5)
    eventually(lambda: held(fallback) == [1, 2, 3, 4, 5])
    undelivered = {"collector": 5, "fallback": 0}
    eventually(lambda: bench.journal.counts().undelivered == undelivered)
    fallback.drop()


def test_the_backlog_waits_for_measurements_and_fresh_points_do_not(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """While a latency test runs on the link only fresh points are sent."""
    settings = make_settings(towards(influxdb), link="main")
    bench = make_bench(settings)
    bench.put_old(50)
    with bench.link_lock.shared("main", 1) as entered:
        assert entered
        bench.start()
        fresh = bench.put(2)
        eventually(lambda: held(influxdb) == list(fresh))
    eventually(lambda: len(held(influxdb)) == 52)
    eventually(lambda: bench.undelivered() == 0)


def test_fresh_points_are_sent_before_the_backlog(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """With a slow collector and a long backlog a new point waits at most one batch."""
    between = front()
    between.always(lambda _request: Delay(0.1, Pass()))
    bench = make_bench(make_settings(towards(influxdb, between.url), batch=10))
    bench.put_old(300)
    bench.start()
    between.wait_for(3)
    (seq,) = bench.put(1)
    under_way = len(between.requests)
    eventually(lambda: seq in held(influxdb))
    mark = f"seq={seq}i".encode()
    (live,) = [n for n, r in enumerate(between.requests) if mark in r.body]
    # The batch in progress, and one that began while the point was stored.
    assert live - under_way <= 2
    assert len(held(influxdb)) < 301


def test_the_data_limit_stops_the_backlog_and_not_fresh_points(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """Fresh points are sent after the backlog has used its daily bytes."""
    settings = make_settings(towards(influxdb), data_limit="4kB", batch=10)
    bench = make_bench(settings)
    bench.put_old(300)
    bench.start()
    fresh = bench.put(1)
    eventually(lambda: fresh[0] in held(influxdb))
    eventually(lambda: len(held(influxdb)) > 10)
    time.sleep(0.3)
    assert len(held(influxdb)) < 100
    assert fresh[0] in held(influxdb)


def test_offset_of_the_clock_comes_from_the_date_header(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """It is correct within the header's resolution of a second and some delay."""
    bench = make_bench(make_settings(towards(influxdb)))
    bench.put(1)
    bench.uplink.drain(60)
    offset_ms = bench.uplink.status().offset_ms
    assert offset_ms is not None
    assert abs(offset_ms) < 1500


def test_failures_are_logged_once_and_recovery_once(
    make_bench: MakeBench,
    influxdb: Database,
    front: MakeFront,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Five failures in a row are one line, and their end is another."""
    between = front()
    between.script(*[refused(503)] * 5)
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(1)
    assert bench.uplink.drain(60)
    messages = [
        r.message for r in caplog.records if r.name.startswith("qos_agent.uplink")
    ]
    assert len(messages) == 2
    assert "again after" in messages[1]


def test_ages_of_acknowledged_points(make_bench: MakeBench, influxdb: Database) -> None:
    """Points are counted by age."""
    bench = make_bench(make_settings(towards(influxdb)))
    ages_s = (1, 600, 7200, 3 * 86400)
    points = [point(bench.clock.boot_ns() - age * 10**9) for age in ages_s]
    bench.journal.put(points, bench.clock.state(), bench.clock.boot_id)
    assert bench.uplink.drain(60)
    acknowledged = bench.uplink.status().acknowledged
    assert acknowledged == AcknowledgedPoints(1, 1, 1, 1)


def test_a_stop_releases_claimed_points(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """A stop during a hanging request ends soon, and the points can be claimed."""
    between = front()
    between.always(Hang())
    section = towards(influxdb, between.url) | {"timeout": "500ms"}
    bench = make_bench(make_settings(section))
    bench.start()
    bench.put(5)
    between.wait_for(1)
    bench.stop.set()
    bench.uplink.wake()
    eventually(lambda: len(bench.journal.claim("collector", 9, Lane.FRESH)) == 5)


def test_a_token_that_is_no_header_is_reported_and_a_corrected_file_helps(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """The loop keeps running, and the status has the line and column."""
    token_file = tmp_path / "token"
    between = front()
    accept_new_token(between, influxdb)
    bench = make_bench(with_token_file(influxdb, between, token_file))
    token_file.write_bytes(b"ne\xe2\x80\x93w\n")
    bench.start()
    bench.put(3)
    wrong = "token_file: contains U+2013 EN DASH at line 1, column 3"
    eventually(lambda: wrong in str(bench.uplink.status().error))
    assert between.requests == []
    token_file.write_bytes(b"\xef\xbb\xbfnew\r\n")
    eventually(lambda: held(influxdb) == [1, 2, 3])
    assert bench.uplink.status().quarantined == 0


def test_a_token_is_read_again_until_it_is_a_header(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """After 401 a file with a second line is an error of its own."""
    token_file = tmp_path / "token"
    between = front()
    between.always(refused(401))
    bench = make_bench(with_token_file(influxdb, between, token_file))
    bench.start()
    bench.put(3)
    between.wait_for(1)
    token_file.write_text("new\nnewer\n")
    wrong = "token_file: contains a second line at line 2, column 1"
    eventually(lambda: wrong in str(bench.uplink.status().error))
    token_file.write_text("new\n")
    between.always(Pass(headers={"authorization": f"Token {influxdb.token}"}))
    eventually(lambda: held(influxdb) == [1, 2, 3])


@pytest.mark.parametrize(
    "error", [RecursionError(), UnicodeError("token"), SystemExit()]
)
def test_an_unexpected_exception_ends_no_delivery(
    make_bench: MakeBench,
    influxdb: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    """The status is failing meanwhile, and a restart of the thread delivers all."""
    monkeypatch.setattr(supervision, "_FIRST_WAIT_S", 0.01)
    bench = make_bench(make_settings(towards(influxdb)))
    broken = threading.Event()
    broken.set()
    decided = responses.decide

    def decide(result: Response | Failure) -> Decision:
        if broken.is_set():
            raise error
        return decided(result)

    monkeypatch.setattr(sender, "decide", decide)
    bench.put(5)
    supervisor = supervision.Supervisor(bench.stop)
    thread = supervisor.start("uplink", bench.uplink.run)
    eventually(lambda: bench.uplink.status().failures >= 2)
    assert bench.uplink.status().state == "failing"
    assert type(error).__name__ in (bench.uplink.status().error or "")
    broken.clear()
    eventually(lambda: not bench.undelivered())
    assert bench.uplink.status().error is None
    bench.stop.set()
    bench.uplink.wake()
    thread.join(20)
    assert held(influxdb) == [1, 2, 3, 4, 5]
