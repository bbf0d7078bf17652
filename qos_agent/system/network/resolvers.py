"""Finds the DNS servers of a link, behind any forwarder on this device.

On many images `/etc/resolv.conf` contains only a forwarder on an address of this
device: systemd-resolved or dnsmasq. It is not part of any link, and an interface-bound
socket cannot reach it. The programs that configure the links record the servers behind
it.

All files are read as untrusted input: at most 64 KiB, or 1 MiB of leases, and only
numeric addresses count.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from qos_agent.model import Link
from qos_agent.model.addresses import host_problem, needs_zone, plain
from qos_agent.system.files import read_lines
from qos_agent.system.machine import interface_addresses
from qos_agent.system.network.links import interface_of
from qos_agent.system.network.resolver_commands import servers_by_command
from qos_agent.system.network.route_query import (
    has_route,
    interface_index,
    is_own,
    zone_name,
)
from qos_agent.system.network.routes import default_interfaces

ROOT = Path("/")

_READ_LIMIT_BYTES = 65536
# dhclient appends each lease to its file, and the last one counts.
_LEASES_LIMIT_BYTES = 1 << 20
# Each server gets a share of the time; resolv.conf(5) allows three.
_MOST_SERVERS = 6
# Files of one link by the index of its interface, and the key of its servers.
_BY_INDEX = (
    # resolvectl, NetworkManager and others set these servers over D-Bus.
    ("run/systemd/resolve/netif/{index}", "SERVERS"),
    ("run/systemd/netif/links/{index}", "DNS"),
    ("run/systemd/netif/leases/{index}", "DNS"),
)
# Files of one link in the format of resolv.conf(5).
_BY_NAME = (
    "run/dhcpcd/hook-state/resolv.conf/{name}.*",
    "run/dhcpcd/resolv.conf/{name}.*",
    "run/resolvconf/interface/{name}.*",
    "run/resolvconf/interfaces/{name}.*",
)
# Statements of dhclient.leases(5), of IPv4 and IPv6.
_LEASE = re.compile(r"lease6? \{")
_LEASED_INTERFACE = re.compile(r'^\s*interface "([^"]*)"', re.MULTILINE)
_LEASED_ADDRESS = re.compile(
    r"^\s*(?:fixed-address|iaaddr) ([0-9A-Fa-f.:]+)", re.MULTILINE
)
_LEASED_SERVERS = re.compile(
    r"^\s*option (?:domain-name-servers|dhcp6\.name-servers) ([^;]+);", re.MULTILINE
)
_LEASES = (
    "var/lib/dhcp/dhclient.{name}.leases",
    "var/lib/dhcp/dhclient*.leases",
    "var/lib/NetworkManager/dhclient-*{name}.lease",
)
# Files of the whole device, in the format of resolv.conf(5). The first one that
# contains more than forwarders counts.
_OF_DEVICE = (
    "run/systemd/resolve/resolv.conf",
    "etc/resolv.conf",
    "run/NetworkManager/no-stub-resolv.conf",
    "run/dnsmasq/resolv.conf",
    "etc/ppp/resolv.conf",
)


@dataclass(frozen=True, slots=True)
class Resolvers:
    """The DNS servers of a link, and the file or command that names them.

    `outside` means that only forwarders on this device are known. They send queries
    over any link, so they are asked without binding, and say nothing about this link.
    """

    servers: tuple[str, ...] = ()
    source: str = ""
    outside: bool = False


def resolvers_of(link: Link | None, root: Path = ROOT) -> Resolvers:
    """Return the servers of a link: its own first, then those of the device."""
    name = interface_of(link) if link is not None else None
    forwarders = Resolvers()
    for reported, source in _sources(name, root):
        servers = _valid(reported, name)
        remote = tuple(server for server in servers if not is_own(server))
        if remote:
            return Resolvers(_with_route(remote, link)[:_MOST_SERVERS], source)
        if servers and not forwarders.servers:
            forwarders = Resolvers(servers[:_MOST_SERVERS], source, outside=True)
    return forwarders


def _sources(name: str | None, root: Path) -> Iterator[tuple[list[str], str]]:
    """Yield what each file and command names, with the file or command.

    The files of the device mix the servers of all links. Commands know those of one
    link, so they come before these files if several interfaces lead to the internet.
    """
    commands = name if root == ROOT else None
    shared = len(default_interfaces() | {name}) > 1
    if name is not None:
        yield from _named(root, _files_of_link(name, root))
    if commands is not None and shared:
        yield from servers_by_command(commands)
    yield from _named(root, _files_of_device(root))
    if commands is not None and not shared:
        yield from servers_by_command(commands)


def _with_route(servers: tuple[str, ...], link: Link | None) -> tuple[str, ...]:
    """Return the servers that the link has a route to; all if it has none."""
    return tuple(s for s in servers if has_route(link, s)) or servers


def _named(
    root: Path, files: Iterable[tuple[Path, list[str]]]
) -> Iterator[tuple[list[str], str]]:
    return ((servers, f"/{path.relative_to(root)}") for path, servers in files)


def _files_of_link(name: str, root: Path) -> Iterator[tuple[Path, list[str]]]:
    index = interface_index(name)
    for pattern, key in _BY_INDEX:
        path = root / pattern.format(index=index)
        yield path, _values(read_lines(path, _READ_LIMIT_BYTES), key)
    for path in _matches(root, _BY_NAME, name):
        yield path, _nameservers(read_lines(path, _READ_LIMIT_BYTES))
    for path in _matches(root, _LEASES, name):
        yield path, _leased(read_lines(path, _LEASES_LIMIT_BYTES), name)


def _files_of_device(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for pattern in _OF_DEVICE:
        path = root / pattern
        yield path, _nameservers(read_lines(path, _READ_LIMIT_BYTES))


def _matches(root: Path, patterns: Iterable[str], name: str) -> Iterator[Path]:
    for pattern in patterns:
        try:
            yield from sorted(root.glob(pattern.format(name=escape(name))))
        except OSError:
            continue


def _values(lines: list[str], key: str) -> list[str]:
    """Return the words of `KEY=word word`, as in the state files of systemd."""
    return [
        word
        for line in lines
        for word in line.removeprefix(f"{key}=").split()
        if line.startswith(f"{key}=")
    ]


def _nameservers(lines: list[str]) -> list[str]:
    entries = [line.split() for line in lines]
    return [e[1] for e in entries if len(e) > 1 and e[0] == "nameserver"]


def _leased(lines: list[str], name: str) -> list[str]:
    """Return the servers of the last lease for the interface (dhclient.leases(5)).

    The file keeps old leases, so the leased address must be one of the interface.
    """
    owned = set(interface_addresses().get(name, ()))
    servers: list[str] = []
    for block in _LEASE.split("\n".join(lines))[1:]:
        interface = _LEASED_INTERFACE.search(block)
        address, option = _LEASED_ADDRESS.search(block), _LEASED_SERVERS.search(block)
        if interface and address and option:
            current = interface[1] == name and address[1] in owned
            servers = option[1].replace(",", " ").split() if current else servers
    return servers


def _valid(servers: Iterable[str], name: str | None) -> tuple[str, ...]:
    """Return the numeric addresses, without repetition, each with its zone.

    resolved may add the name of a certificate after `#`. An address with the zone of
    another interface is not reachable over this one.
    """
    addresses = (_server(text.partition("#")[0], name) for text in servers)
    return tuple(dict.fromkeys(a for a in addresses if a is not None))


def _server(text: str, name: str | None) -> str | None:
    """Return the address of a server as sockets use it; None if it cannot be used."""
    address, _, zone = text.partition("%")
    zone = zone_name(zone)
    try:
        server = plain(address)
        unspecified = ipaddress.ip_address(server).is_unspecified
        if host_problem(server) is not None and not unspecified:
            return None
    except ValueError:
        return None
    if zone and name is not None and zone != name:
        return None
    if not needs_zone(server):
        return server
    zone = zone or name or ""
    return f"{server}%{zone}" if zone else None
