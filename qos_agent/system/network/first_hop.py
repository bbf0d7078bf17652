"""Finds the first router of a link whose route contains no gateway.

The route of a point-to-point link has a device but no gateway. The first router
answers an echo request of one hop with "time exceeded" (RFC 792, RFC 4443).
"""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING

from qos_agent.model.errors import ProbeError
from qos_agent.system.network.hop_query import query_first_hop
from qos_agent.system.network.route_query import BEYOND, IPV6

if TYPE_CHECKING:  # icmplib imports asyncio, which few links need
    from icmplib import ICMPv4Socket, ICMPv6Socket

_TRIES = 3


def first_hop(interface: str, version: int, within_s: float) -> str:
    """Return the address of the first router over `interface` in an IP version.

    Raises ProbeError `permission` without ping sockets and CAP_NET_RAW, `timeout` if no
    router answers.
    """
    import icmplib

    end_s = time.monotonic() + within_s
    try:
        kind = icmplib.ICMPv6Socket if version == IPV6 else icmplib.ICMPv4Socket
        with kind(privileged=True) as icmp:
            device = interface.encode()
            icmp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            for tries_left in range(_TRIES, 0, -1):
                router = _query(icmp, version, (end_s - time.monotonic()) / tries_left)
                if router is not None:
                    return _with_zone(router, interface)
    except icmplib.SocketPermissionError:
        return _by_ping_socket(interface, version, within_s)
    except icmplib.ICMPLibError as error:
        raise ProbeError("no_route", f"{interface}: {error}") from error
    raise ProbeError("timeout", f"{interface}: the first router does not answer")


def _by_ping_socket(interface: str, version: int, within_s: float) -> str:
    """Find the router without a capability, as the installed service must."""
    try:
        router = query_first_hop(interface, version, within_s, _TRIES)
    except PermissionError as error:
        detail = "finding the first router needs ping sockets or CAP_NET_RAW"
        raise ProbeError("permission", detail) from error
    except OSError as error:
        detail = f"{interface}: {error.strerror or error}"
        raise ProbeError("no_route", detail) from error
    if router is None:
        raise ProbeError("timeout", f"{interface}: the first router does not answer")
    return _with_zone(router, interface)


def _with_zone(router: str, interface: str) -> str:
    """Return an address; a link-local one is valid only with its zone (RFC 4007)."""
    local = router.startswith("fe80:") and "%" not in router
    return f"{router}%{interface}" if local else router


def _query(
    icmp: ICMPv4Socket | ICMPv6Socket, version: int, wait_s: float
) -> str | None:
    """Send one echo request; return the address of the router that answers."""
    from icmplib import ICMPRequest, TimeoutExceeded

    identifier = secrets.randbelow(0xFFFF) + 1
    request = ICMPRequest(BEYOND[version], identifier, 1, ttl=1)
    icmp.send(request)
    try:
        return str(icmp.receive(request, max(0.05, wait_s)).source)
    except TimeoutExceeded:
        return None
