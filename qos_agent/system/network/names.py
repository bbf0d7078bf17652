"""Resolves names through one link within a deadline, and keeps the last good address.

getaddrinfo(3) sends its queries by the route that the kernel prefers and has no
deadline. This module therefore queries the name servers of the device itself, one
after the other, over the link.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

from qos_agent.model import Deadline, Link
from qos_agent.model.errors import ProbeError
from qos_agent.system.files import name_once, read_text
from qos_agent.system.network.first_hop import first_hop
from qos_agent.system.network.links import bind, cause_of, interface_of, socket_address
from qos_agent.system.network.routes import default_route

GATEWAY = "@gateway"
RESOLVER = "@resolver"

_RESOLV_CONF = (
    # /etc/resolv.conf may contain only the stub of systemd-resolved, 127.0.0.53. This
    # file lists the servers behind it.
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/etc/resolv.conf"),
)
_RESOLVE_S = 5.0
_UNRESOLVED = "name_not_resolved"
_LINK_CAUSES = {"link_down", "no_route", "binding", "permission"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resolved address and how it was obtained.

    `resolve_ms` is None if no query was needed. `failed` means that the queries failed
    and that `address` is the last good one.
    """

    address: str
    resolve_ms: float | None = None
    failed: bool = False


@dataclass(slots=True)
class AddressBook:
    """Resolves a name each time and keeps, per link, the last good address.

    If `servers` is None, the name servers of the device are read at each call.
    """

    servers: tuple[str, ...] | None = None
    _last: dict[tuple[str | None, str], str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def resolve(
        self,
        host: str,
        link: Link | None,
        deadline: Deadline,
        within_s: float = _RESOLVE_S,
    ) -> Resolved:
        """Return the current address, or the last good one if no server answers.

        Raises ProbeError as `resolve` does if no address was ever found.
        """
        if not _is_name(host):
            return Resolved(resolve(host, link, deadline))
        key = (link.name if link else None, host)
        start_s = time.monotonic()
        failed = False
        try:
            address = resolve(host, link, deadline, within_s, self.servers)
        except ProbeError:
            with self._lock:
                last = self._last.get(key)
            if last is None:
                raise
            address, failed = last, True
        took_ms = (time.monotonic() - start_s) * 1000
        with self._lock:
            self._last[key] = address
        return Resolved(address, took_ms, failed)


def resolvers() -> tuple[str, ...]:
    """Return the name servers of this device, in their order."""
    for path in _RESOLV_CONF:
        entries = [row.split() for row in (read_text(path) or "").splitlines()]
        values = [e[1] for e in entries if len(e) > 1 and e[0] == "nameserver"]
        servers = tuple(value for value in values if not _is_name(value))
        if servers:
            return servers
        if values:
            name_once(path, f"has no address of a server ({values[0][:40]!r})")
    return ()


def resolve(
    host: str,
    link: Link | None,
    deadline: Deadline,
    within_s: float = _RESOLVE_S,
    servers: tuple[str, ...] | None = None,
) -> str:
    """Return the address of `host` as seen through `link`: IPv4 first, then IPv6.

    `@gateway` and `@resolver` are the gateway and the name server of the link. Raises
    ProbeError `no_route`, `link_down`, `binding` or `name_not_resolved`.
    """
    if host == GATEWAY:
        return _gateway(link, deadline)
    servers = resolvers() if servers is None else servers
    if host == RESOLVER:
        if not servers:
            raise ProbeError("name_not_resolved", "no resolver is configured")
        return servers[0]
    if not _is_name(host):
        return host
    return _look_up(host, servers, link, min(within_s, deadline.remaining_s()))


def _gateway(link: Link | None, deadline: Deadline) -> str:
    route = default_route(interface_of(link) if link else None)
    if route is None:
        raise ProbeError("no_route", "no default route")
    if route.gateway is not None:
        return route.gateway
    return first_hop(route.interface, min(_RESOLVE_S, deadline.remaining_s()))


def _is_name(host: str) -> bool:
    if host in (GATEWAY, RESOLVER):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _look_up(
    host: str, servers: tuple[str, ...], link: Link | None, within_s: float
) -> str:
    """Query each server with an equal share of the time left, so that each gets some.

    Raises ProbeError.
    """
    message, causes = "no resolver is configured", set()
    end_s = time.monotonic() + within_s
    for index, server in enumerate(servers):
        share_s = (end_s - time.monotonic()) / (len(servers) - index)
        try:
            address, message = _query(host, server, link, share_s)
        except (OSError, ProbeError, dns.exception.DNSException) as error:
            message = f"{server}: {error or type(error).__name__}"
            causes.add(_cause(error))
        else:
            causes.add(_UNRESOLVED)
            if address is not None:
                return address
    # If no query could leave by the link, the cause is the link, not the name.
    link_failed = len(causes) == 1 and causes <= _LINK_CAUSES
    cause = causes.pop() if link_failed else _UNRESOLVED
    raise ProbeError(cause, f"{host}: {message}")


def _cause(error: Exception) -> str:
    if isinstance(error, ProbeError):
        return error.cause
    return cause_of(error) if isinstance(error, OSError) else _UNRESOLVED


def _query(
    host: str, server: str, link: Link | None, within_s: float
) -> tuple[str | None, str]:
    """Query one server for A, then AAAA; return the first address, or its status."""
    end_s = time.monotonic() + within_s
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    message = ""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        bind(sock, link, server)
        sock.connect(socket_address(server, 53))
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            response = _exchange(sock, dns.message.make_query(host, kind), end_s)
            for rrset in response.answer:
                if rrset.rdtype == kind:
                    return str(rrset[0]), ""
            message = f"{server}: {dns.rcode.to_text(response.rcode())}"
    return None, message


def _exchange(
    sock: socket.socket, query: dns.message.Message, end_s: float
) -> dns.message.Message:
    """Send a query and return its response; responses to other queries are ignored."""
    sock.send(query.to_wire())
    while (left_s := end_s - time.monotonic()) > 0:
        sock.settimeout(left_s)
        response = dns.message.from_wire(sock.recv(4096), ignore_trailing=True)
        if query.is_response(response):
            return response
    raise TimeoutError("no answer")
