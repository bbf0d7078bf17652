"""What Linux tells of a datagram beside its bytes: stamps, and errors on the way.

SO_TIMESTAMPING (Documentation/networking/timestamping.rst) stamps a packet as the
driver takes it and as it comes in, so that neither a busy processor nor Python is
measured. What left and what failed is read from the socket's error queue (ip(7)).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from qos_agent.system.network import cause_of

_SO_TIMESTAMPING = 37
_TX_SOFTWARE, _RX_SOFTWARE, _SOFTWARE = 1 << 1, 1 << 3, 1 << 4
_OPT_ID, _OPT_TSONLY = 1 << 7, 1 << 11
_STAMPS = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE | _OPT_ID | _OPT_TSONLY

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_ERROR_KINDS = {
    (socket.IPPROTO_IP, _IP_RECVERR),
    (socket.IPPROTO_IPV6, _IPV6_RECVERR),
}
_FROM_ICMP, _FROM_ICMPV6, _FROM_STAMPS = 2, 3, 4
_CONTROL_BYTES, _DATA_BYTES = 512, 2048

# RFC 792 and RFC 1812, 5.2.7.1: type 3 by its code; the rest is plain unreachable.
_UNREACHABLE_CODES = {
    2: "refused",
    3: "refused",
    **dict.fromkeys((9, 10, 13), "prohibited"),
}
# RFC 4443, 3.1: type 1 by its code.
_UNREACHABLE_CODES_V6 = {4: "refused", **dict.fromkeys((1, 5, 6), "prohibited")}


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram that came in: whence, when (monotonic), and the kernel's stamp."""

    data: bytes
    source: str
    user_ns: int
    kernel_ns: int | None


@dataclass(frozen=True, slots=True)
class SendStamp:
    """The kernel's stamp of the `index`-th datagram sent, counted from 0."""

    index: int
    kernel_ns: int


@dataclass(frozen=True, slots=True)
class SendError:
    """Why a datagram was not delivered; `data` is what the error quotes of it."""

    data: bytes
    cause: str
    detail: str


def enable(sock: socket.socket) -> None:
    """Ask for stamps and for errors. Without stamps the train falls back by itself."""
    sock.setblocking(False)
    with suppress(OSError):  # without them: user stamps, and the reading says so
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _STAMPS)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def outgoing(sock: socket.socket) -> Iterator[SendStamp | SendError]:
    """Empty the error queue: stamps of what left, errors of what did not arrive."""
    while True:
        try:
            data, control, _, _ = sock.recvmsg(
                _DATA_BYTES, _CONTROL_BYTES, socket.MSG_ERRQUEUE
            )
        except BlockingIOError:
            return
        event = _outgoing(data, control)
        if event is not None:
            yield event


def incoming(sock: socket.socket) -> Iterator[Datagram]:
    """Empty the receive queue."""
    while True:
        try:
            data, control, _, source = sock.recvmsg(_DATA_BYTES, _CONTROL_BYTES)
        except BlockingIOError:
            return
        except OSError:
            return  # it waits in the error queue as well, with what it is about
        user_ns = time.monotonic_ns()
        yield Datagram(data, source[0], user_ns, _stamp_ns(control))


def _stamp_ns(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING):
            seconds, nanoseconds = struct.unpack_from("ll", data)
            return int(seconds) * 10**9 + int(nanoseconds) or None
    return None


def _outgoing(
    data: bytes, control: list[tuple[int, int, bytes]]
) -> SendStamp | SendError | None:
    for level, kind, found in control:
        if (level, kind) not in _ERROR_KINDS:
            continue
        # struct sock_extended_err: errno, origin, type, code, pad, info, data
        number, origin, icmp_type, code, _, _, index = struct.unpack_from(
            "IBBBBII", found
        )
        if origin == _FROM_STAMPS:
            stamp_ns = _stamp_ns(control)
            return SendStamp(index, stamp_ns) if stamp_ns else None
        cause = _cause(origin, icmp_type, code) or cause_of(OSError(number, ""))
        return SendError(data, cause, os.strerror(number))
    return None


def _cause(origin: int, icmp_type: int, code: int) -> str | None:
    if origin == _FROM_ICMP:
        by_type = {3: _UNREACHABLE_CODES.get(code, "unreachable"), 11: "ttl_exceeded"}
    elif origin == _FROM_ICMPV6:
        by_type = {1: _UNREACHABLE_CODES_V6.get(code, "unreachable"), 3: "ttl_exceeded"}
    else:
        return None
    return by_type.get(icmp_type, "unreachable")
