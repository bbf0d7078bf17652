"""On a network with IPv6 only, every probe measures over IPv6."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from qos_agent.config.settings import WebSection
from qos_agent.model import Link, ProbeResult
from qos_agent.model.errors import NotMeasuredError, ProbeError
from qos_agent.probes.http.connection import HttpClient
from qos_agent.probes.throughput.backend import Rate
from qos_agent.probes.web.page import Web
from qos_agent.system.network import names
from qos_agent.system.network.attempts import Attempts
from qos_agent.system.network.resolvers import Resolvers
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER, SERVER_IPV6, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import LINK, fields, measure, short
from tests.probes.scripted import Client, Scripted, answer, ok
from tests.probes.throughput.bad_server import BLOCK, HEAD, bad_server, responds
from tests.probes.throughput.test_conformance import backend, order
from tests.probes.time_left import TimeLeft
from tests.probes.web import pages, test_upload
from tests.support.waiting import eventually

BOTH = "both.test"
ANCHORS = ("2606:4700:4700::1111", "2001:4860:4860::8888", "2620:fe::fe")


@pytest.fixture
def net(lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a laboratory whose DNS server knows a name of both IP versions."""
    net = lab(Shape())
    net.dns({BOTH: [SERVER, SERVER_IPV6], "four.test": SERVER})
    monkeypatch.setattr(names, "resolvers_of", lambda _: Resolvers((SERVER_IPV6,)))
    return net


@pytest.fixture
def ipv6_only(net: Lab) -> Lab:
    """Remove IPv4 from the client, as on an access network with IPv6 only."""
    net.run(["ip", "-4", "addr", "flush", "dev", "eth0"])
    return net


def serves(client: Client) -> None:
    """Answer a page or an upload."""
    head = client.head()
    client.receive(50_000 if b"PUT" in head else 0)
    client.send(ok("the page") if b"GET" in head else answer("201 Created"))


@contextmanager
def server_at(net: Lab, address: str) -> Iterator[Scripted]:
    with net.enter("server"):
        server = Scripted(serves, address=address)
    with server:
        yield server


def test_latency_uses_the_version_with_a_route(ipv6_only: Lab) -> None:
    """The name has an A record too, which is not tried."""
    values = fields(measure(ipv6_only, short(count=3), BOTH))
    assert (values["address"], values["lost"]) == (SERVER_IPV6, 0)


@pytest.mark.parametrize("host", [SERVER, "four.test"])
def test_an_ipv4_target_is_not_measured(ipv6_only: Lab, host: str) -> None:
    """A version that the network does not offer is no loss."""
    with pytest.raises(NotMeasuredError, match="no_family"):
        measure(ipv6_only, short(count=3), host)


@pytest.mark.parametrize("name", ["page", "form"])
def test_pages_and_uploads_use_the_version_with_a_route(
    ipv6_only: Lab, name: str
) -> None:
    """They succeed at once; the A record is not tried."""
    task = pages.task if name == "page" else test_upload.task
    with server_at(ipv6_only, SERVER_IPV6) as server:
        url = f"http://{BOTH}:{server.port}/"
        page, upload = pages.probe(url), test_upload.probe(50_000)
        probe = page if name == "page" else upload
        result = ipv6_only.call(
            "client", lambda: probe.measure(task(url, link=LINK), TimeLeft(5))
        )
    values = fields(result)
    assert (result.cause, values["ip_version"]) == (None, 6)
    assert float(values["connect_ms"]) < 1000


@pytest.mark.parametrize("host", [SERVER, "four.test"])
def test_a_page_with_ipv4_only_fails_at_once(ipv6_only: Lab, host: str) -> None:
    """The network cannot reach it, and the probe does not wait."""
    page, deadline = pages.task(f"http://{host}/", link=LINK), TimeLeft(5)

    def load() -> ProbeResult:
        return pages.probe(f"http://{host}/").measure(page, deadline)

    result = ipv6_only.call("client", load)
    assert (result.cause, deadline.remaining_s() > 4) == ("no_route", True)
    assert result.detail == "the link has no route for IPv4"


def test_throughput_uses_the_version_with_a_route(ipv6_only: Lab) -> None:
    """All flows use IPv6."""
    body = HEAD + b"Content-Length: 3000000\r\n\r\n" + BLOCK * 30
    with ipv6_only.enter("server"):
        running = bad_server(responds(body), host=SERVER_IPV6)
        port = running.__enter__()
    try:
        server = {"server": f"http://{BOTH}:{port}", "upload_limit": "1MB"}
        script = "import sys; from qos_agent.system.network import names; "
        script += "from qos_agent.system.network.resolvers import Resolvers; "
        script += f"names.resolvers_of = lambda _: Resolvers(({SERVER_IPV6!r},)); "
        script += "from tests.probes.whole import main; main()"
        settings = json.dumps({"throughput": server})
        argv = [sys.executable, "-c", script, "throughput", settings]
        result = json.loads(ipv6_only.run(argv).stdout)
    finally:
        running.__exit__(None, None, None)
    # The server answers no upload; the download over IPv6 moved its bytes.
    assert result["moved_bytes"] > 3_000_000


def test_a_silent_version_is_replaced_by_the_other(net: Lab) -> None:
    """If the first handshake gets no answer, the other version is tried too."""
    net.run(["ip", "route", "add", "blackhole", f"{SERVER}/32"], "router")
    net.run(["ip", "route", "add", "blackhole", "10.77.2.2/32"], "server")
    with server_at(net, SERVER_IPV6) as server:
        url = f"http://{BOTH}:{server.port}/"
        page = pages.task(url, link=LINK)
        probe = Web(WebSection(), HttpClient(ssl.create_default_context(), 5.0))
        result = net.call("client", lambda: probe.measure(page, TimeLeft(9)))
    values = fields(result)
    assert (result.cause, values["ip_version"]) == (None, 6)
    assert 2000 <= float(values["connect_ms"]) < 3500


def test_a_version_that_refuses_is_replaced_at_once(net: Lab) -> None:
    """The other version is tried without a delay; the page is that of IPv6."""
    with server_at(net, SERVER_IPV6) as server:
        url = f"http://{BOTH}:{server.port}/"
        page = pages.task(url, link=LINK)
        result = net.call("client", lambda: pages.probe(url).measure(page, TimeLeft(5)))
    values = fields(result)
    assert (result.cause, values["address"]) == (None, SERVER_IPV6)
    assert float(values["connect_ms"]) < 1000


def test_the_error_is_that_of_the_first_version(net: Lab) -> None:
    """If no version answers, the preferred one gives the cause; nothing is left."""

    def attempt(link: Link = LINK) -> None:
        attempts = Attempts(link, 9, wait_s=0.5, delay_s=0.1)
        attempts.connect(iter([SERVER, SERVER_IPV6]), TimeLeft(5))

    with pytest.raises(ProbeError) as caught:
        net.call("client", attempt)
    assert caught.value.cause == "refused"
    with pytest.raises(ProbeError, match="link_down"):
        net.call("client", partial(attempt, Link("gone", "x", "wwan9")))


def test_iperf3_tries_the_other_version(net: Lab) -> None:
    """The server listens on IPv6 only, and the name has an A record too."""
    tested = backend("iperf3")
    server = net.popen(["iperf3", "-s", "-6", "-B", SERVER_IPV6], "server", stdout=-3)
    limits = {"down": 4_000_000, "up": 2_000_000}
    changes = {"link": LINK, "interface": None, "limits": limits}
    test_order = order(f"{BOTH}:5201", **changes)

    def measured() -> bool:
        results = net.call("client", lambda: tested.run(test_order, TimeLeft(20)))
        return all(isinstance(result, Rate) for result in results.values())

    try:
        eventually(measured)
    finally:
        server.kill()
        server.wait()


def test_without_a_configuration_the_anchors_are_measured_over_ipv6(
    ipv6_only: Lab, tmp_path: Path
) -> None:
    """The default targets work on such a network, and nothing counts as lost."""
    for address in ANCHORS:
        ipv6_only.run(["ip", "addr", "add", f"{address}/128", "dev", "lo"], "server")
    ipv6_only.set_resolvers(SERVER_IPV6)
    environment = {
        "QOS_AGENT_JOURNAL__FOLDER": str(tmp_path / "journal"),
        "QOS_AGENT_LATENCY__COUNT": "3",
        "QOS_AGENT_LATENCY__SPACING": "50ms",
    }
    command = ["env", *(f"{k}={v}" for k, v in environment.items()), sys.executable]
    command += ["-m", "qos_agent"]
    ipv6_only.run([*command, "once", "--probe", "latency"])
    tail = ipv6_only.run([*command, "journal", "tail", "-n", "50"]).stdout
    lines = [line for line in tail.splitlines() if "latency," in line]
    assert len(lines) == 5
    for line in lines:
        assert ",lost=0i" in line
        assert "ip_version=6i" in line
    assert all(any(f'"{address}"' in line for line in lines) for address in ANCHORS)
