"""Finds the first router with a ping socket, which needs no capability (icmp(7)).

The kernel puts the router's "time exceeded" into the error queue of the socket, see
IP_RECVERR in ip(7) and IPV6_RECVERR in ipv6(7).
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass

from qos_agent.system.network.route_query import BEYOND, IPV6

# Constants of <linux/in.h>, <linux/in6.h> and <linux/errqueue.h>.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
# struct sock_extended_err, with the address of the sender after it.
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_DATA_BYTES = 512


@dataclass(frozen=True, slots=True)
class _Kind:
    """The constants of one IP version."""

    family: int
    protocol: int
    level: int
    hops: int
    receive_errors: int
    origin: int
    request_type: int
    exceeded_type: int
    address: slice


_IPV4_KIND = _Kind(
    family=socket.AF_INET,
    protocol=socket.IPPROTO_ICMP,
    level=socket.IPPROTO_IP,
    hops=socket.IP_TTL,
    receive_errors=_IP_RECVERR,
    origin=_ORIGIN_ICMP,
    request_type=8,
    exceeded_type=11,
    address=slice(4, 8),
)
_IPV6_KIND = _Kind(
    family=socket.AF_INET6,
    protocol=socket.IPPROTO_ICMPV6,
    level=socket.IPPROTO_IPV6,
    hops=socket.IPV6_UNICAST_HOPS,
    receive_errors=_IPV6_RECVERR,
    origin=_ORIGIN_ICMP6,
    request_type=128,
    exceeded_type=3,
    address=slice(8, 24),
)


def query_first_hop(
    interface: str, version: int, within_s: float, tries: int
) -> str | None:
    """Return the address of the router that answers, or None if none does.

    Raises OSError, PermissionError if ping sockets are forbidden.
    """
    kind = _IPV6_KIND if version == IPV6 else _IPV4_KIND
    end_s = time.monotonic() + within_s
    with socket.socket(kind.family, socket.SOCK_DGRAM, kind.protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.setsockopt(kind.level, kind.hops, 1)
        sock.setsockopt(kind.level, kind.receive_errors, 1)
        for tries_left in range(tries, 0, -1):
            # Type, code, and fields that the kernel fills in.
            sock.sendto(bytes((kind.request_type, *bytes(7))), (BEYOND[version], 0))
            wait_s = max(0.05, (end_s - time.monotonic()) / tries_left)
            router = _answer(sock, kind, wait_s)
            if router is not None:
                return router
    return None


def _answer(sock: socket.socket, kind: _Kind, wait_s: float) -> str | None:
    waiting = select.poll()
    waiting.register(sock, 0)  # errors are always reported
    if not waiting.poll(wait_s * 1000):
        return None
    _, ancillary, _, _ = sock.recvmsg(_DATA_BYTES, _DATA_BYTES, socket.MSG_ERRQUEUE)
    found = (
        _router(data, kind)
        for level, name, data in ancillary
        if (level, name) == (kind.level, kind.receive_errors)
    )
    return next(filter(None, found), None)


def _router(data: bytes, kind: _Kind) -> str | None:
    """Return the sender of a "time exceeded"; None for another error."""
    if len(data) < _EXTENDED_ERROR.size + kind.address.stop:
        return None
    _, origin, error_type, *_ = _EXTENDED_ERROR.unpack_from(data)
    if (origin, error_type) != (kind.origin, kind.exceeded_type):
        return None
    sender = data[_EXTENDED_ERROR.size :]
    return socket.inet_ntop(kind.family, sender[kind.address])
