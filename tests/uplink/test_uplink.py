"""Delivery to a real InfluxDB, through a front that answers as networks do."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.journal import Lane
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
)  # fmt: skip
from tests.servers.certificates import Authority, Fault
from tests.servers.database import Database, HttpAnswer
from tests.servers.fixtures import MakeFront
from tests.uplink.conftest import MakeBench
from tests.uplink.support import make_settings, towards


def eventually(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Wait for a condition of the running uplink."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def held(database: Database) -> list[int]:
    """The numbers of the points the server holds, as often as it holds them."""
    return sorted(int(row["seq"]) for row in database.rows("latency"))


def test_points_are_delivered_byte_for_byte(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """What the front sees in the body is what the journal holds."""
    through = front()
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    bench.put(30)
    assert bench.uplink.drain(60)
    lines = [line for request in through.requests for line in request.lines]
    assert lines == [line for _, line in bench.journal.lines()]
    assert held(influxdb) == list(range(1, 31))
    assert bench.uplink.status().acknowledged.le_2m == 30


@pytest.mark.parametrize(
    "answer",
    [
        portal_page(), portal_redirect(), portal_redirect("http://127.0.0.1:1/"),
        refused(403), refused(404), refused(500), refused(503),
        throttled("0"), throttled("0", 503),
        CutRequest(), Reset(), Unheard(), Delay(0.3, refused(502)), Hang(0.2),
        CutAnswer(HttpAnswer(500, {}, b"0123456789")),
    ],
    ids=lambda answer: type(answer).__name__ + str(getattr(answer, "code", "")),
)  # fmt: skip
def test_one_bad_answer_costs_nothing(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, answer: Answer
) -> None:
    """Not acknowledged, kept, said, sent again: each point is there once."""
    through = front()
    through.script(answer)
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    bench.put(5)
    bench.uplink.drain(0.4)
    assert bench.uplink.drain(60)
    assert held(influxdb) == [1, 2, 3, 4, 5]
    status = bench.uplink.status()
    # On a machine that is busy a good answer may be late as well.
    assert status.failures >= 1
    assert (status.error, status.quarantined) == (None, 0)


def test_timeout_before_and_after_the_body_was_taken(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """Whether or not the collector had them: sent again, and held once."""
    through = front()
    through.script(Hang(), Delay(3, Pass()))
    section = towards(influxdb, through.url) | {"timeout": "500ms"}
    bench = make_bench(make_settings(section))
    bench.put(5)
    assert bench.uplink.drain(30)
    # On a machine that is busy a good answer may be late as well.
    assert bench.uplink.status().failures >= 2
    assert held(influxdb) == [1, 2, 3, 4, 5]


def test_poison_is_found_and_the_rest_delivered(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """A field type conflict of a real server: one point aside with its words."""
    bench = make_bench(make_settings(towards(influxdb)))
    place = {"station": "S1", "province": "31", "regency": "3171"}
    influxdb.write(b'latency,station=S1 sent="not a number"')
    good = [replace(point(bench.clock.boot_ns() + n), tags=place,
                    fields={"received": n}) for n in range(20)]  # fmt: skip
    bad = replace(good[0], fields={"sent": 20}, boot_ns=good[0].boot_ns + 777)
    mixed = [*good[:7], bad, *good[7:]]
    bench.journal.put(mixed, bench.clock.state(), bench.clock.boot_id)
    assert bench.uplink.drain(60)
    counts = bench.journal.counts()
    assert (counts.quarantined, counts.undelivered["collector"]) == (1, 0)
    (event,) = bench.journal.take_events()
    assert (event.kind, event.first_seq) == ("quarantine", 8)
    assert "field type conflict" in event.detail
    assert held_anywhere(influxdb) == [n for n in range(1, 22) if n != 8]


def held_anywhere(database: Database) -> list[int]:
    """Numbers of all points that carry one."""
    rows = database.rows("latency")
    return sorted(int(row["seq"]) for row in rows if row.get("seq") is not None)


def test_too_large_is_halved(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """A collector that takes ten points at once gets no more than ten."""
    through = front()
    through.always(
        lambda request: Pass() if int(request.headers["content-length"]) < 600
        else refused(413)
    )  # fmt: skip
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    bench.put(100)
    assert bench.uplink.drain(60)
    assert held(influxdb) == list(range(1, 101))
    assert bench.journal.counts().quarantined == 0


def test_renewed_token_is_read_again(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """401 keeps the points; a new token in the file takes effect without a restart."""
    token_file = tmp_path / "token"
    token_file.write_text("old")
    through = front()
    known = Pass(headers={"authorization": f"Token {influxdb.token}"})
    through.always(
        lambda request: known if request.headers["authorization"] == "Token new"
        else refused(401)
    )  # fmt: skip
    section = towards(influxdb, through.url) | {"token_file": str(token_file)}
    section.pop("token")
    bench = make_bench(make_settings(section))
    bench.put(3)
    assert not bench.uplink.drain(0.5)
    assert "token not accepted" in str(bench.uplink.status().error)
    token_file.write_text("new\n")
    assert bench.uplink.drain(60)
    assert held(influxdb) == [1, 2, 3]


def test_missing_bucket_is_said_and_nothing_is_dropped(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """A real server's 404: kept until the bucket is there."""
    section = towards(influxdb) | {"bucket": "not_there"}
    bench = make_bench(make_settings(section))
    bench.put(3)
    assert not bench.uplink.drain(0.5)
    status = bench.uplink.status()
    assert "create the bucket" in str(status.error)
    assert bench.owed() == 3


def test_retry_after_is_obeyed(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The next request comes no earlier than the collector asked."""
    through = front()
    through.script(throttled("1"))
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    bench.put(1)
    assert bench.uplink.drain(60)
    first, second = [request.received_mono for request in through.requests]
    assert second - first >= 1.0


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("expired", "tls_expired"), ("not_yet_valid", "tls_expired"),
     ("wrong_name", "tls_name"), ("self_signed", "tls_untrusted")],
)  # fmt: skip
def test_tls_errors_are_told_apart(
    make_bench: MakeBench,
    influxdb: Database,
    front: MakeFront,
    authority: Authority,
    fault: Fault,
    cause: str,
) -> None:
    """Expired, not yet valid, another name, nobody's: each by its own word."""
    through = front(tls=authority.server_context(fault))
    section = towards(influxdb, through.url) | {"ca_file": str(authority.file)}
    bench = make_bench(make_settings(section))
    bench.put(1)
    assert not bench.uplink.drain(0.5)
    assert str(bench.uplink.status().error).startswith(cause)
    assert influxdb.rows("latency") == []


def test_tls_delivers(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, authority: Authority
) -> None:
    """With the right authority points go over TLS."""
    through = front(tls=authority.server_context())
    section = towards(influxdb, through.url)
    bench = make_bench(make_settings(section | {"ca_file": str(authority.file)}))
    bench.put(3)
    assert bench.uplink.drain(60)
    assert held(influxdb) == [1, 2, 3]


def test_name_that_does_not_resolve(make_bench: MakeBench) -> None:
    """No DNS is no reason to stop: said, kept, tried again."""
    bench = make_bench(make_settings({"url": "http://collector.invalid:8086"}))
    bench.put(1)
    bench.uplink.drain(0.5)
    status = bench.uplink.status()
    assert str(status.error).startswith("name_not_resolved")
    assert status.sent_bytes < 500 * status.failures


def test_nothing_listens(make_bench: MakeBench) -> None:
    """Refused: the cause is named and hardly a byte is counted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    bench = make_bench(make_settings({"url": f"http://127.0.0.1:{port}"}))
    bench.put(1)
    bench.uplink.drain(0.3)
    assert str(bench.uplink.status().error).startswith("refused")


def test_without_a_url_all_stays(make_bench: MakeBench) -> None:
    """No collector configured: nothing is sent, and everything is owed."""
    bench = make_bench(make_settings({}))
    bench.put(4)
    assert bench.uplink.drain(1)
    assert (bench.uplink.status().state, bench.owed()) == ("off", 4)


def test_fallback_gets_points_and_the_collector_is_still_owed(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """While the collector fails the stand-in is served, and later the collector."""
    stand_in = influxdb.fresh()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = make_settings(
        {"url": f"http://127.0.0.1:{port}"}, towards(stand_in), fallback_after="100ms"
    )
    bench = make_bench(settings)
    bench.start()
    bench.put(5)
    eventually(lambda: held(stand_in) == [1, 2, 3, 4, 5])
    owed = {"collector": 5, "fallback": 0}
    eventually(lambda: bench.journal.counts().undelivered == owed)
    stand_in.drop()


def test_backlog_yields_to_measurements_and_fresh_points_do_not(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """While a train runs on the link only what is new goes out."""
    settings = make_settings(towards(influxdb), link="main")
    bench = make_bench(settings)
    bench.put_old(50)
    with bench.link_lock.shared("main", 1) as entered:
        assert entered
        bench.start()
        fresh = bench.put(2)
        eventually(lambda: held(influxdb) == list(fresh))
    eventually(lambda: len(held(influxdb)) == 52)
    eventually(lambda: bench.owed() == 0)


def test_fresh_points_go_ahead_of_the_backlog(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """With a slow collector and a long backlog, a new point waits one batch at most."""
    through = front()
    through.always(lambda _request: Delay(0.1, Pass()))
    bench = make_bench(make_settings(towards(influxdb, through.url), batch=10))
    bench.put_old(300)
    bench.start()
    through.wait_for(3)
    (seq,) = bench.put(1)
    under_way = len(through.requests)
    eventually(lambda: seq in held(influxdb))
    mark = f"seq={seq}i".encode()
    (live,) = [n for n, r in enumerate(through.requests) if mark in r.body]
    # The batch under way, and one that began while the point was being stored.
    assert live - under_way <= 2
    assert len(held(influxdb)) < 301


def test_data_limit_holds_the_backlog_and_not_the_fresh(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """A day's bytes for the backlog are spent: fresh points still go."""
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
    """Within the second that the header has, and a little for the way."""
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
    """Five refusals in a row are one line, and the end of it another."""
    through = front()
    through.script(*[refused(503)] * 5)
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    bench.put(1)
    assert bench.uplink.drain(60)
    ours = [r.message for r in caplog.records if r.name.startswith("qos_agent.uplink")]
    assert len(ours) == 2
    assert "again after" in ours[1]


def test_ages_of_acknowledged_points(make_bench: MakeBench, influxdb: Database) -> None:
    """A late point is counted as late."""
    bench = make_bench(make_settings(towards(influxdb)))
    ages_s = (1, 600, 7200, 3 * 86400)
    points = [point(bench.clock.boot_ns() - age * 10**9) for age in ages_s]
    bench.journal.put(points, bench.clock.state(), bench.clock.boot_id)
    assert bench.uplink.drain(60)
    acknowledged = bench.uplink.status().acknowledged
    assert (acknowledged.le_2m, acknowledged.le_1h, acknowledged.le_1d,
            acknowledged.older) == (1, 1, 1, 1)  # fmt: skip


def test_stop_releases_what_was_claimed(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """A stop during a hanging request ends soon, and the points are owed."""
    through = front()
    through.always(Hang())
    section = towards(influxdb, through.url) | {"timeout": "500ms"}
    bench = make_bench(make_settings(section))
    bench.start()
    bench.put(5)
    through.wait_for(1)
    bench.stop.set()
    bench.uplink.wake()
    eventually(lambda: len(bench.journal.claim("collector", 9, Lane.FRESH)) == 5)
