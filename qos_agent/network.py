"""Sockets, names and counters of one link, and never of another.

A link with an interface is bound to it by SO_BINDTODEVICE. A link with only a
source address is trusted only where the kernel's own route for that source and
destination leaves through the interface that owns the address. Names are resolved
through the link too: getaddrinfo(3) would ask over whichever route is best, and
cannot be given a deadline.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import psutil

from qos_agent.errors import ProbeError
from qos_agent.model import Deadline, Link

GATEWAY = "@gateway"
RESOLVER = "@resolver"

_RESOLV_CONF = (
    # systemd-resolved's stub on 127.0.0.53 hides the servers; its own list has them.
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/etc/resolv.conf"),
)
_ERRNO_CAUSES = {
    errno.ENETUNREACH: "no_route",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETDOWN: "link_down",
    errno.ENODEV: "link_down",
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EADDRNOTAVAIL: "binding",
}


@dataclass(frozen=True, slots=True)
class Route:
    """The default route of an interface: its name, and the gateway's address."""

    interface: str
    gateway: str


def cause_of(error: OSError) -> str:
    """The schema's cause for an operating system error."""
    if isinstance(error, TimeoutError):
        return "timeout"
    return _ERRNO_CAUSES.get(error.errno or 0, "internal")


def default_route(interface: str | None = None) -> Route | None:
    """The IPv4 default route of least metric, of any or of one interface."""
    routes = []
    for row in Path("/proc/net/route").read_text().splitlines()[1:]:
        name, destination, gateway, _flags, _, _, metric, mask, *_ = row.split()
        if destination == mask == "00000000" and interface in (None, name):
            routes.append((int(metric), name, _hex_address(gateway)))
    return Route(*min(routes)[1:]) if routes else None


def _hex_address(text: str) -> str:
    """/proc/net/route writes addresses in host byte order, as hexadecimal."""
    return str(ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(text), "little")))


def resolvers() -> tuple[str, ...]:
    """The name servers this device would ask, in its order."""
    for path in _RESOLV_CONF:
        try:
            rows = path.read_text().splitlines()
        except OSError:
            continue
        found = [r.split()[1] for r in rows if r.startswith("nameserver ")]
        if found:
            return tuple(found)
    return ()


def interface_of(link: Link) -> str | None:
    """The interface a link's packets leave by; None while there is none."""
    if link.interface is not None:
        return link.interface
    if link.source_address is not None:
        return _owner(link.source_address)
    route = default_route()
    return route.interface if route else None


def _owner(address: str) -> str | None:
    for name, addresses in psutil.net_if_addrs().items():
        if any(a.address == address for a in addresses):
            return name
    return None


def interface_bytes(interface: str) -> tuple[int, int]:
    """Bytes received and sent by an interface, as the kernel counts frames.

    Raises ProbeError `link_down` where there is no such interface.
    """
    folder = Path("/sys/class/net") / interface / "statistics"
    try:
        received = int((folder / "rx_bytes").read_text())
        return received, int((folder / "tx_bytes").read_text())
    except OSError as error:
        raise ProbeError("link_down", f"{interface}: {error.strerror}") from error


def bind(sock: socket.socket, link: Link | None, destination: str) -> None:
    """Tie `sock` to `link` before it is used towards `destination` (an address).

    Raises ProbeError `binding` or `link_down` where the kernel will not.
    """
    if link is None:
        return
    try:
        if link.interface is not None:
            device = link.interface.encode()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        if link.source_address is not None:
            sock.bind((link.source_address, 0))
    except OSError as error:
        cause = "link_down" if error.errno == errno.ENODEV else "binding"
        raise ProbeError(cause, f"{link.name}: {error.strerror}") from error
    if link.interface is None and link.source_address is not None:
        _confirm_route(link, destination)


def _confirm_route(link: Link, destination: str) -> None:
    """A source address alone does not choose the way out; ask the kernel's route."""
    source = str(link.source_address)
    command = ["ip", "-json", "route", "get", destination, "from", source]
    answer = subprocess.run(
        command, capture_output=True, timeout=2, check=False, text=True
    )
    leaves_by = json.loads(answer.stdout)[0].get("dev") if answer.stdout else None
    if leaves_by is None or leaves_by != _owner(source):
        detail = f"{link.name}: {source} leaves by {leaves_by or 'no interface'}"
        raise ProbeError("binding", detail)


def resolve(host: str, link: Link | None, deadline: Deadline) -> str:
    """The address of `host` as seen through `link`: IPv4 first, then IPv6.

    `@gateway` and `@resolver` are the link's own. Raises ProbeError `no_route`
    or `name_not_resolved`.
    """
    if host == GATEWAY:
        route = default_route(interface_of(link) if link else None)
        if route is None:
            raise ProbeError("no_route", "no default route")
        return route.gateway
    servers = resolvers()
    if host == RESOLVER:
        if not servers:
            raise ProbeError("name_not_resolved", "no resolver is configured")
        return servers[0]
    return host if _is_address(host) else _look_up(host, servers, link, deadline)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(
    host: str, servers: tuple[str, ...], link: Link | None, deadline: Deadline
) -> str:
    said = "no resolver is configured"
    for server in servers:
        for kind in ("A", "AAAA"):
            try:
                found, said = _ask(host, kind, server, link, deadline)
            except (OSError, dns.exception.DNSException) as error:
                said = f"{server}: {error or type(error).__name__}"
                break
            if found is not None:
                return found
    raise ProbeError("name_not_resolved", f"{host}: {said}")


def _ask(
    host: str, kind: str, server: str, link: Link | None, deadline: Deadline
) -> tuple[str | None, str]:
    """One question to one server: the first address, and the server's word."""
    query = dns.message.make_query(host, kind)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        bind(sock, link, server)
        sock.settimeout(max(0.05, min(2.0, deadline.remaining_s())))
        sock.connect((server, 53))
        sock.send(query.to_wire())
        answer = dns.message.from_wire(sock.recv(4096))
    if answer.id != query.id:
        return None, f"{server}: answered another question"
    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.from_text(kind):
            return str(rrset[0]), ""
    return None, f"{server}: {dns.rcode.to_text(answer.rcode())}"
