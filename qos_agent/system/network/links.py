"""Sockets and counters of one link.

A socket is bound to the interface of its link by SO_BINDTODEVICE. A link may have a
source address only. It is then used only if the kernel's route for this source and
destination leaves through the interface that owns the address.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

from qos_agent.model import Link, json_text
from qos_agent.model.errors import ProbeError
from qos_agent.system.child_process import run_child
from qos_agent.system.machine import interface_addresses
from qos_agent.system.network.route_query import version_of
from qos_agent.system.network.routes import default_route

_ROUTE_S = 2.0
_ROUTE_MAX_BYTES = 100_000
_ERRNO_CAUSES = {
    errno.ENETUNREACH: "no_route",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "link_down",
    errno.ENODEV: "link_down",
    errno.ENXIO: "link_down",
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EADDRNOTAVAIL: "binding",
}


def cause_of(error: OSError) -> str:
    """Return the cause, as in the schema, of an operating system error."""
    if isinstance(error, TimeoutError):
        return "timeout"
    return _ERRNO_CAUSES.get(error.errno or 0, "internal")


def socket_address(address: str, port: int) -> tuple[Any, ...]:
    """Return the argument of connect(2) for a numeric address, with its zone.

    Raises OSError ENODEV if the interface in the zone does not exist.
    """
    try:
        entries = socket.getaddrinfo(address, port, flags=socket.AI_NUMERICHOST)
    except socket.gaierror as error:
        raise OSError(errno.ENODEV, f"{address}: no such interface") from error
    return entries[0][4]


def interface_of(link: Link) -> str | None:
    """Return the interface that the packets of a link leave by; None if unknown."""
    if link.interface is not None:
        return link.interface
    if link.source_address is not None:
        return _owner(link.source_address)
    route = default_route()
    return route.interface if route else None


def _owner(address: str) -> str | None:
    """Return the interface that has this address."""
    for name, addresses in interface_addresses().items():
        if address in addresses:
            return name
    return None


def has_address(link: Link | None, version: int) -> bool:
    """Return True if the link has an address in an IP version, beyond its own network.

    Link-local addresses do not count: an interface has them on every network.
    """
    if link is not None and link.source_address is not None:
        return version_of(link.source_address) == version
    addresses = interface_addresses()
    if link is not None and link.interface is not None:
        addresses = {link.interface: addresses.get(link.interface, ())}
    return any(
        _is_global(address, version) for each in addresses.values() for address in each
    )


def _is_global(address: str, version: int) -> bool:
    """Return True for an IP address of this version that is valid beyond its network.

    An interface also has hardware addresses.
    """
    try:
        plain = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return plain.version == version and not (plain.is_link_local or plain.is_loopback)


def bind(
    sock: socket.socket, link: Link | None, destination: str, port: int = 0
) -> None:
    """Bind `sock` to `link` before it is used towards the address `destination`.

    `port` is the local port or the identifier of a ping socket, 0 for any. Raises
    ProbeError `binding` or `link_down` if the kernel refuses, and OSError if the port
    is in use.
    """
    source = link.source_address if link is not None else None
    try:
        if link is not None and link.interface is not None:
            device = link.interface.encode()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        if source is not None or port:
            # A tuple of two has no zone, whatever its first part contains.
            sock.bind(socket_address(source, port) if source else ("", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE or link is None:
            raise
        cause = "link_down" if error.errno == errno.ENODEV else "binding"
        raise ProbeError(cause, f"{link.name}: {error.strerror}") from error
    if link is not None and link.interface is None and source is not None:
        _confirm_route(link.name, source, destination)


def _confirm_route(name: str, source: str, destination: str) -> None:
    """Raise ProbeError if the route for `source` leaves by another interface.

    A source address alone does not select the interface, so the kernel's route counts.
    """
    leaves_by = _route_device(source, destination)
    if leaves_by is None or leaves_by != _owner(source):
        detail = f"{name}: {source} leaves by {leaves_by or 'no interface'}"
        raise ProbeError("binding", detail)


def _route_device(source: str, destination: str) -> str | None:
    address, _, zone = destination.partition("%")
    command = ["ip", "-json", "route", "get", address]
    command += ["from", source.partition("%")[0], *(["oif", zone] if zone else [])]
    try:
        result = run_child(
            command, timeout_s=_ROUTE_S, output_limit_bytes=_ROUTE_MAX_BYTES
        )
    except ProbeError as error:
        raise ProbeError("missing_tool", "ip (Debian: iproute2)") from error
    if result.stopped_by is not None:
        raise ProbeError("binding", f"ip route get: {result.stopped_by}")
    try:
        routes = json_text.loads(result.stdout) if result.stdout.strip() else []
        return str(routes[0]["dev"]) if routes and "dev" in routes[0] else None
    except (ValueError, LookupError, TypeError) as error:
        raise ProbeError("binding", f"ip route get: {error}") from error
