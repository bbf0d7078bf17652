"""Probes as ICMP echoes over a ping socket, or over a raw socket as a fallback.

A ping socket (Linux 3.0) needs no privilege, takes its identifier from bind(2), and
receives only its own replies. Identifier and token are random for each train.
Therefore agents behind one NAT address never accept each other's replies.
"""

from __future__ import annotations

import errno
import secrets
import socket
import struct
from collections.abc import Iterator
from typing import Self

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency import kernel_timestamps
from qos_agent.probes.latency.transport import Answered, Departed, Event, Refused
from qos_agent.system import network

_HEADER = struct.Struct("!BBHHH")
_TOKEN_BYTES = 8
# 56 octets of payload, 84 with the headers of IPv4: what ping sends.
_PADDING = bytes(56 - _TOKEN_BYTES)
_BIND_ATTEMPTS = 8
# linux/icmp.h and linux/icmpv6.h; a raw socket should receive echo replies only.
_SOL_RAW, _ICMP_FILTER, _ICMPV6_FILTER = 255, 1, 1
# Without privilege first. Kernels without ping sockets, such as the first WSL, do not
# support the protocol.
_KINDS = (socket.SOCK_DGRAM, socket.SOCK_RAW)
_CLOSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EPROTONOSUPPORT,
    errno.ESOCKTNOSUPPORT,
}
NOT_PERMITTED = "neither net.ipv4.ping_group_range nor CAP_NET_RAW allows ICMP"
FIX = (
    "echo 'net.ipv4.ping_group_range = 0 2147483647' | sudo tee "
    "/etc/sysctl.d/99-qos-agent.conf && sudo /usr/lib/systemd/systemd-sysctl "
    "--prefix=/net/ipv4/ping_group_range"
)
"""The command that allows every user to send ICMP echoes."""
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}


class IcmpTransport:
    """Echo requests to one address; a context manager that closes the socket."""

    method = "icmp"

    def __init__(self, sock: socket.socket, identifier: int, peer: str) -> None:
        """Take ownership of a connected socket; use `open_icmp` to create one."""
        self.kind = "raw" if sock.type == socket.SOCK_RAW else "ping"
        self._sock = sock
        self._identifier = identifier
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        self._request, self._reply = _ECHO[sock.family]
        self._peer = peer
        self._departures: list[int] = []

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        return self._sock.fileno()

    def __enter__(self) -> Self:
        """Return the transport itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._sock.close()

    def send(self, number: int) -> None:
        """Send one echo request with `number` as its sequence number."""
        # Clear a pending error of an earlier probe, or this send would fail (ip(7)).
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._sock.send(self._packet(number))
        self._departures.append(number)

    def receive(self) -> Iterator[Event]:
        """Yield the timestamps, errors and replies that have arrived."""
        for event in kernel_timestamps.outgoing(self._sock):
            yield from self._departed(event)
        for datagram in kernel_timestamps.incoming(self._sock):
            number = self._answered(datagram)
            if number is not None:
                yield Answered(number, datagram.user_ns, datagram.kernel_ns)

    def _packet(self, number: int) -> bytes:
        payload = self._token + _PADDING
        header = _HEADER.pack(self._request, 0, 0, self._identifier, number)
        # Only raw IPv4 sockets need this checksum; the kernel fills in the others.
        checksum = internet_checksum(header + payload)
        header = _HEADER.pack(self._request, 0, checksum, self._identifier, number)
        return header + payload

    def _departed(
        self, event: kernel_timestamps.SendTimestamp | kernel_timestamps.SendError
    ) -> Iterator[Event]:
        if isinstance(event, kernel_timestamps.SendTimestamp):
            if event.index < len(self._departures):
                yield Departed(self._departures[event.index], event.kernel_ns)
            return
        number = self._number(event.data, self._request)
        if number is not None:
            yield Refused(number, event.cause, event.detail)

    def _answered(self, datagram: kernel_timestamps.Datagram) -> int | None:
        if datagram.source != self._peer:
            return None
        data = datagram.data
        if self.kind == "raw" and self._sock.family == socket.AF_INET:
            data = data[(data[0] & 0x0F) * 4 :]
        if data[_HEADER.size :][:_TOKEN_BYTES] != self._token:
            return None
        return self._number(data, self._reply)

    def _number(self, data: bytes, expected: int) -> int | None:
        """Return the sequence number of an echo of this train; else None."""
        if len(data) < _HEADER.size:
            return None
        kind, _, _, identifier, number = _HEADER.unpack_from(data)
        is_own = kind == expected and identifier == self._identifier
        return int(number) if is_own else None


def internet_checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071) of an even number of octets."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_permitted() -> bool:
    """Return True if this process can open a ping socket or a raw socket."""
    for kind in _KINDS:
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except OSError as error:
            if error.errno in _CLOSED:
                continue
        return True
    return False


def open_icmp(address: str, link: Link | None) -> IcmpTransport:
    """Open a transport to `address` over `link`, unprivileged if possible.

    Raises ProbeError `permission`, `binding`, `link_down`, `no_route`.
    """
    for kind in _KINDS:
        try:
            return _open(address, link, kind)
        except OSError as error:
            if error.errno not in _CLOSED:
                raise
    raise ProbeError("permission", NOT_PERMITTED)


def _open(address: str, link: Link | None, kind: socket.SocketKind) -> IcmpTransport:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = (
        socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    )
    sock = socket.socket(family, kind, protocol)
    try:
        identifier = _bind(sock, link, address)
        if kind == socket.SOCK_RAW:
            _accept_echo_replies_only(sock)
        kernel_timestamps.enable(sock)
        peer = network.socket_address(address, 0)
        sock.connect(peer)
        return IcmpTransport(sock, identifier, peer[0])
    except BaseException:
        sock.close()
        raise


def _bind(sock: socket.socket, link: Link | None, address: str) -> int:
    """Bind the socket to the link and to a free random identifier; return it."""
    for attempt in range(_BIND_ATTEMPTS):
        identifier = secrets.randbelow(0xFFFF) + 1
        port = identifier if sock.type == socket.SOCK_DGRAM else 0
        try:
            network.bind(sock, link, address, port)
        except OSError as error:
            is_last = attempt == _BIND_ATTEMPTS - 1
            if error.errno != errno.EADDRINUSE or is_last:
                raise
        else:
            return identifier
    raise AssertionError("the last attempt returns or raises")


def _accept_echo_replies_only(sock: socket.socket) -> None:
    """Set a filter, because a raw socket receives every ICMP message."""
    _, reply = _ECHO[sock.family]
    if sock.family == socket.AF_INET:
        sock.setsockopt(
            _SOL_RAW, _ICMP_FILTER, struct.pack("I", ~(1 << reply) & 0xFFFFFFFF)
        )
    else:
        blocked = bytearray(b"\xff" * 32)
        word, bit = divmod(reply, 32)
        struct.pack_into("I", blocked, word * 4, 0xFFFFFFFF & ~(1 << bit))
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, bytes(blocked))
