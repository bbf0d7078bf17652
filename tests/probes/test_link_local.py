"""Link-local and other special addresses: measured over their interface, or not."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from qos_agent.model import Layer, Link, Outcome, Reading, Target, Task
from qos_agent.model.errors import ProbeError
from qos_agent.probes.envelope import Envelope
from qos_agent.probes.throughput import BACKENDS
from qos_agent.system import network
from qos_agent.system.clock import SystemClock
from qos_agent.system.network import hosts, names
from qos_agent.system.network.resolvers import resolvers_of
from tests.lab.dns import DnsServer
from tests.lab.fixtures import MakeLab
from tests.lab.network import CLIENT, SERVER, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import short
from tests.probes.scripted import Client, Scripted, ok
from tests.probes.throughput.test_conformance import backend, causes, order
from tests.probes.time_left import TimeLeft
from tests.probes.web import pages
from tests.servers.certificates import Authority

LINK = Link("main", "x", "eth0")
ANY = Link("main", "x")


@pytest.fixture
def net(lab: MakeLab) -> Lab:
    """Return a laboratory."""
    return lab(Shape())


def link_local(net: Lab, node: str = "router", device: str = "client") -> str:
    """Return the link-local address of an interface."""
    show = ["ip", "-j", "-6", "address", "show", "dev", device, "scope", "link"]
    (shown,) = json.loads(net.run(show, node).stdout)  # type: ignore[arg-type]
    return next(str(info["local"]) for info in shown["addr_info"] if info)


def reading(
    net: Lab,
    host: str,
    link: Link = LINK,
    method: str = "icmp",
    port: int | None = None,
) -> Reading:
    """Run one train as the agent does and return its reading."""
    envelope = Envelope(SystemClock(0), threading.Event())
    target = Target("there", host, Layer.ANCHOR, method, port)
    task = Task("latency", 0, link, target)
    return net.call("client", lambda: envelope.run(short(count=3), task))


@pytest.mark.parametrize("zone", ["", "%eth0", "index"])
@pytest.mark.parametrize("link", [LINK, ANY], ids=["interface", "no interface"])
def test_a_link_local_target_is_measured_over_its_interface(
    net: Lab, zone: str, link: Link
) -> None:
    """Without a zone it is on the interface of the link; a zone may be a number."""
    if zone == "index":
        zone = f"%{net.run(['cat', '/sys/class/net/eth0/ifindex']).stdout.strip()}"
    address = link_local(net)
    fields = reading(net, address + zone, link).samples[0].fields
    assert (fields["address"], fields["received"]) == (f"{address}%eth0", 3)


def test_a_source_address_reaches_a_link_local_target(net: Lab) -> None:
    """The kernel's route is asked for the interface in the zone."""
    own = f"{link_local(net, 'client', 'eth0')}%eth0"
    link = Link("main", "x", source_address=own)
    fields = reading(net, link_local(net), link).samples[0].fields
    assert fields["received"] == 3


GONE = Link("main", "x", "wwan9")
UNUSABLE = [
    ("fe80::1%wwan9", ANY, "link_down"),
    ("fe80::1%wwan9", GONE, "link_down"),
    ("fe80::1", GONE, "link_down"),
    ("fe80::1%99999", ANY, "link_down"),
    ("fe80::1%wwan9", LINK, "bad_address"),
    ("fe80::1%lo", LINK, "bad_address"),
    ("0.0.0.0", LINK, "bad_address"),
    ("::", LINK, "bad_address"),
    ("255.255.255.255", LINK, "bad_address"),
    ("10.77.2.255", LINK, "bad_address"),
    ("224.0.0.1", LINK, "bad_address"),
    ("ff02::1", LINK, "bad_address"),
    ("::ffff:255.255.255.255", LINK, "bad_address"),
    ("2001:db8::1%eth0", LINK, "bad_address"),
    (CLIENT, LINK, "bad_address"),
    ("127.0.0.1", LINK, "bad_address"),
    ("::ffff:127.0.0.1", LINK, "bad_address"),
    ("::1", LINK, "bad_address"),
]


@pytest.mark.parametrize("method", ["icmp", "tcp", "stamp"])
def test_an_address_that_cannot_be_used(net: Lab, method: str) -> None:
    """The cause is never an internal error; only a missing interface is loss."""
    for host, link, cause in UNUSABLE:
        result = reading(net, host, link, method, 80)
        assert (host, result.outcome, result.cause) == (host, Outcome.FAILED, cause)
        unsent = result.samples[0].fields.get(
            "tcp_unsent" if method == "tcp" else "unsent"
        )
        assert unsent == (3 if cause == "link_down" else None)


def test_without_any_route_a_link_local_target_has_no_interface(net: Lab) -> None:
    """No default route tells the interface of the link, so the link is down."""
    net.run(["ip", "route", "del", "default"])
    net.run(["ip", "-6", "route", "del", "default"])
    result = reading(net, "fe80::1", ANY)
    assert (result.cause, result.samples[0].fields["unsent"]) == ("no_route", 3)


@pytest.mark.parametrize("method", ["icmp", "tcp"])
def test_ipv4_in_ipv6_is_measured_over_ipv4(net: Lab, method: str) -> None:
    """The reading names the address that the packets have."""
    with net.enter("server"):
        server = Scripted(lambda client: client.hold(), address=SERVER)
    with server:
        result = reading(net, f"::ffff:{SERVER}", LINK, method, server.port)
    fields = result.samples[0].fields
    assert (fields["address"], fields["ip_version"]) == (SERVER, 4)
    assert result.outcome == Outcome.OK


@contextmanager
def page_at_router(
    net: Lab, heads: list[bytes], context: ssl.SSLContext | None = None
) -> Iterator[Scripted]:
    def serve(client: Client) -> None:
        heads.append(client.head())
        client.send(ok("hello"))

    with net.enter("router"):
        server = Scripted(serve, context, address=f"{link_local(net)}%client")
    with server:
        yield server


@pytest.mark.parametrize("zone", ["", "%25eth0"])
def test_a_page_of_a_link_local_server(net: Lab, zone: str) -> None:
    """The zone selects the interface, and the server does not see it (RFC 6874)."""
    heads: list[bytes] = []
    address = link_local(net)
    with page_at_router(net, heads) as server:
        url = f"http://[{address}{zone}]:{server.port}/"
        load = partial(pages.load, pages.probe(url), pages.task(url, link=LINK))
        result = net.call("client", load)
    assert result.cause is None
    assert pages.fields_of(result)["address"] == f"{address}%eth0"
    assert f"Host: [{address}]:{server.port}\r\n".encode() in heads[0]


def test_a_certificate_has_the_address_without_its_zone(
    net: Lab, tmp_path: Path
) -> None:
    """The authority that issued it does not know the interfaces of this device."""
    address, authority = link_local(net), Authority(tmp_path)
    tls = authority.server_context(names=(address,))
    with page_at_router(net, [], tls) as server:
        url = f"https://[{address}%25eth0]:{server.port}/"
        probe = pages.probe(url, context=authority.client_context())
        load = partial(pages.load, probe, pages.task(url, link=LINK))
        assert net.call("client", load).cause is None


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("zone", ["", "%eth0"])
def test_throughput_servers_with_a_link_local_address(
    net: Lab, name: str, zone: str
) -> None:
    """A port without a listener is `refused`, so the address was reached."""
    address = f"[{link_local(net)}{zone}]:9"
    url = f"http://{address.replace('%', '%25')}"
    test_order = order(address if name == "iperf3" else url, link=LINK)
    found = net.call("client", lambda: causes(backend(name), test_order))
    assert found == {"down": "refused", "up": "refused"}


@pytest.mark.parametrize("zone", ["", "%eth0", "%2", "%3", "%wwan9"])
def test_a_name_server_with_a_link_local_address(
    net: Lab, zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """resolv.conf may have its zone as a name or a number; others are left out."""
    address = link_local(net)
    index = net.run(["cat", "/sys/class/net/eth0/ifindex"]).stdout.strip()
    (tmp_path / "etc").mkdir()
    text = f"nameserver {address}{zone}\nnameserver {SERVER}\n"
    (tmp_path / "etc/resolv.conf").write_text(text)
    monkeypatch.setattr(names, "resolvers_of", partial(resolvers_of, root=tmp_path))
    usable = zone in ("", "%eth0", f"%{index}")
    known = net.call("client", lambda: resolvers_of(LINK, tmp_path).servers)
    assert known == ((f"{address}%eth0", SERVER) if usable else (SERVER,))
    records = {"a.test": SERVER}
    if usable:
        router = [f"{address}%client"]
        with net.call("router", lambda: DnsServer(records, router)) as server:
            fields = reading(net, "a.test").samples[0].fields
            assert fields["received"] == 3
            assert server.questions
        resolver = reading(net, "@resolver").samples[0].fields
        assert (resolver["address"], resolver["lost"]) == (f"{address}%eth0", 0)


def test_an_interface_that_vanishes_is_link_down(net: Lab) -> None:
    """The address of a socket has the error of the device, not an internal one."""
    with pytest.raises(OSError, match="no such interface") as caught:
        network.socket_address("fe80::1%wwan9", 80)
    assert network.cause_of(caught.value) == "link_down"


def test_a_link_local_name_in_etc_hosts_gets_the_interface(
    net: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address of no host in the file is refused."""
    address = link_local(net)
    listed = {"router.test": (address,), "all.test": ("255.255.255.255",)}
    find = partial(dict.get, listed)
    monkeypatch.setattr(hosts, "addresses_of", lambda host: find(host, ()))

    def resolve(host: str) -> str:
        return net.call("client", lambda: network.resolve(host, LINK, TimeLeft(5)))

    assert resolve("router.test") == f"{address}%eth0"
    with pytest.raises(ProbeError, match="bad_address"):
        resolve("all.test")
