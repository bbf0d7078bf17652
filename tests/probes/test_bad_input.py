"""A whole slot fails with the correct cause, in time, with every byte counted.

It leaves no open file, thread or process. The tests of each probe check each cause.
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
    responds,
    silent,
)
from tests.servers.certificates import Authority, Fault
from tests.support.requirement import require
from tests.support.waiting import eventually

FORM_BYTES = 1_000_000
PAGE = HEAD.replace(b"application/octet-stream", b"text/html")
TALKS: dict[str, Talk] = {
    "resets": resets,
    "drips": drips,
    "truncates": responds(LONG + b"half"),
    "redirects": responds(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n"),
    "a page": responds(PAGE + b"Content-Length: 19\r\n\r\n<html>Log in</html>"),
    "a portal": responds(
        b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n"
    ),
}


@pytest.fixture(scope="module")
def net() -> Iterator[Lab]:
    """Return a laboratory without traffic other than that of the slot under test."""
    require_tools()
    with Lab(Shape(ipv6=False)) as lab:
        yield lab


def slot(net: Lab, probe: str, **settings: object) -> dict[str, Any]:
    """Return the output of `tests.probes.whole` for one slot."""
    argv = [sys.executable, "-m", "tests.probes.whole", probe, json.dumps(settings)]
    result: dict[str, Any] = json.loads(net.run(argv).stdout)
    return result


def section(probe: str, url: str, ca_file: Path | None = None) -> dict[str, object]:
    """Return the section of a probe for one server, with a short time limit."""
    sections: dict[str, dict[str, object]] = {
        "throughput": {"server": url, "time_limit": "4s"},
        "web": {"pages": [{"name": "page", "url": url, "text": "forms"}]},
        "form": {"url": url, "size": f"{FORM_BYTES}B"},
    }
    trust = {} if ca_file is None else {"ca_file": str(ca_file)}
    return {"time_limit": "2s", **sections[probe], **trust}


@contextmanager
def served(net: Lab, talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run a bad server in the laboratory; yield its host and port."""
    with net.enter("server"):
        server = bad_server(talk, tls, SERVER)
        port = server.__enter__()
    try:
        yield f"{SERVER}:{port}"
    finally:
        server.__exit__(None, None, None)


def assert_failed(result: dict[str, Any], cause: str) -> None:
    """Assert that the slot failed with this cause, in time, with nothing left."""
    assert (result["outcome"], result["cause"]) == ("failed", cause)
    assert result["left_s"] > -0.5
    assert [result[name] for name in ("files", "threads", "children")] == [0, 0, 0]


def assert_clean(result: dict[str, Any], cause: str) -> None:
    """Assert also that the reading and the allowance count every byte."""
    assert_failed(result, cause)
    # Packets after a reset are not counted any more; ARP belongs to no slot.
    assert result["reported_bytes"] == pytest.approx(
        result["moved_bytes"], rel=0.03, abs=300
    )
    assert result["spent_bytes"] == pytest.approx(
        result["reported_bytes"], rel=0.03, abs=300
    )
    assert result["moved_bytes"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("probe", "talk", "cause"),
    [
        ("throughput", "resets", "reset"),
        ("throughput", "drips", "stalled"),
        ("throughput", "truncates", "closed_early"),
        ("throughput", "redirects", "redirected"),
        ("throughput", "a page", "captive_portal"),
        ("throughput", "a portal", "captive_portal"),
        ("web", "resets", "reset"),
        ("web", "drips", "deadline"),
        ("web", "truncates", "closed_early"),
        ("web", "redirects", "redirected"),
        ("web", "a page", "captive_portal"),
        ("web", "a portal", "captive_portal"),
        ("form", "resets", "reset"),
        ("form", "drips", "deadline"),
        ("form", "truncates", "closed_early"),
        ("form", "redirects", "redirected"),
        ("form", "a page", "captive_portal"),
        ("form", "a portal", "captive_portal"),
    ],
)
def test_a_bad_server(net: Lab, probe: str, talk: str, cause: str) -> None:
    """Each fault of a server has its cause, for each probe that uses servers."""
    with served(net, TALKS[talk]) as address:
        result = slot(net, probe, **{probe: section(probe, f"http://{address}/")})
    assert_clean(result, cause)


@pytest.mark.slow
@pytest.mark.parametrize("probe", ["throughput", "web", "form"])
def test_a_server_that_is_gone(net: Lab, probe: str) -> None:
    """A port without a listener is the cause `refused`."""
    settings = section(probe, f"http://{SERVER}:9/")
    assert_clean(slot(net, probe, **{probe: settings}), "refused")


@pytest.mark.slow
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
    """Broken TLS records and an expired certificate have causes of their own."""
    authority = Authority(tmp_path)
    context = authority.server_context(fault, (SERVER,))
    with served(net, talk, context) as address:
        settings = section(probe, f"https://{address}/", authority.file)
        result = slot(net, probe, **{probe: settings})
    assert_clean(result, cause)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda data: [wrong_stamp(data)], "forged"),
        (lambda data: [], "timeout"),
    ],
    ids=["forged", "silent"],
)
def test_a_bad_reflector(net: Lab, answer: Answer, cause: str) -> None:
    """The allowance counts the worst case of a train, more than it moved."""
    target = {"name": "there", "host": SERVER, "layer": "anchor", "method": "stamp"}
    with answering(net, answer):
        train = {"count": 5, "spacing": "0.1s"}
        result = slot(net, "latency", latency=train, targets=[target])
    assert_failed(result, cause)
    assert 0 < result["moved_bytes"] <= result["spent_bytes"]


IPERF3 = ["iperf3", "--server", "--port", "5201"]


@contextmanager
def iperf3(net: Lab) -> Iterator[subprocess.Popen[Any]]:
    """Run a real server, and wait until it listens."""
    require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    server = net.popen(IPERF3, "server", stdout=subprocess.DEVNULL)
    listening = ["ss", "-Hltn", "sport = :5201"]
    eventually(lambda: "5201" in net.run(listening, "server").stdout, 5)
    try:
        yield server
    finally:
        server.kill()
        server.wait(5)


def by_iperf3(net: Lab) -> dict[str, Any]:
    """Run a slot with this backend alone and a limit of 20 s."""
    settings = {"backends": ["iperf3"], "iperf3_server": SERVER, "time_limit": "20s"}
    return slot(net, "throughput", throughput=settings)


def test_a_busy_iperf3(net: Lab) -> None:
    """If the server serves another client, both directions fail with `busy`."""
    with iperf3(net):
        client = ["iperf3", "-c", SERVER, "-t", "60", "-b", "1k"]
        first = net.popen(client, "router", stdout=subprocess.DEVNULL)
        streams = ["ss", "-Htn", "state", "established", "sport = :5201"]
        eventually(lambda: len(net.run(streams, "server").stdout.splitlines()) == 2, 10)
        result = by_iperf3(net)
        first.kill()
        first.wait(5)
    assert_clean(result, "busy")


@pytest.mark.slow
def test_an_iperf3_that_dies_in_the_middle(net: Lab) -> None:
    """A server that is killed during the download is gone for the upload."""
    net.set_rate(4)
    try:
        with iperf3(net) as server, ThreadPoolExecutor(1) as pool:
            before = net.interface_bytes("client", "rx")
            running = pool.submit(by_iperf3, net)
            eventually(
                lambda: net.interface_bytes("client", "rx") > before + 1_000_000, 15
            )
            server.kill()
            result = running.result()
    finally:
        net.set_rate(None)
    assert result["moved_bytes"] > 1_000_000
    assert_clean(result, "closed_early")
