"""Names resolved through a link, within a deadline; and the last good address kept.

getaddrinfo(3) would ask over whichever route is best and cannot be given a deadline,
so the device's name servers are asked here, each in its turn, over the link itself.
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
from qos_agent.system.network.first_hop import first_hop
from qos_agent.system.network.links import bind, cause_of, interface_of, socket_address
from qos_agent.system.network.routes import default_route

GATEWAY = "@gateway"
RESOLVER = "@resolver"

_RESOLV_CONF = (
    # systemd-resolved's stub on 127.0.0.53 hides the servers; its own list has them.
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/etc/resolv.conf"),
)
_RESOLVE_S = 5.0
_UNRESOLVED = "name_not_resolved"
_OF_LINK = {"link_down", "no_route", "binding", "permission"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """An address, and how it was come by.

    `resolve_ms` is None for what needs no asking. `failed` says that nobody answered
    and `address` is the last that was good.
    """

    address: str
    resolve_ms: float | None = None
    failed: bool = False


@dataclass(slots=True)
class AddressBook:
    """Resolves anew each time and remembers, per link, the last good address.

    `servers` None: the device's own, as they are at each time.
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
        """The address now, or the last good one where no server gives any.

        Raises ProbeError as `resolve` does where there never was one.
        """
        if not _is_name(host):
            return Resolved(resolve(host, link, deadline))
        key = (link.name if link else None, host)
        start_s = time.monotonic()
        try:
            address, failed = (
                resolve(host, link, deadline, within_s, self.servers),
                False,
            )
        except ProbeError:
            with self._lock:
                known = self._last.get(key)
            if known is None:
                raise
            address, failed = known, True
        took_ms = (time.monotonic() - start_s) * 1000
        with self._lock:
            self._last[key] = address
        return Resolved(address, took_ms, failed)


def resolvers() -> tuple[str, ...]:
    """The name servers this device would ask, in its order."""
    for path in _RESOLV_CONF:
        try:
            rows = path.read_text().splitlines()
        except OSError:
            continue
        words = [row.split() for row in rows]
        found = [w[1] for w in words if len(w) > 1 and w[0] == "nameserver"]
        if found:
            return tuple(found)
    return ()


def resolve(
    host: str,
    link: Link | None,
    deadline: Deadline,
    within_s: float = _RESOLVE_S,
    servers: tuple[str, ...] | None = None,
) -> str:
    """The address of `host` as seen through `link`: IPv4 first, then IPv6.

    `@gateway` and `@resolver` are the link's own. Raises ProbeError `no_route`,
    `link_down`, `binding` or `name_not_resolved`.
    """
    if host == GATEWAY:
        return _gateway(link, deadline)
    asked = resolvers() if servers is None else servers
    if host == RESOLVER:
        if not asked:
            raise ProbeError("name_not_resolved", "no resolver is configured")
        return asked[0]
    if not _is_name(host):
        return host
    return _look_up(host, asked, link, min(within_s, deadline.remaining_s()))


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
    """Each server gets an equal share of what is left, so that all are asked."""
    said, causes = "no resolver is configured", set()
    end_s = time.monotonic() + within_s
    for index, server in enumerate(servers):
        share_s = (end_s - time.monotonic()) / (len(servers) - index)
        try:
            found, said = _ask(host, server, link, share_s)
        except (OSError, ProbeError, dns.exception.DNSException) as error:
            said = f"{server}: {error or type(error).__name__}"
            causes.add(_cause(error))
        else:
            causes.add(_UNRESOLVED)
            if found is not None:
                return found
    # A link that lets no question leave is at fault, not the names.
    cause = causes.pop() if len(causes) == 1 and causes <= _OF_LINK else _UNRESOLVED
    raise ProbeError(cause, f"{host}: {said}")


def _cause(error: Exception) -> str:
    if isinstance(error, ProbeError):
        return error.cause
    return cause_of(error) if isinstance(error, OSError) else _UNRESOLVED


def _ask(
    host: str, server: str, link: Link | None, within_s: float
) -> tuple[str | None, str]:
    """Both questions to one server: the first address, or the server's word."""
    end_s = time.monotonic() + within_s
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    said = ""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        bind(sock, link, server)
        sock.connect(socket_address(server, 53))
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            answer = _exchange(sock, dns.message.make_query(host, kind), end_s)
            for rrset in answer.answer:
                if rrset.rdtype == kind:
                    return str(rrset[0]), ""
            said = f"{server}: {dns.rcode.to_text(answer.rcode())}"
    return None, said


def _exchange(
    sock: socket.socket, query: dns.message.Message, end_s: float
) -> dns.message.Message:
    """One question and its answer; what answers another question is passed over."""
    sock.send(query.to_wire())
    while (left_s := end_s - time.monotonic()) > 0:
        sock.settimeout(left_s)
        answer = dns.message.from_wire(sock.recv(4096), ignore_trailing=True)
        if query.is_response(answer):
            return answer
    raise TimeoutError("no answer")
