"""Every backend against every bad server: one cause each, in time, nothing left."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput import BACKENDS
from qos_agent.probes.throughput.backend import Backend, Order, Rate
from qos_agent.probes.throughput.http import Http
from qos_agent.probes.throughput.iperf3 import Iperf3
from qos_agent.probes.throughput.speedtest import Speedtest
from tests.probes.http_responses import INTERIM, LONG_LINE, MANY_LINES
from tests.probes.throughput.bad_server import (
    BLOCK,
    HEAD,
    LONG,
    Talk,
    answers_too_early,
    bad_server,
    breaks_tls,
    drips,
    drips_its_head,
    hangs_up,
    reads_slowly_then_stops,
    reads_then_responds,
    resets,
    resets_at_once,
    responds,
    silent,
)
from tests.probes.time_left import TimeLeft
from tests.servers.certificates import Authority, Fault
from tests.servers.namespace import free_port
from tests.support.children import no_child_left, nothing_left
from tests.support.requirement import require

ROOT = Path(__file__).parents[3]
TIME_LIMIT_S = 6.0
WITHIN_S = TIME_LIMIT_S + 2
LIMIT = 200_000_000
PAGE = b"\n<!DOCTYPE html><p>Log in</p>"
UNNAMED = f"HTTP/1.1 200 OK\r\nContent-Length: {4000 * len(PAGE)}\r\n\r\n".encode()
PORTAL = HEAD.replace(b"application/octet-stream", b"text/html")


def redirects(where: bytes) -> Talk:
    """Redirect every request."""
    return responds(b"HTTP/1.1 302 Found\r\nLocation: " + where + b"\r\n\r\n")


TALKS: dict[str, Talk] = {
    "resets": resets,
    "drips": drips,
    "drips its head": drips_its_head,
    "silent": silent,
    "closes early": responds(LONG + BLOCK),
    "sends more than its length": responds(
        HEAD + b"Content-Length: 10\r\n\r\n" + BLOCK
    ),
    "answers too early": answers_too_early,
    "no number of bytes": responds(HEAD + b"Content-Length: many\r\n\r\n" + BLOCK),
    "redirects": redirects(b"http://127.0.0.1:9/"),
    "a portal's redirect": redirects(b"http://login.example/?from=here"),
    "a portal's page": responds(
        PORTAL + b"Content-Length: 19\r\n\r\n<html>Log in</html>"
    ),
    "a page without content type": responds(UNNAMED + PAGE * 4000),
    "a portal's status": responds(
        b"HTTP/1.1 511 Network Authentication Required\r\n\r\n"
    ),
    "not found": responds(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    "another protocol": responds(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "nothing": responds(b""),
    "a small body": responds(HEAD + b"Content-Length: 9\r\n\r\nnot a lot"),
}
# The causes of `http` for download and upload. A server that closes while bytes are on
# the way has closed early, whatever it responds.
HTTP_CAUSES = {
    "resets": ("reset", "reset"),
    "drips": ("stalled", "stalled"),
    "drips its head": ("stalled", "stalled"),
    "silent": ("stalled", "stalled"),
    "closes early": ("closed_early", "closed_early"),
    "sends more than its length": ("bad_answer", "closed_early"),
    "answers too early": ("bad_answer", "stalled"),
    "no number of bytes": ("bad_answer", "bad_answer"),
    "redirects": ("redirected", "redirected"),
    "a portal's redirect": ("captive_portal", "captive_portal"),
    "a portal's page": ("captive_portal", "captive_portal"),
    "a page without content type": ("captive_portal", "closed_early"),
    "a portal's status": ("captive_portal", "captive_portal"),
    "not found": ("http_status", "http_status"),
    "another protocol": ("bad_answer", "bad_answer"),
    "nothing": ("closed_early", "closed_early"),
    "a small body": ("bad_answer", "closed_early"),
}
# The cause of the other backends for both directions. iperf3 reads each octet as a
# message of an unknown version; speedtest-cli looks for its links in any page.
OTHERS_CAUSES = {
    ("iperf3", "resets"): "version",
    ("iperf3", "silent"): "stalled",
    ("iperf3", "a portal's page"): "version",
    ("iperf3", "another protocol"): "version",
    ("iperf3", "nothing"): "closed_early",
    ("speedtest", "resets"): "reset",
    ("speedtest", "drips"): "deadline",
    ("speedtest", "silent"): "timeout",
    ("speedtest", "closes early"): "closed_early",
    ("speedtest", "a portal's redirect"): "captive_portal",
    ("speedtest", "a portal's page"): "bad_answer",
    ("speedtest", "a portal's status"): "captive_portal",
    (
        "speedtest",
        "redirects",
    ): "refused",  # it follows the redirect to a port without a listener
    ("speedtest", "not found"): "http_status",
    ("speedtest", "another protocol"): "bad_answer",
    ("speedtest", "nothing"): "closed_early",
}


def order(server: str, **changes: object) -> Order:
    """Return an order with a short time limit over the loopback interface.

    Other programs of this machine also move its counter, so the limits are high.
    """
    defaults = {
        "link": None,
        "interface": "lo",
        "server": server,
        "limits": {"down": 400_000_000, "up": 200_000_000},
        "time_limit_s": TIME_LIMIT_S,
        "connections": 2,
    }
    return Order(**{**defaults, **changes})  # type: ignore[arg-type]


def server_of(name: str, port: int) -> str:
    """Return a server in the form that the backend requires."""
    return f"127.0.0.1:{port}" if name == "iperf3" else f"http://127.0.0.1:{port}"


def backend(name: str) -> Backend:
    """Return the backend without the proxy settings of this machine."""
    if name == "iperf3":
        require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    return Speedtest(environment={}) if name == "speedtest" else BACKENDS[name]


def causes(tested: Backend, test_order: Order) -> dict[str, str]:
    """Return the cause of each failed direction."""
    try:
        results = tested.run(test_order, TimeLeft(TIME_LIMIT_S))
    except ProbeError as error:
        return dict.fromkeys(test_order.limits, error.cause)
    return {d: r.cause for d, r in results.items() if isinstance(r, ProbeError)}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_describes_itself(name: str) -> None:
    """Licence, data use, byte bound and blind spots are the same in the documents."""
    tested = BACKENDS[name]
    assert tested.name == name
    documented = " ".join(
        (ROOT / "docs" / "method" / "throughput.md").read_text().split()
    )
    texts = (tested.licence, tested.data_use, tested.byte_bound, tested.cannot_see)
    for text in texts:
        assert len(text) > 20
        assert text in documented


@pytest.mark.parametrize("name", BACKENDS)
def test_a_server_that_is_gone(name: str) -> None:
    """A port without a listener is `refused` in both directions."""
    test_order = order(server_of(name, free_port("127.0.0.1")))
    with nothing_left(WITHIN_S):
        assert causes(backend(name), test_order) == {"down": "refused", "up": "refused"}


@pytest.mark.parametrize("name", BACKENDS)
def test_a_name_that_does_not_exist(name: str) -> None:
    """An unknown name has its cause; no query leaves this machine."""
    test_order = order(server_of(name, 9).replace("127.0.0.1", "no-such-host.invalid"))
    with nothing_left(WITHIN_S):
        assert causes(backend(name), test_order)["down"] == "name_not_resolved"


# A stall of 4 s must be noticed before the time limit of 6 s.
@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("talk", TALKS)
def test_http_names_what_is_wrong(talk: str, direction: str) -> None:
    """Each direction fails with its cause, although the kernel accepted its bytes."""
    with nothing_left(WITHIN_S), bad_server(TALKS[talk]) as port:
        test_order = order(server_of("http", port), limits={direction: LIMIT})
        assert causes(Http(), test_order) == {
            direction: HTTP_CAUSES[talk][direction == "up"]
        }


@pytest.mark.slow
@pytest.mark.parametrize(("name", "talk"), OTHERS_CAUSES)
def test_others_name_what_is_wrong(name: str, talk: str) -> None:
    """Both directions fail with the cause of the server, and nothing is left."""
    with nothing_left(WITHIN_S), bad_server(TALKS[talk]) as port:
        failures = causes(backend(name), order(server_of(name, port)))
    expected = OTHERS_CAUSES[name, talk]
    assert failures == {"down": expected, "up": expected}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("expired", "tls_expired"),
        ("not_yet_valid", "tls_expired"),
        ("wrong_name", "tls_name"),
        ("self_signed", "tls_untrusted"),
    ],
)
def test_a_bad_certificate(fault: Fault, expected: str, tmp_path: Path) -> None:
    """Each fault of a certificate has its own cause."""
    authority = Authority(tmp_path)
    context = authority.server_context(fault)
    with nothing_left(WITHIN_S), bad_server(silent, context) as port:
        test_order = order(f"https://127.0.0.1:{port}", ca_file=authority.file)
        assert set(causes(Http(), test_order).values()) == {expected}


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize(("talk", "expected"), [(breaks_tls, "tls"), (resets, "reset")])
def test_tls_that_breaks_in_the_middle(
    talk: Talk, expected: str, direction: str, tmp_path: Path
) -> None:
    """Invalid TLS records and a reset end either direction with their cause."""
    authority = Authority(tmp_path)
    context = authority.server_context()
    with nothing_left(WITHIN_S), bad_server(talk, context) as port:
        server = f"https://127.0.0.1:{port}"
        limits = {direction: LIMIT}
        test_order = order(server, ca_file=authority.file, limits=limits)
        assert causes(Http(), test_order) == {direction: expected}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("talk", "expected"),
    [(silent, "timeout"), (hangs_up, "closed_early"), (resets_at_once, "reset")],
)
def test_tls_that_is_never_agreed(talk: Talk, expected: str) -> None:
    """Silence, a close and a reset during the handshake have different causes."""
    with nothing_left(WITHIN_S), bad_server(talk) as port:
        test_order = order(f"https://127.0.0.1:{port}", limits={"down": LIMIT})
        assert causes(Http(), test_order) == {"down": expected}


@pytest.mark.parametrize("talk", ["a portal's redirect", "a portal's page"])
def test_over_tls_no_captive_portal_can_answer(talk: str, tmp_path: Path) -> None:
    """A page or a redirect of an authenticated server is not a captive portal's."""
    authority = Authority(tmp_path)
    with (
        nothing_left(WITHIN_S),
        bad_server(TALKS[talk], authority.server_context()) as port,
    ):
        server = f"https://127.0.0.1:{port}"
        test_order = order(server, ca_file=authority.file, limits={"down": LIMIT})
        expected = "redirected" if "redirect" in talk else "bad_answer"
        assert causes(Http(), test_order) == {"down": expected}


def test_a_server_without_tls() -> None:
    """A server without TLS at an https address is the cause `tls`."""
    with bad_server(TALKS["another protocol"]) as port:
        assert causes(Http(), order(f"https://127.0.0.1:{port}"))["down"] == "tls"


def test_downloads_work_over_tls(tmp_path: Path) -> None:
    """A good certificate and a complete body give a rate."""
    authority = Authority(tmp_path)
    body = HEAD + b"Content-Length: 3000000\r\n\r\n" + BLOCK * 30
    with bad_server(responds(body), authority.server_context()) as port:
        test_order = order(
            f"https://127.0.0.1:{port}",
            ca_file=authority.file,
            limits={"down": 400_000_000},
        )
        rate = Http().run(test_order, TimeLeft(TIME_LIMIT_S))["down"]
    assert isinstance(rate, Rate)
    assert rate.stop in ("complete", "precision")


def test_downloads_work_over_ipv6() -> None:
    """A URL with an IPv6 address in brackets gives a rate."""
    body = HEAD + b"Content-Length: 3000000\r\n\r\n" + BLOCK * 30
    with bad_server(responds(body), host="::1") as port:
        test_order = order(f"http://[::1]:{port}", limits={"down": 400_000_000})
        rate = Http().run(test_order, TimeLeft(TIME_LIMIT_S))["down"]
    assert isinstance(rate, Rate)
    assert rate.stop in ("complete", "precision")
    assert rate.server == f"[::1]:{port}"


def test_a_chunked_body_is_complete_with_its_last_chunk() -> None:
    """LibreSpeed's PHP sends chunks: without the last one the body is incomplete."""
    chunks = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + (b"186a0\r\n" + BLOCK) * 3
    for end, expected in ((b"0\r\n\r\n", {}), (b"", {"down": "closed_early"})):
        with bad_server(responds(chunks + end)) as port:
            test_order = order(server_of("http", port), limits={"down": 50_000_000})
            assert causes(Http(), test_order) == expected


ONE_BYTE_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nZ\r\n" * 5000


def test_the_lines_of_chunks_are_no_payload() -> None:
    """A body of 5 kB is too short for a rate, although 30 kB are on the wire."""
    with bad_server(responds(HEAD + ONE_BYTE_CHUNKS + b"0\r\n\r\n")) as port:
        test_order = order(server_of("http", port), limits={"down": 50_000_000})
        assert causes(Http(), test_order) == {"down": "bad_answer"}


@pytest.mark.serial
@pytest.mark.slow
def test_a_server_that_stops_reading_is_no_slow_link() -> None:
    """It may confirm an upload early, but must read on; a link's outage is a rate."""
    test_order = order("", limits={"up": LIMIT}, interface=None, connections=1)
    with bad_server(reads_slowly_then_stops) as port:
        test_order = replace(test_order, server=server_of("http", port))
        (error,) = Http().run(test_order, TimeLeft(TIME_LIMIT_S)).values()
    assert isinstance(error, ProbeError)
    assert error.cause == "stalled"
    assert "stopped reading" in error.detail


VALID_BODIES = {
    "chunk extensions": b"Transfer-Encoding: chunked\r\n\r\n"
    + (b"186a0;a=b\r\n" + BLOCK + b"\r\n") * 3
    + b"0;c\r\nX-Checksum: 1\r\n\r\n",
    "until the close": b"Connection: close\r\n\r\n" + BLOCK * 3,
    "a long line": f"{LONG_LINE}Content-Length: 300000\r\n\r\n".encode() + BLOCK * 3,
    "many lines": f"{MANY_LINES}Content-Length: 300000\r\n\r\n".encode() + BLOCK * 3,
}


@pytest.mark.parametrize("body", VALID_BODIES.values(), ids=VALID_BODIES)
def test_every_valid_response_is_measured(body: bytes) -> None:
    """RFC 9112 allows these heads and bodies, so they give a rate."""
    with bad_server(responds(HEAD + body)) as port:
        test_order = order(server_of("http", port), limits={"down": 50_000_000})
        assert causes(Http(), test_order) == {}


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_responses_are_not_the_answer(interim: str, direction: str) -> None:
    """The rate is that of the final response, in both directions."""
    body = b"" if direction == "up" else BLOCK * 3
    final = HEAD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    talk = reads_then_responds(interim.encode(), interim.encode() + final)
    with bad_server(talk) as port:
        limits = {direction: 1_000_000}
        test_order = order(server_of("http", port), limits=limits, interface=None)
        assert causes(Http(), test_order) == {}


def test_a_busy_iperf3_server(tmp_path: Path) -> None:
    """iperf3 serves one client at a time; the second one fails with `busy`."""
    backend("iperf3")
    port = free_port("127.0.0.1")
    with running(["iperf3", "-s", "-p", str(port)]):
        wait_for(port)
        client = ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", "30", "-b", "1M"]
        with running(client) as first:
            wait_until_established(first.pid)
            failures = causes(Iperf3(), order(server_of("iperf3", port)))
    assert failures == {"down": "busy", "up": "busy"}


def test_iperf3_measures_both_directions() -> None:
    """A real server gives a rate in each direction, within the limits."""
    backend("iperf3")
    port = free_port("127.0.0.1")
    with running(["iperf3", "-s", "-p", str(port)]):
        wait_for(port)
        limits = {"down": 4_000_000, "up": 2_000_000}
        test_order = order(server_of("iperf3", port), interface=None, limits=limits)
        with no_child_left():
            results = Iperf3().run(test_order, TimeLeft(TIME_LIMIT_S))
    for direction, limit in test_order.limits.items():
        rate = results[direction]
        assert isinstance(rate, Rate)
        assert 0 < rate.measured_bytes <= limit


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"error": "unable to receive parameters from client"}', "version"),
        ('{"error": "unable to receive results - bad JSON"}', "version"),
        (
            '{"start": {}, "end": {"sum_received": {"bytes": 19999, "seconds": 1.0}}}',
            "stalled",
        ),
        ('{"start": {}, "end": {"sum": {"bytes": 1, "seconds": 1}}}', "version"),
        ('{"start": [], "end": {"sum_received": {"bytes": "many"}}}', "version"),
        ('{"error": "the server is busy running a test. try again later"}', "busy"),
        ('{"error": "this was not known when it was written"}', "bad_answer"),
        ("iperf 2.1.9 (14 March 2023) pthreads", "child_output"),
        ('{"start": {', "child_output"),
        ("[]", "child_output"),
    ],
)
def test_another_iperf3(output: str, expected: str, tmp_path: Path) -> None:
    """Output of other versions, or missing fields, have a cause of their own."""
    program = tmp_path / "iperf3"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\n")
    program.chmod(0o755)
    with nothing_left(WITHIN_S):
        failures = causes(Iperf3(str(program)), order("127.0.0.1"))
    assert failures == {"down": expected, "up": expected}


@pytest.mark.slow
def test_an_iperf3_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """A program that ignores SIGINT is killed in time, with its children."""
    program = tmp_path / "iperf3"
    program.write_text("#!/bin/sh\ntrap '' INT TERM\nsleep 600 & wait; sleep 600\n")
    program.chmod(0o755)
    with nothing_left(WITHIN_S):
        failures = causes(Iperf3(str(program)), order("127.0.0.1"))
    assert set(failures.values()) == {"deadline"}


def test_a_missing_iperf3_is_named() -> None:
    """Without the program the cause is `missing_tool`."""
    failures = causes(Iperf3("no-such-iperf3"), order("127.0.0.1"))
    assert set(failures.values()) == {"missing_tool"}


@contextmanager
def running(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the time of a block."""
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(port: int) -> None:
    """Wait for a listener without connecting, which iperf3 would take for a client."""
    listening = f":{port:04X} 00000000:0000 0A"
    wait_until(
        lambda: (
            listening in Path("/proc/net/tcp").read_text()
            or f":{port:04X} {'0' * 32}:0000 0A" in Path("/proc/net/tcp6").read_text()
        )
    )


def wait_until_established(pid: int) -> None:
    """Wait until a client has both its connections, for control and for data."""
    process = psutil.Process(pid)
    wait_until(
        lambda: (
            sum(
                c.status == psutil.CONN_ESTABLISHED
                for c in process.net_connections(kind="tcp")
            )
            >= 2
        )
    )


def wait_until(met: Callable[[], bool]) -> None:
    """Wait until the condition is met, for five seconds at most."""
    end_s = time.monotonic() + 5
    while not met():
        assert time.monotonic() < end_s, "the condition was not met"
        threading.Event().wait(0.01)
