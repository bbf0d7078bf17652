"""Resolves names through one link within a deadline, and keeps the last good address.

getaddrinfo(3) sends its queries by the route that the kernel prefers and has no
deadline. This module therefore queries the name servers of the link itself, one after
the other, over the link. /etc/hosts comes first; search domains are not used, because
they differ between links and could turn a name into another host.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import dns.exception
import dns.rcode

from qos_agent.model import Deadline, Link
from qos_agent.model.addresses import host_problem, needs_zone, plain
from qos_agent.model.errors import NotMeasuredError, ProbeError
from qos_agent.system.network import hosts
from qos_agent.system.network.dns_query import ask
from qos_agent.system.network.first_hop import first_hop
from qos_agent.system.network.links import cause_of, interface_of
from qos_agent.system.network.resolvers import Resolvers, resolvers_of
from qos_agent.system.network.route_query import (
    has_route,
    interface_index,
    is_broadcast,
    is_own,
    routed_versions,
    version_of,
    zone_name,
)
from qos_agent.system.network.routes import default_route

GATEWAY = "@gateway"
RESOLVER = "@resolver"

_VERSIONS = (4, 6)
_RESOLVE_S = 5.0
# The other IP version is looked up while a handshake may be pending.
_OTHER_S = 1.0
_LOOPBACK = "lo"
_UNRESOLVED = "name_not_resolved"
_OUTSIDE = "outside_resolver"
_NO_RESOLVER = "no_resolver"
_BAD_ADDRESS = "bad_address"
# No query of these failures went over the link.
_NOT_ASKED = {_OUTSIDE, _NO_RESOLVER}
_LINK_CAUSES = {"link_down", "no_route", "binding", "permission"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resolved address and how it was obtained.

    `resolve_ms` is None if no query went over the link. `failed` means that the queries
    failed and that `address` is the last good one. `outside` means that a forwarder on
    this device resolved the name, over whatever link.
    """

    address: str
    resolve_ms: float | None = None
    failed: bool = False
    outside: bool = False


@dataclass(slots=True)
class AddressBook:
    """Resolves a name each time and keeps, per link, the last good address.

    If `servers` is None, the name servers of the link are looked up at each call.
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

        Raises ProbeError as `look_up` does if no address was ever found.
        """
        key = (link.name if link else None, host)
        start_s = time.monotonic()
        try:
            resolved = look_up(host, link, deadline, within_s, self.servers)
        except ProbeError as error:
            with self._lock:
                last = self._last.get(key)
            if last is None:
                raise
            took_ms: float | None = (time.monotonic() - start_s) * 1000
            if error.cause in _NOT_ASKED:
                took_ms = None
            outside = error.cause == _OUTSIDE
            return Resolved(last, took_ms, failed=True, outside=outside)
        if is_name(host):
            with self._lock:
                self._last[key] = resolved.address
        return resolved


def resolve(
    host: str,
    link: Link | None,
    deadline: Deadline,
    within_s: float = _RESOLVE_S,
    servers: tuple[str, ...] | None = None,
) -> str:
    """Return the address of `host` as seen through `link`; see `look_up`."""
    return look_up(host, link, deadline, within_s, servers).address


def look_up(
    host: str,
    link: Link | None,
    deadline: Deadline,
    within_s: float = _RESOLVE_S,
    servers: tuple[str, ...] | None = None,
) -> Resolved:
    """Return the address of `host` as seen through `link`.

    IPv4 comes before IPv6. A version without a route is used only if the other one has
    no route either. `@gateway` and `@resolver` are the gateway and the name server of
    the link. Raises ProbeError `no_route`, `link_down`, `binding`, `bad_address`,
    `name_not_resolved`, `no_resolver` or `outside_resolver`, and NotMeasuredError if
    only a forwarder on this device is known.
    """
    if host == GATEWAY:
        return Resolved(_gateway(link, deadline))
    if host != RESOLVER and not is_name(host):
        return Resolved(_numeric(host, link))
    end_s = time.monotonic() + min(within_s, deadline.remaining_s())
    if host != RESOLVER and (listed := hosts.addresses_of(host)):
        return Resolved(_listed(host, listed, link))
    known = resolvers_of(link) if servers is None else Resolvers(servers)
    if host == RESOLVER:
        return Resolved(_resolver(known, link))
    return _query_all(host, known, link, end_s - time.monotonic())


def other_address(
    host: str, address: str, link: Link | None, deadline: Deadline
) -> str | None:
    """Return the address of `host` in the other IP version; None without one.

    None also if the link has no route to it.
    """
    if not is_name(host):
        return None
    version = 4 if version_of(address) == 6 else 6
    if version not in routed_versions(link):
        return None
    listed = hosts.addresses_of(host)
    if listed:
        return next((a for a in listed if version_of(a) == version), None)
    known = resolvers_of(link)
    within_s = min(_OTHER_S, deadline.remaining_s())
    try:
        return _query_all(host, known, link, within_s, (version,)).address
    except ProbeError:
        return None


def addresses_to_try(
    host: str, first: str, link: Link | None, deadline: Deadline
) -> Iterator[str]:
    """Yield the resolved address, and that of the other version if it is needed."""
    yield first
    other = other_address(host, first, link, deadline)
    if other is not None:
        yield other


def is_name(host: str) -> bool:
    """Return True if a host must be resolved, by /etc/hosts or DNS."""
    if host in (GATEWAY, RESOLVER):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False


def _gateway(link: Link | None, deadline: Deadline) -> str:
    route = default_route(interface_of(link) if link else None)
    if route is None:
        raise ProbeError("no_route", "no default route")
    if route.gateway is not None:
        return route.gateway
    within_s = min(_RESOLVE_S, deadline.remaining_s())
    return first_hop(route.interface, route.version, within_s)


def _listed(host: str, addresses: tuple[str, ...], link: Link | None) -> str:
    """Return the first address in /etc/hosts that the link has a route to."""
    routed = [address for address in addresses if has_route(link, address)]
    address = sorted(routed or addresses, key=version_of)[0]
    if _beyond(link) is not None and is_own(address):
        detail = f"{host} is this device in /etc/hosts ({address})"
        raise ProbeError("binding", detail)
    return _numeric(address, link)


def _numeric(host: str, link: Link | None) -> str:
    """Return a numeric address as sockets of the link use it, with its zone.

    Raises ProbeError `bad_address` if it is not the address of a host on the link.
    """
    address = plain(host)
    problem = host_problem(address)
    if problem is None and is_broadcast(address):
        problem = "is the broadcast address of a network"
    interface = _beyond(link)
    if problem is None and interface is not None and is_own(address):
        _check_interface(interface)
        problem = "is this device"
    if problem is not None:
        raise ProbeError(_BAD_ADDRESS, f"{host} {problem}")
    text, _, zone = address.partition("%")
    return _zoned(text, zone_name(zone), link) if needs_zone(text) else address


def _beyond(link: Link | None) -> str | None:
    """Return the link's interface if replies of this device cannot arrive over it."""
    return None if link is None or link.interface == _LOOPBACK else link.interface


def _zoned(address: str, zone: str, link: Link | None) -> str:
    """Return a link-local address with its zone, by default the link's interface."""
    bound = link.interface if link is not None else None
    if zone and bound is not None and zone != bound:
        raise ProbeError(_BAD_ADDRESS, f"{address}%{zone} is not on {bound}")
    interface = zone or (interface_of(link) if link is not None else None)
    if interface is None:
        raise ProbeError("no_route", "no default route")
    _check_interface(interface)
    return f"{address}%{interface}"


def _resolver(known: Resolvers, link: Link | None) -> str:
    _check_known(known, link)
    if known.outside:
        detail = f"only {known.servers[0]} is known, which is part of no link"
        raise NotMeasuredError("resolver_unknown", detail)
    return known.servers[0]


def _check_known(known: Resolvers, link: Link | None) -> None:
    """Raise ProbeError `no_resolver` without any server.

    A link that is down has no server either. Then its own cause is raised, which counts
    as loss (decision 024).
    """
    if known.servers and not known.outside:
        return
    if link is not None and link.interface is not None:
        _check_interface(link.interface)
    if not routed_versions(link):
        raise ProbeError("no_route", "no default route")
    if not known.servers:
        raise ProbeError(_NO_RESOLVER, "no name server of the link is known")


def _check_interface(name: str) -> None:
    if not interface_index(name):
        raise ProbeError("link_down", f"{name}: no such interface")


def _query_all(
    host: str,
    known: Resolvers,
    link: Link | None,
    within_s: float,
    versions: tuple[int, ...] = _VERSIONS,
) -> Resolved:
    """Query the servers, by the link or, if they are outside of it, without binding."""
    _check_known(known, link)
    routed = routed_versions(link)
    ordered = tuple(sorted(versions, key=lambda version: version not in routed))
    start_s = time.monotonic()
    try:
        asked = None if known.outside else link
        address = _look_up(host, known.servers, asked, within_s, ordered)
    except ProbeError as error:
        if not known.outside:
            raise
        raise replace(error, cause=_OUTSIDE) from error
    took_ms = None if known.outside else (time.monotonic() - start_s) * 1000
    return Resolved(address, took_ms, outside=known.outside)


def _look_up(
    host: str,
    servers: tuple[str, ...],
    link: Link | None,
    within_s: float,
    versions: tuple[int, ...],
) -> str:
    """Query each server with an equal share of the time left, so that each gets some.

    Raises ProbeError.
    """
    message, causes = "", set()
    end_s = time.monotonic() + within_s
    for index, server in enumerate(servers):
        share_s = (end_s - time.monotonic()) / (len(servers) - index)
        try:
            address, message = _query(host, server, link, share_s, versions)
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
    host: str,
    server: str,
    link: Link | None,
    within_s: float,
    versions: tuple[int, ...],
) -> tuple[str | None, str]:
    """Query one server for each IP version; return the first address, or its status."""
    end_s = time.monotonic() + within_s
    message = ""
    for version in versions:
        addresses, answer = ask(host, version, server, link, end_s)
        for address in addresses:
            problem = _answer_problem(address)
            if problem is None:
                return plain(address), ""
            message = f"{server}: answered {address}, {problem}"
        if not addresses:
            message = message or f"{server}: {dns.rcode.to_text(answer.rcode())}"
    return None, message


def _answer_problem(address: str) -> str | None:
    """Return the reason to refuse an address in an answer; None if it can be used.

    Resolvers that block names answer with addresses of this device or of no host.
    """
    if is_own(address):
        return "which is this device"
    no_host = host_problem(address) is not None or is_broadcast(address)
    return "which is no host" if no_host or needs_zone(address) else None
