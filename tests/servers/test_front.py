"""The front plays its script on each request and passes all others."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest

from tests.servers.answers import (
    Answer,
    CutAnswer,
    CutRequest,
    Delay,
    Hang,
    Request,
    Reset,
    Status,
    Unheard,
    portal_page,
    portal_redirect,
    refused,
    throttled,
)
from tests.servers.certificates import Authority, Fault
from tests.servers.database import Database, HttpAnswer, connect
from tests.servers.fixtures import MakeFront
from tests.servers.front import Front
from tests.servers.influxdb import InfluxDB

AT_NS = 1_707_868_800_000_000_000
POINT = f"m v=1i {AT_NS}".encode()
LARGE = b"\n".join(b"m v=%di %d" % (n, AT_NS + n) for n in range(100_000))


@pytest.fixture
def through(front: MakeFront, influxdb: Database) -> tuple[Front, Database]:
    """Return a front, and its database with the URL of the front."""
    proxy = front()
    return proxy, replace(influxdb, url=proxy.url)


Through = tuple[Front, Database]


def stored(through: Through) -> int:
    """Return the number of points on the server behind the front."""
    front, database = through
    return replace(database, url=front.target).count("m", "v")


def test_pass_changes_nothing(through: Through) -> None:
    """Without a script the front forwards writes, queries and answers."""
    _, database = through
    assert database.write(POINT).status == 204
    assert database.rows("m") == [{"measurement": "m", "time": AT_NS, "v": 1}]


def test_requests_are_recorded_with_uncompressed_bodies(through: Through) -> None:
    """The record has path, headers, time and the lines of a gzip body."""
    front, database = through
    start_mono = time.monotonic()
    packed = gzip.compress(POINT + b"\n" + POINT)
    database.request("POST", "/api/v2/write?x=1", packed, {"Content-Encoding": "gzip"})
    request = front.requests[0]
    assert (request.method, request.path) == ("POST", "/api/v2/write?x=1")
    assert request.headers["content-encoding"] == "gzip"
    assert request.lines == [POINT, POINT]
    assert start_mono <= request.received_mono <= time.monotonic()


@pytest.mark.parametrize(
    ("answer", "status", "header"),
    [
        (refused(400), 400, ("content-type", "application/json")),
        (refused(401), 401, ("content-type", "application/json")),
        (refused(403), 403, ("content-type", "application/json")),
        (refused(404), 404, ("content-type", "application/json")),
        (refused(413), 413, ("content-type", "application/json")),
        (refused(500), 500, ("content-type", "application/json")),
        (throttled("7"), 429, ("retry-after", "7")),
        (throttled("2", code=503), 503, ("retry-after", "2")),
        (portal_page(), 200, ("content-type", "text/html")),
        (portal_redirect(), 302, ("location", "/login")),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_status_is_answered_and_nothing_stored(
    through: Through, answer: Status, status: int, header: tuple[str, str]
) -> None:
    """A scripted status has its headers, and the server receives no request."""
    front, database = through
    front.script(answer)
    reply = database.write(POINT)
    assert (reply.status, reply.headers[header[0]]) == (status, header[1])
    assert (reply.body, stored(through)) == (answer.body, 0)


def test_script_has_one_answer_for_each_request(through: Through) -> None:
    """Each answer is played once and in order; later requests pass."""
    front, database = through
    front.script(refused(500), refused(503))
    statuses = [database.write(POINT).status for _ in range(3)]
    assert (statuses, front.unplayed) == ([500, 503, 204], 0)


def test_always_applies_until_changed(through: Through) -> None:
    """The answer set with `always` is played for every request."""
    front, database = through
    front.always(refused(503))
    assert [database.write(POINT).status for _ in range(3)] == [503, 503, 503]


def test_function_chooses_the_answer(through: Through) -> None:
    """A function in the script gets the request's head and returns the answer."""
    front, database = through

    def choose(request: Request) -> Answer:
        return refused(404 if request.path == "/no" else 400)

    front.always(choose)
    statuses = [database.request("GET", path).status for path in ("/no", "/yes")]
    assert statuses == [404, 400]


def test_unheard_stores_without_an_answer(through: Through) -> None:
    """The server has the point although the client got no answer."""
    front, database = through
    front.script(Unheard())
    with pytest.raises(http.client.RemoteDisconnected):
        database.write(POINT)
    assert stored(through) == 1


def test_cut_request_stores_nothing(through: Through) -> None:
    """The front reads half the body and closes; the server stores nothing."""
    front, database = through
    front.script(CutRequest())
    with pytest.raises(ConnectionError):
        database.write(LARGE)
    assert len(front.requests[0].raw_body) == len(LARGE) // 2
    assert stored(through) == 0


def test_cut_answer_ends_half_way(through: Through) -> None:
    """The server has the point, and the client gets half of the answer's body."""
    front, database = through
    front.script(CutAnswer(HttpAnswer(200, {}, b"0123456789")))
    with pytest.raises(http.client.IncompleteRead) as caught:
        database.write(POINT)
    assert (caught.value.partial, stored(through)) == (b"01234", 1)


def test_hang_lasts_until_the_client_leaves(through: Through) -> None:
    """The client gets no answer in its time limit; later requests still work."""
    front, database = through
    front.script(Hang())
    connection = connect(database.url)
    connection.timeout = 0.2
    connection.request("POST", "/api/v2/write", POINT)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert (database.write(POINT).status, stored(through)) == (204, 1)


def test_hang_ends_at_its_limit(through: Through) -> None:
    """A hang with a limit ends with a closed connection."""
    front, database = through
    front.script(Hang(limit_s=0.05))
    with pytest.raises(http.client.RemoteDisconnected):
        database.write(POINT)


def test_delay_waits_before_the_answer(through: Through) -> None:
    """The answer arrives after the delay."""
    front, database = through
    front.script(Delay(0.2))
    start_mono = time.monotonic()
    assert database.write(POINT).status == 204
    assert time.monotonic() - start_mono >= 0.2


def test_delay_for_a_client_that_left_stores_nothing(through: Through) -> None:
    """A request whose client leaves during the delay does not reach the server."""
    front, database = through
    front.script(Delay(0.3))
    connection = connect(database.url)
    connection.request("POST", "/api/v2/write", POINT)
    front.wait_for(1)
    connection.close()
    time.sleep(0.4)
    assert (stored(through), front.errors) == (0, [])


def test_reset_is_a_reset(through: Through) -> None:
    """The client gets RST instead of a normal end, with small and large bodies."""
    front, database = through
    front.script(Reset(), Reset())
    for body in (b"", LARGE):
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            database.write(body)
    assert stored(through) == 0


def test_early_answer_comes_before_the_body_is_read(through: Through) -> None:
    """A 413 is sent after the head of the request, as a proxy does."""
    front, database = through
    front.script(replace(refused(413), early=True))
    connection = connect(database.url)
    connection.putrequest("POST", "/api/v2/write")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert front.requests[0].raw_body == b""


def test_connection_is_kept_for_the_next_request(through: Through) -> None:
    """Several requests use one connection, as with the real server."""
    front, database = through
    front.script(refused(503))
    connection = connect(database.url)
    replies = []
    for _ in range(3):
        connection.request("GET", "/ping")
        response = connection.getresponse()
        replies.append((response.status, len(response.read()) > 0, connection.sock))
    connection.close()
    assert [(status, body) for status, body, _ in replies] == [
        (503, True),
        (204, False),
        (204, False),
    ]
    assert len({sock for _, _, sock in replies}) == 1


def test_chunked_body_is_refused(through: Through) -> None:
    """The front cannot read chunks and answers 411 instead of an empty body."""
    _, database = through
    connection = connect(database.url)
    connection.putrequest("POST", "/api/v2/write")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_stopped_front_refuses_and_returns_on_its_port(through: Through) -> None:
    """A stopped front closes open connections and refuses new ones."""
    front, database = through
    idle = connect(database.url)
    idle.request("GET", "/ping")
    idle.getresponse().read()
    front.stop()
    idle.sock.settimeout(2)
    assert idle.sock.recv(1) == b""
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        database.write(POINT)
    front.start()
    assert database.write(POINT).status == 204


def test_stop_ends_a_hang(through: Through) -> None:
    """A request that hangs does not delay the stop of the front."""
    front, database = through
    front.script(Hang())
    outcome: list[type[BaseException]] = []

    def write() -> None:
        try:
            database.write(POINT)
        except OSError as error:
            outcome.append(type(error))

    client = threading.Thread(target=write)
    client.start()
    front.wait_for(1)
    front.stop()
    client.join(2)
    assert outcome == [http.client.RemoteDisconnected]


def test_request_to_a_killed_server_has_no_answer(
    front: MakeFront, influxdb_process: InfluxDB
) -> None:
    """If the target is killed, a passed request ends without an answer."""
    influxdb_process.kill()
    database = replace(influxdb_process.view, url=front(influxdb_process.url).url)
    with pytest.raises(http.client.RemoteDisconnected):
        database.write(POINT)


def test_concurrent_requests_do_not_wait_for_each_other(through: Through) -> None:
    """While one request hangs, the front answers others."""
    front, database = through
    front.script(Hang(limit_s=5))
    with socket.create_connection((front.address, front.port)) as first:
        first.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        front.wait_for(1)
        assert database.write(POINT).status == 204


def test_wait_for_reports_missing_requests(front: MakeFront) -> None:
    """Waiting for requests that never arrive fails with their number."""
    with pytest.raises(AssertionError, match="0 of 1 requests"):
        front("").wait_for(1, limit_s=0.05)


def ping(front: Front, context: ssl.SSLContext, name: str = "127.0.0.1") -> int:
    """Send one request over TLS for a server name and return the status."""
    raw = socket.create_connection((front.address, front.port), 5)
    with context.wrap_socket(raw, server_hostname=name) as secured:
        secured.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        return int(secured.recv(100).split()[1])


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_good_certificate_is_accepted(
    front: MakeFront, authority: Authority, name: str
) -> None:
    """A client that trusts the authority gets an answer for each name."""
    server = front("", tls=authority.server_context())
    server.always(Status(204))
    assert ping(server, authority.client_context(), name) == 204
    assert server.url.startswith("https://")


def test_good_certificate_passes_strict_verification(
    front: MakeFront, authority: Authority
) -> None:
    """The certificate passes the strict checks that Python 3.13 does by default."""
    server = front("", tls=authority.server_context())
    server.always(Status(204))
    strict = authority.client_context()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert ping(server, strict) == 204


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("expired", "certificate has expired"),
        ("not_yet_valid", "certificate is not yet valid"),
        ("wrong_name", "IP address mismatch"),
        ("self_signed", "self-signed certificate|self signed certificate"),
    ],
)
def test_faulty_certificate_fails_verification(
    front: MakeFront, authority: Authority, fault: Fault, message: str
) -> None:
    """Each faulty certificate fails with the error of its fault."""
    server = front("", tls=authority.server_context(fault))
    with pytest.raises(ssl.SSLCertVerificationError, match=message):
        ping(server, authority.client_context())
    assert server.requests == []


def test_unknown_authority_is_not_trusted(
    front: MakeFront, authority: Authority
) -> None:
    """A client with only the system's authorities rejects the valid certificate."""
    server = front("", tls=authority.server_context())
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local"):
        ping(server, ssl.create_default_context())


@pytest.mark.parametrize("answer", [Reset(), Hang(limit_s=0.05)])
def test_faults_work_over_tls(
    front: MakeFront, authority: Authority, answer: Answer
) -> None:
    """Reset and hang end a TLS connection without an answer."""
    server = front("", tls=authority.server_context())
    server.script(answer)
    with pytest.raises((ConnectionError, ssl.SSLError, IndexError)):
        ping(server, authority.client_context())
    assert len(server.requests) == 1
