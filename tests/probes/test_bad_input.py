"""The whole slot: failed with its cause, in time, nothing left, each byte counted.

All causes are held one by one in the tests of each probe.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fixtures import require_tools
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import (
    Answer,
    answering,
    await_true,
    wrong_stamp,
)
from tests.probes.throughput.bad_server import (
    HEAD,
    LONG,
    Talk,
    bad_server,
    breaks_tls,
    breaks_tls_after,
    drips,
    resets,
    says,
    silent,
)
from tests.servers.certificates import Authority, Fault
from tests.support.requirement import require

FORM_BYTES = 1_000_000
PAGE = HEAD.replace(b"application/octet-stream", b"text/html")
TALKS: dict[str, Talk] = {
    "resets": resets,
    "drips": drips,
    "lies": says(LONG + b"half"),
    "redirects": says(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n"),
    "a page": says(PAGE + b"Content-Length: 19\r\n\r\n<html>Log in</html>"),
    "a portal": says(b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n"),
}


@pytest.fixture(scope="module")
def net() -> Iterator[Lab]:
    """A laboratory in which nobody speaks but the slot under test."""
    require_tools()
    with Lab(Shape(ipv6=False)) as lab:
        yield lab


def slot(net: Lab, probe: str, **settings: object) -> dict[str, Any]:
    """What `tests.probes.whole` says of one slot."""
    argv = [sys.executable, "-m", "tests.probes.whole", probe, json.dumps(settings)]
    found: dict[str, Any] = json.loads(net.run(argv).stdout)
    return found


def section(probe: str, url: str, ca_file: Path | None = None) -> dict[str, object]:
    """The probe's own, against one server, with little time."""
    given: dict[str, dict[str, object]] = {
        "throughput": {"server": url, "time_limit": "4s"},
        "web": {"pages": [{"name": "page", "url": url, "text": "forms"}]},
        "form": {"url": url, "size": f"{FORM_BYTES}B"},
    }
    trust = {} if ca_file is None else {"ca_file": str(ca_file)}
    return {"time_limit": "2s", **given[probe], **trust}


@contextmanager
def served(net: Lab, talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A bad server in the laboratory's own; gives where it is."""
    with net.enter("server"):
        server = bad_server(talk, tls, SERVER)
        port = server.__enter__()
    try:
        yield f"{SERVER}:{port}"
    finally:
        server.__exit__(None, None, None)


def assert_failed(found: dict[str, Any], cause: str) -> None:
    """By that cause, within the deadline, with nothing left."""
    assert (found["outcome"], found["cause"]) == ("failed", cause)
    assert found["left_s"] > -0.5
    assert [found[name] for name in ("files", "threads", "children")] == [0, 0, 0]


def assert_clean(found: dict[str, Any], cause: str) -> None:
    """Failed so, and every byte counted: by the reading and by the allowance."""
    assert_failed(found, cause)
    # What comes after a reset is no longer looked at; ARP is nobody's.
    assert found["told_bytes"] == pytest.approx(found["moved_bytes"], rel=0.03, abs=300)
    assert found["spent_bytes"] == pytest.approx(found["told_bytes"], rel=0.03, abs=300)
    assert found["moved_bytes"] > 0


@pytest.mark.parametrize(
    ("probe", "talk", "cause"),
    [
        ("throughput", "resets", "reset"),
        ("throughput", "drips", "stalled"),
        ("throughput", "lies", "closed_early"),
        ("throughput", "redirects", "redirected"),
        ("throughput", "a page", "captive_portal"),
        ("throughput", "a portal", "captive_portal"),
        ("web", "resets", "reset"),
        ("web", "drips", "deadline"),
        ("web", "lies", "closed_early"),
        ("web", "redirects", "redirected"),
        ("web", "a page", "captive_portal"),
        ("web", "a portal", "captive_portal"),
        ("form", "resets", "reset"),
        ("form", "drips", "deadline"),
        ("form", "lies", "closed_early"),
        ("form", "redirects", "redirected"),
        ("form", "a page", "captive_portal"),
        ("form", "a portal", "captive_portal"),
    ],
)
def test_a_bad_server(net: Lab, probe: str, talk: str, cause: str) -> None:
    """Each way for a server to be bad, for each probe of servers."""
    with served(net, TALKS[talk]) as place:
        found = slot(net, probe, **{probe: section(probe, f"http://{place}/")})
    assert_clean(found, cause)


@pytest.mark.parametrize("probe", ["throughput", "web", "form"])
def test_a_server_that_is_gone(net: Lab, probe: str) -> None:
    """Nobody listens."""
    plain = section(probe, f"http://{SERVER}:9/")
    assert_clean(slot(net, probe, **{probe: plain}), "refused")


@pytest.mark.parametrize(
    ("probe", "talk", "fault", "cause"),
    [
        ("throughput", breaks_tls, "none", "tls"),
        ("web", breaks_tls, "none", "tls"),
        ("form", breaks_tls_after(FORM_BYTES), "none", "tls"),
        ("throughput", silent, "expired", "tls_expired"),
        ("web", silent, "expired", "tls_expired"),
        ("form", silent, "expired", "tls_expired"),
    ],
)
def test_bad_tls(
    net: Lab, tmp_path: Path, probe: str, talk: Talk, fault: Fault, cause: str
) -> None:
    """TLS that breaks in the middle, and a certificate that has expired."""
    authority = Authority(tmp_path)
    context = authority.server_context(fault, (SERVER,))
    with served(net, talk, context) as place:
        plain = section(probe, f"https://{place}/", authority.file)
        found = slot(net, probe, **{probe: plain})
    assert_clean(found, cause)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda data: [wrong_stamp(data)], "forged"),
        (lambda data: [], "timeout"),
    ],
    ids=["forged", "silent"],
)
def test_a_bad_reflector(net: Lab, answer: Answer, cause: str) -> None:
    """A train costs the allowance its worst case, which is more than it moved."""
    target = {"name": "there", "host": SERVER, "layer": "anchor", "method": "stamp"}
    with answering(net, answer):
        train = {"count": 5, "spacing": "0.1s"}
        found = slot(net, "latency", latency=train, targets=[target])
    assert_failed(found, cause)
    assert 0 < found["moved_bytes"] <= found["spent_bytes"]


IPERF3 = ["iperf3", "--server", "--port", "5201"]


@contextmanager
def iperf3(net: Lab) -> Iterator[subprocess.Popen[Any]]:
    """A real server, listening."""
    require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    server = net.popen(IPERF3, "server", stdout=subprocess.DEVNULL)
    listening = ["ss", "-Hltn", "sport = :5201"]
    await_true(lambda: "5201" in net.run(listening, "server").stdout)
    try:
        yield server
    finally:
        server.kill()
        server.wait(5)


def by_iperf3(net: Lab) -> dict[str, Any]:
    """A slot of the backend alone, twenty seconds at most."""
    given = {"backends": ["iperf3"], "iperf3_server": SERVER, "time_limit": "20s"}
    return slot(net, "throughput", throughput=given)


def test_a_busy_iperf3(net: Lab) -> None:
    """Another client is being served: both directions fail, for some packets."""
    with iperf3(net):
        first = net.popen(
            ["iperf3", "-c", SERVER, "-t", "60", "-b", "1k"], "router",
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        streams = ["ss", "-Htn", "state", "established", "sport = :5201"]
        await_true(lambda: len(net.run(streams, "server").stdout.splitlines()) == 2, 10)
        found = by_iperf3(net)
        first.kill()
        first.wait(5)
    assert_clean(found, "busy")


def test_an_iperf3_that_dies_in_the_middle(net: Lab) -> None:
    """Killed with its download half done, and gone for the upload."""
    net.set_rate(4)
    try:
        with iperf3(net) as server, ThreadPoolExecutor(1) as pool:
            before = net.interface_bytes("client", "rx")
            running = pool.submit(by_iperf3, net)
            await_true(
                lambda: net.interface_bytes("client", "rx") > before + 1_000_000, 15
            )
            server.kill()
            found = running.result()
    finally:
        net.set_rate(None)
    assert found["moved_bytes"] > 1_000_000
    assert_clean(found, "closed_early")
