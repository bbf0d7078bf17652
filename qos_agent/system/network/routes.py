"""The default routes of the device, IPv4 and IPv6, as the kernel lists them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from qos_agent.system.files import read_text

# The routes of this thread. /proc/net shows those of the main thread, which may be in
# another network namespace.
_ROUTES = Path("/proc/thread-self/net")
_REJECT = 0x0200  # RTF_REJECT, an "unreachable default" route


@dataclass(frozen=True, slots=True)
class Route:
    """A default route: its interface and the address of the gateway.

    `gateway` is None on a point-to-point link, as with most mobile modems. The first
    router then has no address on the link.
    """

    interface: str
    gateway: str | None
    version: int = field(default=4, compare=False)


def default_route(interface: str | None = None) -> Route | None:
    """Return the default route with the lowest metric; IPv4 comes before IPv6.

    With `interface` only the routes of that interface count.
    """
    for read in (_ipv4_routes, _ipv6_routes):
        routes = [(m, r) for m, r in read() if interface in (None, r.interface)]
        if routes:
            return min(routes, key=lambda entry: entry[0])[1]
    return None


def default_interfaces() -> set[str]:
    """Return the interfaces that have a default route of any metric."""
    return {r.interface for read in (_ipv4_routes, _ipv6_routes) for _, r in read()}


def _ipv4_routes() -> Iterator[tuple[int, Route]]:
    return _parsed("route", _ipv4_route)


def _ipv6_routes() -> Iterator[tuple[int, Route]]:
    return _parsed("ipv6_route", _ipv6_route)


def _parsed(
    name: str, parse: Callable[[list[str]], tuple[int, Route] | None]
) -> Iterator[tuple[int, Route]]:
    """Yield the default routes of a file with their metrics; skip odd lines."""
    for row in (read_text(_ROUTES / name) or "").splitlines():
        with suppress(ValueError):
            route = parse(row.split())
            if route is not None:
                yield route


def _ipv4_route(columns: list[str]) -> tuple[int, Route] | None:
    name, destination, gateway, flags, _, _, metric, mask, *_ = columns
    is_default = destination == mask == "00000000"
    if not is_default or int(flags, 16) & _REJECT:
        return None
    # The address is hexadecimal in host byte order.
    packed = int.from_bytes(bytes.fromhex(gateway), "little")
    address = str(ipaddress.IPv4Address(packed)) if packed else None
    return int(metric), Route(name, address)


def _ipv6_route(columns: list[str]) -> tuple[int, Route] | None:
    destination, length, _, _, gateway, metric, _, _, flags, name = columns
    is_default = length == "00" and not int(destination, 16)
    if not is_default or int(flags, 16) & _REJECT:
        return None
    return int(metric, 16), Route(name, _ipv6_gateway(gateway, name), version=6)


def _ipv6_gateway(text: str, interface: str) -> str | None:
    address = ipaddress.IPv6Address(bytes.fromhex(text))
    if address.is_unspecified:
        return None
    # A link-local address is valid only with its zone (RFC 4007).
    return f"{address}%{interface}" if address.is_link_local else str(address)
