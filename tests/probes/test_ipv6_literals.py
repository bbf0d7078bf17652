"""IPv6 addresses in URLs and servers, used on the loopback interface."""

from __future__ import annotations

import pytest

from qos_agent.probes.http.request import RequestTarget
from qos_agent.probes.throughput import BACKENDS
from qos_agent.probes.throughput.backend import Rate
from qos_agent.probes.throughput.connection import ServerEndpoint
from qos_agent.probes.throughput.iperf3 import Iperf3
from tests.probes.throughput.test_conformance import (
    TIME_LIMIT_S,
    backend,
    causes,
    order,
    running,
)
from tests.probes.time_left import TimeLeft
from tests.probes.web.pages import fields_of, load, probe, task
from tests.servers.namespace import free_port
from tests.servers.raw import raw_server
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    ("url", "host", "header"),
    [
        ("http://[2001:db8::1]:8080/a", "2001:db8::1", b"Host: [2001:db8::1]:8080\r\n"),
        ("https://[2001:db8::1]/", "2001:db8::1", b"Host: [2001:db8::1]\r\n"),
        ("http://[fe80::1%25eth0]/", "fe80::1%eth0", b"Host: [fe80::1]\r\n"),
        ("http://[fe80::1%25eth0]:81/", "fe80::1%eth0", b"Host: [fe80::1]:81\r\n"),
        ("http://me@[fe80::1%eth0]:81/", "fe80::1%eth0", b"Host: [fe80::1]:81\r\n"),
        ("http://example.org/", "example.org", b"Host: example.org\r\n"),
    ],
)
def test_the_host_of_a_request(url: str, host: str, header: bytes) -> None:
    """The socket gets the address, and the Host header the form of the URL."""
    target = RequestTarget.of(url)
    assert target.host == host
    assert header in target.head("GET")
    endpoint = ServerEndpoint(target, host, False, "", "/", None)
    assert header in endpoint.request("GET", "garbage.php")


def test_a_redirect_of_the_same_address_is_no_portal() -> None:
    """A path is relative to the address with its brackets."""
    target = RequestTarget.of("http://[2001:db8::1]:8080/")
    assert target.redirect_error("/login").cause == "redirected"
    assert target.redirect_error("http://[2001:db8::2]/").cause == "captive_portal"
    with_zone = RequestTarget.of("http://[fe80::1%25eth0]/")
    assert with_zone.redirect_error("http://[fe80::1]/login").cause == "redirected"


def test_a_page() -> None:
    """The page of a server with an IPv6 address is loaded."""
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    with raw_server(response, address="::1") as server:
        fields = fields_of(load(probe(server.url), task(server.url)))
    assert (fields["address"], fields["ip_version"]) == ("::1", 6)
    assert fields["body_bytes"] == 5


@pytest.mark.parametrize("name", BACKENDS)
def test_throughput_backends_connect_to_the_address(name: str) -> None:
    """A port without a listener is `refused`, so the address was understood."""
    address = f"[::1]:{free_port('::1')}"
    server = address if name == "iperf3" else f"http://{address}"
    expected = {"down": "refused", "up": "refused"}
    assert causes(backend(name), order(server)) == expected


def test_iperf3() -> None:
    """A real server gives a rate in each direction."""
    backend("iperf3")
    port = free_port("::1")
    with running(["iperf3", "-s", "-B", "::1", "-p", str(port)]):
        limits = {"down": 4_000_000, "up": 2_000_000}
        test_order = order(f"[::1]:{port}", interface=None, limits=limits)

        def measured() -> bool:
            results = Iperf3().run(test_order, TimeLeft(TIME_LIMIT_S))
            return all(isinstance(result, Rate) for result in results.values())

        eventually(measured)
