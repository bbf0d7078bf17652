"""A resolver on this device is a forwarder. Without any resolver, nothing is lost."""

from __future__ import annotations

import threading
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from qos_agent.model import Layer, Link, Outcome, Reading, Target, Task
from qos_agent.probes.envelope import Envelope
from qos_agent.system.clock import SystemClock
from qos_agent.system.network import names
from qos_agent.system.network.resolvers import resolvers_of
from tests.lab.dns import Behaviour, DnsServer
from tests.lab.fixtures import MakeLab
from tests.lab.network import CLIENT, CLIENT_IPV6, SERVER, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import short
from tests.probes.test_link_local import link_local
from tests.probes.throughput.test_conformance import backend, causes, order
from tests.probes.web import pages

BRIDGE, LAN = "172.17.0.1", "192.168.1.1"
LINKS = {
    "interface": Link("main", "x", "eth0"),
    "source address": Link("main", "x", source_address=CLIENT),
    "neither": Link("main", "x"),
}
# What resolv.conf contains, and the address on which the forwarder listens.
OWN = {
    "its address on the link": (CLIENT, CLIENT),
    "its IPv6 address": (CLIENT_IPV6, CLIENT_IPV6),
    "its link-local address": ("fe80::%eth0", "fe80::%eth0"),
    "a bridge": (BRIDGE, BRIDGE),
    "another network": (LAN, LAN),
    "loopback in IPv6": ("::ffff:127.0.0.53", "127.0.0.53"),
    "its address in IPv6": (f"::ffff:{CLIENT}", CLIENT),
    "any IPv4": ("0.0.0.0", "127.0.0.1"),
    "any IPv6": ("::", "::1"),
    "any IPv4 in IPv6": ("::ffff:0.0.0.0", "127.0.0.1"),
    "loopback": ("127.9.9.9", "127.9.9.9"),
}


@pytest.fixture
def net(lab: MakeLab) -> Lab:
    """Return a laboratory whose client also has a bridge and another network."""
    net = lab(Shape())
    net.run(["ip", "link", "add", "docker0", "type", "bridge"])
    net.run(["ip", "address", "add", f"{BRIDGE}/16", "dev", "docker0"])
    net.run(["ip", "link", "add", "lan", "type", "bridge"])
    net.run(["ip", "address", "add", f"{LAN}/24", "dev", "lan"])
    net.run(["ip", "link", "set", "docker0", "up"])
    net.run(["ip", "link", "set", "lan", "up"])
    net.run(["ip", "link", "set", "lo", "up"])
    return net


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for `/`, without any name server."""
    (tmp_path / "etc").mkdir()
    monkeypatch.setattr(names, "resolvers_of", partial(resolvers_of, root=tmp_path))
    return tmp_path


def set_servers(root: Path, *servers: str) -> None:
    lines = "".join(f"nameserver {server}\n" for server in servers)
    (root / "etc/resolv.conf").write_text(lines)


def reading(net: Lab, host: str, link: Link = LINKS["interface"]) -> Reading:
    """Run one train as the agent does and return its reading."""
    envelope = Envelope(SystemClock(0), threading.Event())
    task = Task("latency", 0, link, Target("there", host, Layer.RESOLVER))
    return net.call("client", lambda: envelope.run(short(count=3), task))


@pytest.mark.parametrize(("server", "listens"), OWN.values(), ids=OWN)
def test_an_address_of_this_device_is_a_forwarder(
    net: Lab, root: Path, server: str, listens: str
) -> None:
    """It resolves names outside of the link, and it is never measured as the link's."""
    own = link_local(net, "client", "eth0")
    server, listens = (text.replace("fe80::", own) for text in (server, listens))
    set_servers(root, server)
    records = {"a.test": SERVER}
    with net.call("client", lambda: DnsServer(records, [listens])):
        for link in LINKS.values():
            named = reading(net, "a.test", link).samples[0].fields
            assert (named["received"], named["resolve_outside"]) == (3, 1)
            assert "resolve_ms" not in named
            resolver = reading(net, "@resolver", link)
            assert resolver.reason == "resolver_unknown"
            assert dict(resolver.samples[0].fields) == {}


@pytest.mark.parametrize("server", [CLIENT, BRIDGE, LAN, "::ffff:127.0.0.53", "::"])
def test_the_server_behind_it_is_found(net: Lab, root: Path, server: str) -> None:
    """A remote server in the same file or in the next one is that of the link."""
    net.dns({"a.test": SERVER})
    set_servers(root, server, SERVER)
    assert reading(net, "@resolver").samples[0].fields["address"] == SERVER
    set_servers(root, server)
    (root / "run/dnsmasq").mkdir(parents=True)
    (root / "run/dnsmasq/resolv.conf").write_text(f"nameserver {SERVER}\n")
    fields = reading(net, "@resolver").samples[0].fields
    assert (fields["address"], fields["lost"]) == (SERVER, 0)
    assert float(reading(net, "a.test").samples[0].fields["resolve_ms"]) > 0


def test_an_address_may_become_one_of_this_device(net: Lab, root: Path) -> None:
    """The addresses of the interfaces are those of this moment."""
    server = "10.77.2.99"
    set_servers(root, server)
    assert reading(net, "@resolver").samples[0].fields["lost"] == 3
    net.run(["ip", "address", "add", f"{server}/24", "dev", "eth0"])
    assert reading(net, "@resolver").reason == "resolver_unknown"
    net.run(["ip", "address", "del", f"{server}/24", "dev", "eth0"])
    assert reading(net, "@resolver").samples[0].fields["lost"] == 3


@pytest.mark.parametrize("answer", [CLIENT, BRIDGE, CLIENT_IPV6, "::ffff:127.0.0.1"])
def test_an_answer_with_an_address_of_this_device_is_refused(
    net: Lab, root: Path, answer: str
) -> None:
    """A filter that answers with its own address must not make this device a target."""
    set_servers(root, SERVER)
    net.dns({"a.test": answer})
    result = reading(net, "a.test")
    assert result.cause == "name_not_resolved"
    assert "which is this device" in result.detail


@pytest.mark.parametrize("text", ["", "search lan\n", "nameserver x\nnameserver ::x"])
def test_without_any_name_server_nothing_is_lost(
    net: Lab, root: Path, text: str
) -> None:
    """The reading has failed with a cause of its own, and has no counts."""
    (root / "etc/resolv.conf").write_text(f"{text}\nnameserver 224.0.0.251\n")
    for link, host in product(LINKS.values(), ("@resolver", "a.test")):
        result = reading(net, host, link)
        assert (result.outcome, result.cause) == (Outcome.FAILED, "no_resolver")
        assert dict(result.samples[0].fields) == {}


@pytest.mark.parametrize("servers", [(), ("127.0.0.53",)], ids=["none", "forwarder"])
def test_a_link_that_is_down_is_an_outage_without_name_servers_too(
    net: Lab, root: Path, servers: tuple[str, ...]
) -> None:
    """A modem that is unplugged takes its name servers with it (decision 024)."""
    set_servers(root, *servers)
    hosts, gone = ("@resolver", "a.test"), Link("main", "x", "wwan9")
    for host in hosts:
        result = reading(net, host, gone)
        assert (result.cause, result.samples[0].fields["lost"]) == ("link_down", 3)
    net.run(["ip", "link", "set", "eth0", "down"])
    for host in hosts:
        result = reading(net, host)
        assert (result.cause, result.samples[0].fields["lost"]) == ("no_route", 3)


@pytest.mark.parametrize("behaviour", [Behaviour.SILENT, Behaviour.SERVFAIL])
def test_a_known_server_that_does_not_resolve_is_loss(
    net: Lab, root: Path, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of the link was asked, so the fault is part of the link's figures."""
    monkeypatch.setattr("qos_agent.probes.latency.probe._RESOLVE_S", 0.5)
    set_servers(root, SERVER)
    net.dns({"a.test": SERVER}).behaviour = behaviour
    result = reading(net, "a.test")
    assert (result.cause, result.samples[0].fields["lost"]) == ("name_not_resolved", 3)
    set_servers(root, "10.77.1.77")
    result = reading(net, "@resolver")
    assert (result.cause, result.samples[0].fields["lost"]) == ("timeout", 3)


def test_pages_and_throughput_have_the_same_cause(net: Lab, root: Path) -> None:
    """Without a name server the failure is not that of the link."""
    link, url = LINKS["interface"], "http://a.test/"
    probe, task = pages.probe(url), pages.task(url, link=link)
    envelope = Envelope(SystemClock(0), threading.Event())
    result = net.call("client", lambda: envelope.run(probe, task))
    assert result.cause == "no_resolver"
    for name, server in (("http", url), ("iperf3", "a.test")):
        test_order, tested = order(server, link=link), backend(name)
        found = net.call("client", partial(causes, tested, test_order))
        assert found["down"] == "no_resolver"
