"""The kernel reports for each link which addresses it has a route to."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model import Link
from qos_agent.system.network import route_query
from qos_agent.system.network.route_query import has_route, is_routed, routed_versions
from tests.lab.fixtures import MakeLab
from tests.lab.network import CLIENT, CLIENT_IPV6, GATEWAY, SERVER, SERVER_IPV6, Lab
from tests.lab.shape import Shape

LINK = Link("main", "x", "eth0")
ANY = Link("any", "x")


@pytest.fixture
def client(lab: MakeLab) -> Iterator[Lab]:
    """Return a laboratory, with this thread in the client's namespace."""
    net = lab(Shape())
    with net.enter("client"):
        yield net


@pytest.mark.parametrize("link", [LINK, ANY, None], ids=["interface", "any", "none"])
def test_each_family_has_a_route_of_its_own(client: Lab, link: Link | None) -> None:
    """A family is routed while its default route exists; IPv4 comes first."""
    assert routed_versions(link) == (4, 6)
    client.run(["ip", "route", "del", "default"])
    assert routed_versions(link) == (6,)
    assert has_route(link, GATEWAY)  # the neighbour needs no default route
    assert not is_routed(link, SERVER)
    client.run(["ip", "-6", "route", "del", "default"])
    assert routed_versions(link) == ()
    # Without any route it is the link that is down, not the family that is missing.
    assert is_routed(link, SERVER)
    assert is_routed(link, SERVER_IPV6)


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit"])
def test_a_route_that_refuses_is_none(client: Lab, kind: str) -> None:
    """Such routes exist on purpose, for a family that a network does not offer."""
    for family in ("-4", "-6"):
        client.run(["ip", family, "route", "del", "default"])
        client.run(["ip", family, "route", "add", kind, "default"])
    assert routed_versions(ANY) == ()


def test_a_link_without_a_route_does_not_use_another_link(client: Lab) -> None:
    """A second interface without routes has none, although the first has."""
    client.run(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "far"])
    client.run(["ip", "link", "set", "eth1", "up"])
    assert routed_versions(Link("second", "x", "eth1")) == ()


def test_a_source_address_selects_its_family_and_its_rule(client: Lab) -> None:
    """The rule of a source address counts, as when its packets are sent."""
    assert routed_versions(Link("a", "x", source_address=CLIENT)) == (4,)
    assert routed_versions(Link("a", "x", source_address=CLIENT_IPV6)) == (6,)
    client.run(["ip", "rule", "add", "from", CLIENT, "unreachable"])
    assert routed_versions(Link("a", "x", source_address=CLIENT)) == ()


def test_faults_of_a_link_are_left_to_binding(client: Lab) -> None:
    """A missing interface and a foreign source address are no missing route."""
    assert has_route(Link("gone", "x", "wwan9"), SERVER)
    assert has_route(Link("other", "x", source_address="10.99.0.1"), SERVER)


@given(st.binary(max_size=100))
def test_any_reply_is_survived(reply: bytes) -> None:
    """A reply of the kernel that is too short is no answer."""
    with suppress(struct.error):
        assert route_query._found(reply, 1) in (True, False)
