"""Finds the first router of a link whose route contains no gateway.

The route of a point-to-point link has a device but no gateway. The first router
answers an echo request of one hop with "time exceeded" (RFC 792).
"""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING

from qos_agent.model.errors import ProbeError

if TYPE_CHECKING:  # icmplib imports asyncio, which few links need
    from icmplib import ICMPv4Socket

# An address for documentation (RFC 5737). The packet ends at its first hop.
_BEYOND = "192.0.2.1"
_TRIES = 3


def first_hop(interface: str, within_s: float) -> str:
    """Return the address of the first router over `interface`.

    Raises ProbeError `permission` without CAP_NET_RAW, `timeout` if no router answers.
    """
    import icmplib

    end_s = time.monotonic() + within_s
    try:
        with icmplib.ICMPv4Socket(privileged=True) as icmp:
            device = interface.encode()
            icmp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            for tries_left in range(_TRIES, 0, -1):
                router = _query(icmp, (end_s - time.monotonic()) / tries_left)
                if router is not None:
                    return router
    except icmplib.SocketPermissionError as error:
        raise ProbeError(
            "permission", "finding the first router needs CAP_NET_RAW"
        ) from error
    except icmplib.ICMPLibError as error:
        raise ProbeError("no_route", f"{interface}: {error}") from error
    raise ProbeError("timeout", f"{interface}: the first router does not answer")


def _query(icmp: ICMPv4Socket, wait_s: float) -> str | None:
    """Send one echo request; return the address of the router that answers."""
    from icmplib import ICMPRequest, TimeoutExceeded

    identifier = secrets.randbelow(0xFFFF) + 1
    request = ICMPRequest(_BEYOND, identifier, 1, ttl=1)
    icmp.send(request)
    try:
        return str(icmp.receive(request, max(0.05, wait_s)).source)
    except TimeoutExceeded:
        return None
