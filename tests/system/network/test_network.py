"""Sockets and name queries of a link leave by that link, within the deadline."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.system import network
from qos_agent.system.network import hosts, route_query, routes
from qos_agent.system.network.hop_query import query_first_hop
from qos_agent.system.network.names import AddressBook, resolve
from tests.lab.dns import Behaviour
from tests.lab.fixtures import MakeLab
from tests.lab.network import (
    CLIENT,
    GATEWAY,
    GATEWAY_IPV6,
    SERVER,
    SERVER_IPV6,
    Lab,
)
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


def test_a_ping_socket_finds_the_first_router_too(client: Lab) -> None:
    """The installed service has no capability, and gets the same answer."""
    allow = "net.ipv4.ping_group_range=0 2147483647"
    client.run(["sysctl", "-qw", allow])
    client.run(["ip", "route", "replace", "default", "dev", "eth0", "scope", "link"])
    client.run(["sysctl", "-qw", "net.ipv4.conf.client.proxy_arp=1"], "router")
    assert query_first_hop("eth0", 4, 5, 3) == GATEWAY
    client.run(["ip", "-6", "route", "replace", "default", "dev", "eth0"])
    client.run(["sysctl", "-qw", "net.ipv6.conf.client.proxy_ndp=1"], "router")
    proxy = ["ip", "-6", "neigh", "add", "proxy", route_query.BEYOND[6]]
    client.run([*proxy, "dev", "client"], "router")
    assert query_first_hop("eth0", 6, 5, 3) == GATEWAY_IPV6


def test_without_ping_sockets_the_first_router_is_not_found(client: Lab) -> None:
    """A forbidden socket is an error at once, and a silent network is none."""
    client.run(["sysctl", "-qw", "net.ipv4.ping_group_range=1 0"])
    with pytest.raises(PermissionError):
        query_first_hop("eth0", 4, 5, 3)
    client.run(["sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"])
    client.run(["ip", "link", "set", "client", "down"], "router")
    with suppress(OSError):
        assert query_first_hop("eth0", 4, 0.2, 2) is None


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


@pytest.mark.parametrize(
    "behaviour", [Behaviour.TRUNCATE, Behaviour.CUT, Behaviour.NOISE]
)
@pytest.mark.parametrize("server", [SERVER, SERVER_IPV6])
def test_a_name_resolves_from_any_valid_answer(
    net: Lab, server: str, behaviour: Behaviour
) -> None:
    """A truncated answer is repeated over TCP; other datagrams are ignored."""
    net.dns({"a.test": "10.1.1.1"}).behaviour = behaviour
    address = net.call(
        "client", lambda: resolve("a.test", LINK, TimeLeft(5), 2.0, (server,))
    )
    assert address == "10.1.1.1"


def test_a_lost_query_is_sent_again(net: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One lost datagram does not make a name unknown (RFC 1035, 4.2.1)."""
    monkeypatch.setattr("qos_agent.system.network.dns_query._RETRY_S", 0.2)
    net.dns({"a.test": "10.1.1.1"}).behaviour = Behaviour.LOSE
    address = net.call(
        "client", lambda: resolve("a.test", LINK, TimeLeft(5), 2.0, (SERVER,))
    )
    assert address == "10.1.1.1"


@pytest.mark.parametrize("answer", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_an_answer_that_names_this_device_is_refused(net: Lab, answer: str) -> None:
    """A resolver that blocks names must not make the loopback the target."""
    net.dns({"a.test": answer})

    def query() -> str:
        return resolve("a.test", LINK, TimeLeft(5), 2.0, (SERVER,))

    with pytest.raises(ProbeError, match="which is this device") as caught:
        look_up(net, query)
    assert caught.value.cause == "name_not_resolved"


def test_a_link_uses_the_version_that_it_has_a_route_for(net: Lab) -> None:
    """Without an IPv4 route the AAAA record is used; without both, IPv4 again."""
    net.dns({"both.test": ["10.1.1.1", "fd00::1"], "four.test": "10.1.1.4"})

    def query(name: str) -> str:
        servers = (SERVER_IPV6,)
        return look_up(net, lambda: resolve(name, LINK, TimeLeft(5), 2.0, servers))

    net.run(["ip", "route", "del", "default"])
    assert (query("both.test"), query("four.test")) == ("fd00::1", "10.1.1.4")


def test_a_name_in_etc_hosts_needs_no_query(
    net: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address is that of the link's IP version; there is no time to resolve."""
    (tmp_path / "etc").mkdir()
    lines = b"# servers\n\xff\nfd00::7 forms.test\n10.1.1.7 Forms.test f # old\n"
    (tmp_path / "etc/hosts").write_bytes(lines + b"127.0.1.1 me.test\n")
    monkeypatch.setattr(
        hosts, "addresses_of", partial(hosts.addresses_of, root=tmp_path)
    )

    def query(name: str) -> network.Resolved:
        book = AddressBook(servers=())
        return net.call("client", lambda: book.resolve(name, LINK, TimeLeft(5)))

    assert query("forms.test") == query("f") == network.Resolved("10.1.1.7")
    net.run(["ip", "route", "del", "default"])
    assert query("FORMS.test.") == network.Resolved("fd00::7")
    with pytest.raises(ProbeError, match=r"me\.test is this device") as caught:
        query("me.test")
    assert caught.value.cause == "binding"


@pytest.mark.parametrize(
    ("content", "host"),
    [
        (b"10.1.1.7 xn--tst-bma.test\n", "tést.test"),
        ("10.1.1.7 TÉST.test\r\n".encode(), "xn--tst-bma.test"),
        ("10.1.1.7 tést.test\n".encode("latin-1") + b"10.1.1.7\ta.test#b", "a.test"),
    ],
)
def test_either_form_of_an_international_name_is_found(
    tmp_path: Path, content: bytes, host: str
) -> None:
    """DNS has the other form of a name than the configuration or the file may have."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_bytes(content)
    assert hosts.addresses_of(host, tmp_path) == ("10.1.1.7",)


@pytest.mark.parametrize("space", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_a_comment_ends_at_the_end_of_its_line_only(tmp_path: Path, space: str) -> None:
    """Python has more line ends than the system, such as a form feed."""
    (tmp_path / "etc").mkdir()
    text = f"# before{space}10.1.1.7 a.test\n10.1.1.8 a.test\n"
    (tmp_path / "etc/hosts").write_text(text, encoding="utf-8")
    assert hosts.addresses_of("a.test", tmp_path) == ("10.1.1.8",)


def test_a_point_to_point_link_without_ipv4_has_its_first_router_found(
    client: Lab,
) -> None:
    """ICMPv6 finds the router, as on a modem with IPv6 only."""
    client.run(["ip", "route", "del", "default"])
    client.run(["ip", "-6", "route", "replace", "default", "dev", "eth0"])
    beyond = route_query.BEYOND[6]
    client.run(["sysctl", "-qw", "net.ipv6.conf.client.proxy_ndp=1"], "router")
    proxy = ["ip", "-6", "neigh", "add", "proxy", beyond, "dev", "client"]
    client.run(proxy, "router")
    assert network.default_route("eth0") == network.Route("eth0", None)
    assert network.resolve(network.GATEWAY, LINK, TimeLeft(5)) == GATEWAY_IPV6


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
