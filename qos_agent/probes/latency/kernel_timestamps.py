"""Timestamps and errors that Linux reports for datagrams.

With SO_TIMESTAMPING (Documentation/networking/timestamping.rst) the kernel stamps a
packet when the driver takes it and when it arrives. Delays of a busy processor and of
Python are therefore not measured. Send timestamps and errors are read from the
socket's error queue (ip(7)).
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
_FLAGS = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE | _OPT_ID | _OPT_TSONLY

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_ERROR_KINDS = {
    (socket.IPPROTO_IP, _IP_RECVERR),
    (socket.IPPROTO_IPV6, _IPV6_RECVERR),
}
_FROM_ICMP, _FROM_ICMPV6, _FROM_TIMESTAMPING = 2, 3, 4
_CONTROL_BYTES, _DATA_BYTES = 512, 2048

# Codes of ICMP type 3 (RFC 792; RFC 1812, 5.2.7.1). All others mean "unreachable".
_UNREACHABLE_CODES = {
    2: "refused",
    3: "refused",
    **dict.fromkeys((9, 10, 13), "prohibited"),
}
# Codes of ICMPv6 type 1 (RFC 4443, 3.1).
_UNREACHABLE_CODES_V6 = {4: "refused", **dict.fromkeys((1, 5, 6), "prohibited")}


@dataclass(frozen=True, slots=True)
class Datagram:
    """A received datagram, its source, and its two receive times.

    `user_ns` is monotonic; `kernel_ns` is CLOCK_REALTIME.
    """

    data: bytes
    source: str
    user_ns: int
    kernel_ns: int | None


@dataclass(frozen=True, slots=True)
class SendTimestamp:
    """The kernel's timestamp of the `index`-th datagram sent, counted from 0."""

    index: int
    kernel_ns: int


@dataclass(frozen=True, slots=True)
class SendError:
    """The error of an undelivered datagram; `data` is the quoted part of it."""

    data: bytes
    cause: str
    detail: str


def enable(sock: socket.socket) -> None:
    """Enable timestamps and error reports on a socket, and make it non-blocking."""
    sock.setblocking(False)
    # Without kernel timestamps the train uses its own clock; the reading records it.
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _FLAGS)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def outgoing(sock: socket.socket) -> Iterator[SendTimestamp | SendError]:
    """Read all send timestamps and errors from the socket's error queue."""
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
    """Read all datagrams from the socket's receive queue."""
    while True:
        try:
            data, control, _, source = sock.recvmsg(_DATA_BYTES, _CONTROL_BYTES)
        except BlockingIOError:
            return
        except OSError:
            return  # The error queue holds the same error with the packet it concerns.
        user_ns = time.monotonic_ns()
        yield Datagram(data, source[0], user_ns, _timestamp_ns(control))


def _timestamp_ns(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING):
            seconds, nanoseconds = struct.unpack_from("ll", data)
            return int(seconds) * 10**9 + int(nanoseconds) or None
    return None


def _outgoing(
    data: bytes, control: list[tuple[int, int, bytes]]
) -> SendTimestamp | SendError | None:
    for level, kind, payload in control:
        if (level, kind) not in _ERROR_KINDS:
            continue
        # struct sock_extended_err: errno, origin, type, code, pad, info, data
        number, origin, icmp_type, code, _, _, index = struct.unpack_from(
            "IBBBBII", payload
        )
        if origin == _FROM_TIMESTAMPING:
            sent_ns = _timestamp_ns(control)
            return SendTimestamp(index, sent_ns) if sent_ns else None
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
