"""A link's sockets leave by that link; its names are asked there, in time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.system import network
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
    """A laboratory whose client has a second interface that leads nowhere."""
    made = lab(Shape())
    made.run(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "far"])
    made.run(["ip", "addr", "add", f"{SECOND}/24", "dev", "eth1"])
    for name in ("eth1", "far"):
        made.run(["ip", "link", "set", name, "up"])
    return made


@pytest.fixture
def client(net: Lab) -> Iterator[Lab]:
    """The same, entered: this thread is in the client's namespace."""
    with net.enter("client"):
        yield net


def bound(link: Link, destination: str = SERVER) -> socket.socket:
    """A UDP socket tied to the link and connected."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    try:
        network.bind(sock, link, destination)
        sock.connect((destination, 9))
    except BaseException:
        sock.close()
        raise
    return sock


def test_a_bound_socket_leaves_by_its_interface_or_not_at_all(client: Lab) -> None:
    """Packets of eth0's link go through the router; those of eth1's never do."""
    with bound(LINK) as sock:
        sock.send(b"here")
    assert client.udp("forward", 9) == 1
    # Linux takes what has no route on the device for a neighbour, and looks there.
    with bound(Link("other", "x", "eth1")) as sock:
        sock.send(b"there")
    assert client.udp("forward", 9) == 1


def test_a_missing_interface_is_link_down(client: Lab) -> None:
    """An interface that is not there is said as such."""
    with pytest.raises(ProbeError, match="link_down"):
        bound(Link("gone", "x", "wwan9"))


def test_a_source_address_must_leave_by_its_own_interface(client: Lab) -> None:
    """eth1's address would leave by eth0: refused; eth0's own is taken."""
    with bound(Link("main", "x", source_address=CLIENT)) as sock:
        assert sock.getsockname()[0] == CLIENT
    with pytest.raises(ProbeError, match="leaves by eth0") as caught:
        bound(Link("other", "x", source_address=SECOND))
    assert caught.value.cause == "binding"


def test_a_source_rule_makes_the_address_good(client: Lab) -> None:
    """With a rule that leads the source out of its own interface, it is taken."""
    for rule in (
        "ip route add default dev eth1 table 7",
        f"ip rule add from {SECOND} table 7",
    ):
        client.run(rule.split())
    with bound(Link("other", "x", source_address=SECOND)) as sock:
        assert sock.getsockname()[0] == SECOND


def test_an_address_of_nobodys_is_no_binding(client: Lab) -> None:
    """A source address this device does not have is refused."""
    with pytest.raises(ProbeError, match="binding"):
        bound(Link("other", "x", source_address="10.99.0.1"))


def test_the_default_route_has_least_metric_and_a_family(client: Lab) -> None:
    """IPv4 before IPv6; of one interface; reject routes and none are None."""
    assert network.default_route() == network.Route("eth0", GATEWAY)
    assert network.default_route("eth1") is None
    client.run(
        [
            "ip",
            "route",
            "add",
            "default",
            "via",
            "10.78.0.9",
            "dev",
            "eth1",
            "metric",
            "50",
        ]
    )
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
    """Where the route names no gateway, who answers the first hop is the gateway."""
    client.run(["ip", "route", "replace", "default", "dev", "eth0", "scope", "link"])
    # The router stands in for every address of the link, as a modem's far end does.
    client.run(["sysctl", "-qw", "net.ipv4.conf.client.proxy_arp=1"], "router")
    assert network.default_route("eth0") == network.Route("eth0", None)
    assert network.resolve(network.GATEWAY, LINK, TimeLeft(5)) == GATEWAY


def look_up(net: Lab, act: Callable[[], str]) -> str:
    return net.call("client", act)


def test_names_come_from_the_links_servers_a_first(net: Lab) -> None:
    """IPv4 is preferred, IPv6 is taken where there is no other."""
    net.dns({"both.test": ["10.1.1.1", "fd00::1"], "six.test": "fd00::6"})

    def ask(name: str) -> str:
        return net.call(
            "client", lambda: resolve(name, LINK, TimeLeft(5), servers=(SERVER,))
        )

    assert (ask("both.test"), ask("six.test")) == ("10.1.1.1", "fd00::6")


def test_every_server_is_asked_within_the_deadline(net: Lab) -> None:
    """Two that say nothing leave time for the third."""
    net.dns({"a.test": "10.1.1.1"})
    servers = ("10.77.1.77", "10.77.1.78", SERVER)
    start = time.monotonic()
    found = net.call(
        "client", lambda: resolve("a.test", LINK, TimeLeft(9), 1.5, servers)
    )
    assert found == "10.1.1.1"
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("behaviour", [Behaviour.SILENT, Behaviour.SERVFAIL])
def test_the_last_good_address_is_kept_when_dns_fails(
    net: Lab, behaviour: Behaviour
) -> None:
    """Both facts are told: the address, and that it did not resolve this time."""
    server, book = net.dns({"a.test": "10.1.1.1"}), AddressBook(servers=(SERVER,))

    def ask(link: Link) -> network.Resolved:
        return net.call(
            "client", lambda: book.resolve("a.test", link, TimeLeft(9), 0.5)
        )

    assert not ask(LINK).failed
    server.behaviour = behaviour
    kept = ask(LINK)
    assert (kept.address, kept.failed) == ("10.1.1.1", True)
    assert kept.resolve_ms is not None
    with pytest.raises(ProbeError, match="name_not_resolved"):
        ask(Link("another", "x", "eth0"))


def test_a_name_is_resolved_again_each_time(net: Lab) -> None:
    """A train after the address changed goes to the new one."""
    book = AddressBook(servers=(SERVER,))

    def ask() -> str:
        return book.resolve("a.test", LINK, TimeLeft(9)).address

    with net.dns({"a.test": "10.1.1.1"}):
        assert look_up(net, ask) == "10.1.1.1"
    net.dns({"a.test": "10.1.1.2"})
    assert look_up(net, ask) == "10.1.1.2"


def test_a_link_that_is_gone_is_not_the_names_fault(net: Lab) -> None:
    """Where no question could leave, the reading blames the link or the route."""
    net.run(["ip", "route", "del", "default"])
    for link, cause in (
        (Link("gone", "x", "wwan9"), "link_down"),
        (Link("main", "x"), "no_route"),
        (Link("other", "x", source_address="10.99.0.1"), "binding"),
    ):

        def ask(link: Link = link) -> str:
            return resolve("a.test", link, TimeLeft(5), 1.0, (SERVER,))

        with pytest.raises(ProbeError) as caught:
            look_up(net, ask)
        assert caught.value.cause == cause


def test_addresses_need_no_asking(net: Lab) -> None:
    """An address is itself, and no time to resolve is made up for it."""
    found = AddressBook(servers=()).resolve("10.1.1.1", LINK, TimeLeft(1))
    assert found == network.Resolved("10.1.1.1")
