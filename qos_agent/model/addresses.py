"""Hosts and ports in texts. An IPv6 address is in brackets (RFC 3986, 3.2.2)."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_HOST_PORT = re.compile(r"(?:\[([^\[\]\s]+)\]|([^\[\]/\s:]+))(?::(\d{1,5}))?")
_PORT_MAX = 65535
# Labels of letters, digits, hyphens and underscores; no hyphen first or last (RFC 1123,
# 2.1). Some zones have names with underscores.
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_NAME_MAX_CHARACTERS = 254
# The kernel allows 15 bytes (IFNAMSIZ). It allows patterns and quotes too, but a name
# with them is a mistake, because nothing expands it.
INTERFACE = r"(?!-|\.{1,2}$)[A-Za-z0-9_.+-]{1,15}"
# A number is the index of an interface, which is never 0.
_ZONE = re.compile(rf"(?!0+$){INTERFACE}")
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")  # RFC 1122, 3.2.1.3


def split_host_port(text: str) -> tuple[str, int | None]:
    """Return the host without brackets, and the port or None. Raises ValueError."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or (match[1] and not is_ipv6(match[1])):
        raise ValueError("must be a host or host:port, with brackets around IPv6")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port <= _PORT_MAX:
        raise ValueError(f"must have a port from 1 to {_PORT_MAX}")
    host = match[1] or match[2]
    if not is_host(host):
        raise ValueError("must have a valid host name or address")
    return host, port


def is_ipv6(text: str) -> bool:
    """Return True for an IPv6 address without brackets, also with a zone."""
    try:
        return isinstance(ipaddress.ip_address(text), ipaddress.IPv6Address)
    except ValueError:
        return False


def is_host(text: str) -> bool:
    """Return True for an address, or for a name that a resolver may know.

    A text such as "--help" or "a b" is neither.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _is_name(text)
    return True


def _is_name(text: str) -> bool:
    try:
        name = text.encode("idna").decode("ascii")
    except ValueError:
        return False
    # A name that ends with a number is an address that is not complete.
    ends_with_number = name.rstrip(".").rpartition(".")[2].isdecimal()
    is_short = len(name) <= _NAME_MAX_CHARACTERS
    return is_short and not ends_with_number and bool(_NAME.fullmatch(name))


def is_loopback(host: str) -> bool:
    """Return True for an address or a name that is always this device itself."""
    try:
        return ipaddress.ip_address(plain(host)).is_loopback
    except ValueError:
        return host == "localhost"


def plain(address: str) -> str:
    """Return a numeric address as sockets use it. Raises ValueError.

    An IPv4 address that is mapped into IPv6 (RFC 4291, 2.5.5.2) is reached over IPv4.
    """
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(parsed if mapped is None else mapped)


def host_problem(address: str) -> str | None:
    """Return the reason why a numeric address is never that of one host, or None.

    Raises ValueError if the text is not an address.
    """
    text, _, zone = address.partition("%")
    parsed = ipaddress.ip_address(plain(text))
    if parsed.is_multicast:
        return "must not be a multicast address"
    if zone and not parsed.is_link_local:
        return "must not have a zone; only link-local addresses (fe80::/10) have one"
    if zone and not _ZONE.fullmatch(zone):
        return "must have the name of a network interface after the %"
    if parsed.is_unspecified or parsed in _THIS_NETWORK:
        return "must not be an address of no host (0.0.0.0/8 or ::)"
    # IPv6 ranges that Python takes for reserved contain NAT64 (RFC 6052).
    if parsed.version == 4 and parsed.is_reserved:
        return "must not be a broadcast or reserved address"
    return None


def needs_zone(host: str) -> bool:
    """Return True for a link-local IPv6 address without its zone (RFC 4007)."""
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    return parsed.version == 6 and parsed.is_link_local and "%" not in host


def without_zone(host: str) -> str:
    """Return a host as other devices know it: a zone is valid on this device alone."""
    return host.partition("%")[0]


def host_in(url: str) -> str:
    """Return the host of a URL that has passed the checks; a zone follows one `%`."""
    return (urlsplit(url).hostname or "").replace("%25", "%")  # RFC 6874


def in_url(host: str) -> str:
    """Return a host as part of a Host header, without the zone (RFC 6874, 4)."""
    return f"[{without_zone(host)}]" if ":" in host else host
