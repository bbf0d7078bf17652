"""Sockets and name queries of a link leave by that link, within the deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.system import network
from qos_agent.system.network import names, routes
from qos_agent.system.network.names import AddressBook, resolve
from tests.lab.dns import Behaviour
from tests.lab.fixtures import MakeLab
from tests.lab.network import CLIENT, GATEWAY, GATEWAY_IPV6, SERVER, Lab
from tests.lab.shape import Shape
from tests.probes.time_left import TimeLeft

LINK = Link("main", "x", "eth0")
SECOND = "10.78.0.2"


@pytest.fixture
def net(lab: MakeLab) -> Lab:
    """Return a laboratory whose client has a second interface without a far end."""
    net = lab(Shape())
    net.run(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "far"])
    net.run(["ip", "addr", "add", f"{SECOND}/24", "dev", "eth1"])
    for name in ("eth1", "far"):
        net.run(["ip", "link", "set", name, "up"])
    return net


@pytest.fixture
def client(net: Lab) -> Iterator[Lab]:
    """Return the same laboratory, with this thread in the client's namespace."""
    with net.enter("client"):
        yield net


def bound(link: Link, destination: str = SERVER) -> socket.socket:
    """Return a connected UDP socket that is bound to the link."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    try:
        network.bind(sock, link, destination)
        sock.connect((destination, 9))
    except BaseException:
        sock.close()
        raise
    return sock


def test_a_bound_socket_leaves_by_its_interface_or_not_at_all(client: Lab) -> None:
    """Packets of eth0's link pass the router; those of eth1's link never do."""
    with bound(LINK) as sock:
        sock.send(b"here")
    assert client.udp("forward", 9) == 1
    # Without a route on the device Linux treats the destination as a neighbour.
    with bound(Link("other", "x", "eth1")) as sock:
        sock.send(b"there")
    assert client.udp("forward", 9) == 1


def test_a_missing_interface_is_link_down(client: Lab) -> None:
    """An interface that does not exist is the cause `link_down`."""
    with pytest.raises(ProbeError, match="link_down"):
        bound(Link("gone", "x", "wwan9"))


def test_a_source_address_must_leave_by_its_own_interface(client: Lab) -> None:
    """A source address of eth1 that would leave by eth0 is refused; eth0's is not."""
    with bound(Link("main", "x", source_address=CLIENT)) as sock:
        assert sock.getsockname()[0] == CLIENT
    with pytest.raises(ProbeError, match="leaves by eth0") as caught:
        bound(Link("other", "x", source_address=SECOND))
    assert caught.value.cause == "binding"


def test_a_source_address_works_with_a_routing_rule(client: Lab) -> None:
    """A rule routes packets from this source through its own interface."""
    for rule in (
        "ip route add default dev eth1 table 7",
        f"ip rule add from {SECOND} table 7",
    ):
        client.run(rule.split())
    with bound(Link("other", "x", source_address=SECOND)) as sock:
        assert sock.getsockname()[0] == SECOND


def test_an_address_of_another_device_is_refused(client: Lab) -> None:
    """A source address that this device does not have is the cause `binding`."""
    with pytest.raises(ProbeError, match="binding"):
        bound(Link("other", "x", source_address="10.99.0.1"))


def test_the_default_route_has_the_lowest_metric(client: Lab) -> None:
    """IPv4 comes before IPv6; without a usable route the result is None."""
    assert network.default_route() == network.Route("eth0", GATEWAY)
    assert network.default_route("eth1") is None
    second = "ip route add default via 10.78.0.9 dev eth1 metric 50"
    client.run(second.split())
    assert network.default_route("eth1") == network.Route("eth1", "10.78.0.9")
    assert network.default_route() == network.Route("eth0", GATEWAY)
    client.run(["ip", "route", "del", "default", "dev", "eth1"])
    client.run(["ip", "route", "del", "default", "dev", "eth0"])
    assert network.default_route() == network.Route("eth0", GATEWAY_IPV6)
    client.run(
        ["ip", "-6", "route", "replace", "default", "via", "fe80::1", "dev", "eth0"]
    )
    assert network.default_route("eth0") == network.Route("eth0", "fe80::1%eth0")
    client.run(["ip", "-6", "route", "del", "default"])
    client.run(["ip", "-6", "route", "add", "unreachable", "default"])
    assert network.default_route() is None


def test_a_point_to_point_link_has_its_first_router_found(client: Lab) -> None:
    """If the route contains no gateway, the router of the first hop is the gateway."""
    client.run(["ip", "route", "replace", "default", "dev", "eth0", "scope", "link"])
    # The router answers ARP for every address of the link, as a modem's far end does.
    client.run(["sysctl", "-qw", "net.ipv4.conf.client.proxy_arp=1"], "router")
    assert network.default_route("eth0") == network.Route("eth0", None)
    assert network.resolve(network.GATEWAY, LINK, TimeLeft(5)) == GATEWAY


def look_up(net: Lab, query: Callable[[], str]) -> str:
    return net.call("client", query)


def test_a_name_resolves_to_ipv4_first(net: Lab) -> None:
    """IPv4 is preferred; IPv6 is used if the name has no IPv4 address."""
    net.dns({"both.test": ["10.1.1.1", "fd00::1"], "six.test": "fd00::6"})

    def query(name: str) -> str:
        return net.call(
            "client", lambda: resolve(name, LINK, TimeLeft(5), servers=(SERVER,))
        )

    assert (query("both.test"), query("six.test")) == ("10.1.1.1", "fd00::6")


def test_every_server_is_queried_within_the_deadline(net: Lab) -> None:
    """Two silent servers leave time for the third."""
    net.dns({"a.test": "10.1.1.1"})
    servers = ("10.77.1.77", "10.77.1.78", SERVER)
    start = time.monotonic()
    address = net.call(
        "client", lambda: resolve("a.test", LINK, TimeLeft(9), 1.5, servers)
    )
    assert address == "10.1.1.1"
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("behaviour", [Behaviour.SILENT, Behaviour.SERVFAIL])
def test_the_last_good_address_is_kept_when_dns_fails(
    net: Lab, behaviour: Behaviour
) -> None:
    """The result contains the last address and the failure of this resolution."""
    server, book = net.dns({"a.test": "10.1.1.1"}), AddressBook(servers=(SERVER,))

    def query(link: Link) -> network.Resolved:
        return net.call(
            "client", lambda: book.resolve("a.test", link, TimeLeft(9), 0.5)
        )

    assert not query(LINK).failed
    server.behaviour = behaviour
    resolved = query(LINK)
    assert (resolved.address, resolved.failed) == ("10.1.1.1", True)
    assert resolved.resolve_ms is not None
    with pytest.raises(ProbeError, match="name_not_resolved"):
        query(Link("another", "x", "eth0"))


def test_a_name_is_resolved_again_each_time(net: Lab) -> None:
    """A change of the address takes effect at the next resolution."""
    book = AddressBook(servers=(SERVER,))

    def query() -> str:
        return book.resolve("a.test", LINK, TimeLeft(9)).address

    with net.dns({"a.test": "10.1.1.1"}):
        assert look_up(net, query) == "10.1.1.1"
    net.dns({"a.test": "10.1.1.2"})
    assert look_up(net, query) == "10.1.1.2"


def test_a_link_that_sends_no_query_is_the_cause(net: Lab) -> None:
    """If no query could be sent, the cause is the link or the route, not the name."""
    net.run(["ip", "route", "del", "default"])
    for link, cause in (
        (Link("gone", "x", "wwan9"), "link_down"),
        (Link("main", "x"), "no_route"),
        (Link("other", "x", source_address="10.99.0.1"), "binding"),
    ):

        def query(link: Link = link) -> str:
            return resolve("a.test", link, TimeLeft(5), 1.0, (SERVER,))

        with pytest.raises(ProbeError) as caught:
            look_up(net, query)
        assert caught.value.cause == cause


def test_an_address_needs_no_query(net: Lab) -> None:
    """An address is returned as it is, without a time to resolve."""
    resolved = AddressBook(servers=()).resolve("10.1.1.1", LINK, TimeLeft(1))
    assert resolved == network.Resolved("10.1.1.1")


@pytest.mark.parametrize(
    ("content", "servers"),
    [
        (b"# caf\xe9\nnameserver 10.0.0.1\n", ("10.0.0.1",)),
        (b"nameserver caf\xe9\nnameserver fe80::1%eth0\n", ("fe80::1%eth0",)),
        (b"nameserver\nnameserver name.test\n", ("10.0.0.9",)),
        (b"\xff\xfe\x00" * 99, ("10.0.0.9",)),
        (b"\n" * 2_000_000, ("10.0.0.9",)),
    ],
)
def test_an_odd_resolv_conf_hides_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, servers: object
) -> None:
    """Bytes that are not UTF-8 and servers that are no addresses are passed over."""
    first, second = tmp_path / "resolved.conf", tmp_path / "resolv.conf"
    first.write_bytes(content)
    second.write_text("nameserver 10.0.0.9\n")
    monkeypatch.setattr(names, "_RESOLV_CONF", (first, second))
    assert network.resolvers() == servers


@pytest.mark.parametrize(
    "odd",
    [
        b"\xff\xfe\x00\n",
        b"eth0 00000000 xyz 0003 0 0 0 00000000 0 0 0\n",
        b"eth0\n",
        b"0 00 0 0 0 0 0 0 0 eth0\n",
        b"0 00 0 0 fe80 zz 0 0 0 eth0\n",
        b"",
    ],
)
@pytest.mark.parametrize("name", ["route", "ipv6_route"])
def test_an_odd_line_hides_no_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: bytes, name: str
) -> None:
    """A line that the kernel would not write is skipped."""
    lines = {
        "route": b"Iface Destination\n"
        + odd
        + b"eth1 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n",
        "ipv6_route": odd
        + b"0 00 0 00 "
        + b"fe80".ljust(31, b"0")
        + b"1 00000400 0 0 00000003 eth1\n",
    }
    (tmp_path / name).write_bytes(lines[name])
    monkeypatch.setattr(routes, "_ROUTES", tmp_path)
    route = network.default_route()
    assert route is not None
    assert (route.interface, route.gateway) in {
        ("eth1", "10.0.0.1"),
        ("eth1", "fe80::1%eth1"),
    }
