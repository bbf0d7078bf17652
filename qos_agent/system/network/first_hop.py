"""The first router of a link whose route names none, found by its own answer.

A point-to-point link has a device but no gateway. An echo that may make one hop only
is answered by whoever stands there: "time exceeded" (RFC 792).
"""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING

from qos_agent.model.errors import ProbeError

if TYPE_CHECKING:  # it brings asyncio along, which few links need
    from icmplib import ICMPv4Socket

# RFC 5737: an address of nobody's; the packet never gets beyond its first hop.
_NOBODY = "192.0.2.1"
_TRIES = 3


def first_hop(interface: str, within_s: float) -> str:
    """The address of the first router over `interface`.

    Raises ProbeError `permission` without CAP_NET_RAW, `timeout` where none answers.
    """
    import icmplib

    end_s = time.monotonic() + within_s
    try:
        with icmplib.ICMPv4Socket(privileged=True) as icmp:
            device = interface.encode()
            icmp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            for left in range(_TRIES, 0, -1):
                answer = _ask(icmp, (end_s - time.monotonic()) / left)
                if answer is not None:
                    return answer
    except icmplib.SocketPermissionError as error:
        raise ProbeError("permission", "the first hop needs CAP_NET_RAW") from error
    except icmplib.ICMPLibError as error:
        raise ProbeError("no_route", f"{interface}: {error}") from error
    raise ProbeError("timeout", f"{interface}: the first router does not answer")


def _ask(icmp: ICMPv4Socket, wait_s: float) -> str | None:
    from icmplib import ICMPRequest, TimeoutExceeded

    identifier = secrets.randbelow(0xFFFF) + 1
    request = ICMPRequest(_NOBODY, identifier, 1, ttl=1)
    icmp.send(request)
    try:
        return str(icmp.receive(request, max(0.05, wait_s)).source)
    except TimeoutExceeded:
        return None
