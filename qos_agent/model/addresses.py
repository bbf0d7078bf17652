"""Hosts and ports in texts. An IPv6 address is in brackets (RFC 3986, 3.2.2)."""

from __future__ import annotations

import ipaddress
import re

_HOST_PORT = re.compile(r"(?:\[([^\[\]\s]+)\]|([^\[\]/\s:]+))(?::(\d{1,5}))?")
_PORT_MAX = 65535
# Labels of letters, digits, hyphens and underscores; no hyphen first or last (RFC 1123,
# 2.1). Some zones have names with underscores.
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_NAME_MAX_CHARACTERS = 254


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
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def in_url(host: str) -> str:
    """Return a host as part of a URL or of a Host header."""
    return f"[{host}]" if ":" in host else host
