"""Hosts and ports in texts. An IPv6 address is in brackets (RFC 3986, 3.2.2)."""

from __future__ import annotations

import ipaddress
import re

_HOST_PORT = re.compile(r"(?:\[([^\[\]\s]+)\]|([^\[\]/\s:]+))(?::(\d{1,5}))?")
_PORT_MAX = 65535


def split_host_port(text: str) -> tuple[str, int | None]:
    """Return the host without brackets, and the port or None. Raises ValueError."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or (match[1] and not is_ipv6(match[1])):
        raise ValueError("must be a host or host:port, with brackets around IPv6")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port <= _PORT_MAX:
        raise ValueError(f"must have a port from 1 to {_PORT_MAX}")
    return match[1] or match[2], port


def is_ipv6(text: str) -> bool:
    """Return True for an IPv6 address without brackets, also with a zone."""
    try:
        return isinstance(ipaddress.ip_address(text), ipaddress.IPv6Address)
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return True for an address or a name that is always this device itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def in_url(host: str) -> str:
    """Return a host as part of a URL or of a Host header."""
    return f"[{host}]" if ":" in host else host
