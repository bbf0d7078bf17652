"""Asks the kernel if a link has a route to an address, over rtnetlink(7).

connect(2) cannot tell: for an IPv4 socket that is bound to an interface without a
route, Linux takes the destination for a neighbour and reports an error only seconds
later. RTM_F_FIB_MATCH asks for the entry of the routing table itself (Linux 4.13), with
all tables and rules.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator

from qos_agent.model import Link
from qos_agent.model.addresses import plain

IPV4, IPV6 = 4, 6
# Addresses for documentation (RFC 5737, RFC 3849), which only a default route covers.
BEYOND = {IPV4: "192.0.2.1", IPV6: "2001:db8::1"}

_FAMILIES = {IPV4: socket.AF_INET, IPV6: socket.AF_INET6}
# <linux/rtnetlink.h> and <linux/netlink.h>
_NLMSG_ERROR, _RTM_NEWROUTE, _RTM_GETROUTE = 2, 24, 26
_NLM_F_REQUEST = 1
_RTM_F_FIB_MATCH = 0x2000
_RTA_DST, _RTA_SRC, _RTA_OIF = 1, 2, 4
_LOCAL, _BROADCAST = 2, 3  # RTN_LOCAL and RTN_BROADCAST
_FIRST_REJECT_TYPE = 6  # RTN_BLACKHOLE; then unreachable, prohibit and throw
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL}
_TIMEOUT_S = 1.0


def version_of(address: str) -> int:
    """Return the IP version of a numeric address, with or without a zone."""
    return IPV6 if ":" in address else IPV4


def zone_name(zone: str) -> str:
    """Return the name of the interface in a zone, which may be a number (RFC 4007)."""
    try:
        return socket.if_indextoname(int(zone)) if zone.isdecimal() else zone
    except (OSError, OverflowError, ValueError):
        return zone


def interface_index(name: str) -> int:
    """Return the number of an interface; 0, which no interface has, without it."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def has_route(link: Link | None, address: str) -> bool:
    """Return True if packets of the link to a numeric address have a route.

    Also True if the kernel gives no answer, or if the link has a fault that binding a
    socket reports better: no such interface, or the address of another device.
    """
    source = link.source_address if link is not None else None
    if source is not None and version_of(source) != version_of(address):
        return False
    try:
        if source is not None:
            _check_owner(source)
        request, index = _request(link, address)
        return _found(_reply(request), index)
    except (OSError, ValueError, struct.error):
        return True


def is_own(address: str) -> bool:
    """Return True if packets to a numeric address never leave this device.

    It is a loopback or unspecified address, or one that any interface has now.
    """
    text = plain(address)
    parsed = ipaddress.ip_address(text)
    own = parsed.is_loopback or parsed.is_unspecified
    return own or _route_type(text) == _LOCAL


def is_broadcast(address: str) -> bool:
    """Return True for the broadcast address of a network of this device."""
    return _route_type(plain(address)) == _BROADCAST


def _route_type(address: str) -> int | None:
    """Return the type of the kernel's route to an address; None if it is unknown."""
    try:
        request, _ = _request(None, address)
        reply = _reply(request)
        _, kind, *_ = _HEADER.unpack_from(reply)
        route_type = _ROUTE.unpack_from(reply, _HEADER.size)[7]
    except (OSError, ValueError, struct.error):
        return None
    return int(route_type) if kind == _RTM_NEWROUTE else None


def _reply(request: bytes) -> bytes:
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE
    ) as sock:
        sock.settimeout(_TIMEOUT_S)
        sock.send(request)
        return sock.recv(65536)


def routed_versions(link: Link | None) -> tuple[int, ...]:
    """Return the IP versions in which the link has a route to the internet."""
    return tuple(v for v, address in BEYOND.items() if has_route(link, address))


def is_routed(link: Link | None, address: str) -> bool:
    """Return False if only the other IP version has a route on this link.

    True if neither has a route: the link is then down, and the probe reports that.
    """
    if has_route(link, address):
        return True
    other = IPV4 if version_of(address) == IPV6 else IPV6
    return not has_route(link, BEYOND[other])


def _request(link: Link | None, address: str) -> tuple[bytes, int]:
    """Return the request, and the index of the interface that must be used, or 0."""
    numeric, _, zone = address.partition("%")
    name = link.interface if link is not None and link.interface else zone_name(zone)
    index = socket.if_nametoindex(name) if name else 0
    target = ipaddress.ip_address(numeric).packed
    attributes = _attribute(_RTA_DST, target)
    source_bits = 0
    if index:
        attributes += _attribute(_RTA_OIF, struct.pack("=I", index))
    elif link is not None and link.source_address is not None:
        source = ipaddress.ip_address(link.source_address.partition("%")[0]).packed
        attributes += _attribute(_RTA_SRC, source)
        source_bits = len(source) * 8
    family, bits = _FAMILIES[version_of(address)], len(target) * 8
    route = _ROUTE.pack(family, bits, source_bits, 0, 0, 0, 0, 0, _RTM_F_FIB_MATCH)
    size = _HEADER.size + len(route) + len(attributes)
    header = _HEADER.pack(size, _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0)
    return header + route + attributes, index


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def _check_owner(source: str) -> None:
    """Raise OSError if this device does not have the address."""
    family = _FAMILIES[version_of(source)]
    address, _, zone = source.partition("%")
    scope = (0, interface_index(zone_name(zone))) if zone else ()
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0, *scope))


def _found(reply: bytes, index: int) -> bool:
    """Return True if the reply contains a usable route over the interface."""
    _, kind, *_ = _HEADER.unpack_from(reply)
    if kind == _NLMSG_ERROR:
        code = -struct.unpack_from("=i", reply, _HEADER.size)[0]
        return code not in _NO_ROUTE
    if kind != _RTM_NEWROUTE:
        return True
    route_type = _ROUTE.unpack_from(reply, _HEADER.size)[7]
    interfaces = [
        struct.unpack_from("=I", value)[0]
        for attribute, value in _attributes(reply[_HEADER.size + _ROUTE.size :])
        if attribute == _RTA_OIF
    ]
    leaves_by_it = not index or not interfaces or index in interfaces
    return route_type < _FIRST_REJECT_TYPE and leaves_by_it


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        if size < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : size]
        data = data[(size + 3) & ~3 :]
