"""Checks that each link-local IPv6 address is measured over the interface it is on.

Such an address is valid on one interface only (RFC 4007). The interface is its zone, as
in `fe80::1%wwan0`, or that of the link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qos_agent.config.settings import Settings
from qos_agent.config.throughput import ThroughputServers
from qos_agent.model import Link
from qos_agent.model.addresses import host_in, needs_zone, split_host_port
from qos_agent.model.errors import ConfigError


def faults(settings: Settings) -> Iterator[ConfigError]:
    """Yield an error for each host that a link cannot reach with its interface."""
    links = settings.link_list()
    for key, host in _hosts(settings):
        yield from _faults(key, host, links)
    for index, section in enumerate(settings.links):
        for key, host in _servers(section.throughput):
            own = links[index : index + 1]
            yield from _faults(f"links.{index}.throughput.{key}", host, own)


def _hosts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the key and the host of each setting that is measured over all links."""
    for index, target in enumerate(settings.targets):
        yield f"targets.{index}.host", target.host
        if target.host_ipv6 is not None:
            yield f"targets.{index}.host_ipv6", target.host_ipv6
    for index, page in enumerate(settings.web.pages):
        yield f"web.pages.{index}.url", host_in(page.url)
    if settings.form.url is not None:
        yield "form.url", host_in(settings.form.url)
    for key, host in _servers(settings.throughput):
        yield f"throughput.{key}", host


def _servers(section: ThroughputServers) -> Iterator[tuple[str, str]]:
    if section.server is not None:
        yield "server", host_in(section.server)
    if section.speedtest_server is not None:
        yield "speedtest_server", host_in(section.speedtest_server)
    if section.iperf3_server is not None:
        yield "iperf3_server", split_host_port(section.iperf3_server)[0]


def _faults(key: str, host: str, links: Sequence[Link]) -> Iterator[ConfigError]:
    """Yield the error of a host, if no link has the interface that it needs.

    A number as a zone is the index of an interface, which may change at each boot.
    """
    zone = host.partition("%")[2]
    interfaces = [link.interface for link in links]
    if needs_zone(host) and None in interfaces:
        name = links[interfaces.index(None)].name
        problem = f"must have a zone, because link {name} has no interface"
        fix = f"write {host}%INTERFACE, or set interface of the link"
        yield ConfigError(key, repr(host), problem, fix)
    elif zone and not zone.isdecimal() and not {zone, None} & set(interfaces):
        names = ", ".join(sorted({str(name) for name in interfaces}))
        problem = f"must have the interface of a link as its zone: {names}"
        yield ConfigError(key, repr(host), problem, "correct the zone")
