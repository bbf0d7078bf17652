"""The default routes of the device, IPv4 and IPv6, as the kernel lists them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def default_route(interface: str | None = None) -> Route | None:
    """Return the default route with the lowest metric; IPv4 comes before IPv6.

    With `interface` only the routes of that interface count.
    """
    for read in (_ipv4_routes, _ipv6_routes):
        routes = [(m, r) for m, r in read() if interface in (None, r.interface)]
        if routes:
            return min(routes, key=lambda entry: entry[0])[1]
    return None


def _ipv4_routes() -> Iterator[tuple[int, Route]]:
    for row in _rows("route")[1:]:
        name, destination, gateway, flags, _, _, metric, mask, *_ = row.split()
        is_default = destination == mask == "00000000"
        if is_default and not int(flags, 16) & _REJECT:
            # The address is hexadecimal in host byte order.
            packed = int.from_bytes(bytes.fromhex(gateway), "little")
            address = str(ipaddress.IPv4Address(packed)) if packed else None
            yield int(metric), Route(name, address)


def _ipv6_routes() -> Iterator[tuple[int, Route]]:
    for row in _rows("ipv6_route"):
        destination, length, _, _, gateway, metric, _, _, flags, name = row.split()
        is_default = length == "00" and not int(destination, 16)
        if is_default and not int(flags, 16) & _REJECT:
            yield int(metric, 16), Route(name, _ipv6_gateway(gateway, name))


def _ipv6_gateway(text: str, interface: str) -> str | None:
    address = ipaddress.IPv6Address(bytes.fromhex(text))
    if address.is_unspecified:
        return None
    # A link-local address is valid only with its zone (RFC 4007).
    return f"{address}%{interface}" if address.is_link_local else str(address)


def _rows(name: str) -> list[str]:
    try:
        return (_ROUTES / name).read_text().splitlines()
    except FileNotFoundError:  # The kernel has no IPv6.
        return []
