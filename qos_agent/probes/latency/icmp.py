"""Probes as ICMP echoes: a ping socket first, a raw one where only that is allowed.

A ping socket (Linux 3.0) needs no privilege, takes its identifier from bind(2), and
gets only its own answers. Identifier and token are random per train, so that agents
behind one translated address never take each other's answers for their own.
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
_IDENTIFIERS_TRIED = 8
# linux/icmp.h and linux/icmpv6.h: raw sockets need no more than echo replies.
_SOL_RAW, _ICMP_FILTER, _ICMPV6_FILTER = 255, 1, 1
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}


class IcmpTransport:
    """Echo requests to one address; used in a `with`, which closes it."""

    method = "icmp"

    def __init__(self, sock: socket.socket, identifier: int, peer: str) -> None:
        """Take over a connected socket; `open_icmp` makes them."""
        self.kind = "raw" if sock.type == socket.SOCK_RAW else "ping"
        self._sock = sock
        self._identifier = identifier
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        self._request, self._reply = _ECHO[sock.family]
        self._peer = peer
        self._departures: list[int] = []

    def fileno(self) -> int:
        """The socket."""
        return self._sock.fileno()

    def __enter__(self) -> Self:
        """The transport itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._sock.close()

    def send(self, number: int) -> None:
        """One echo request, `number` as its sequence number."""
        # An error that answers an earlier probe would be this send's (ip(7)).
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._sock.send(self._packet(number))
        self._departures.append(number)

    def receive(self) -> Iterator[Event]:
        """Stamps, errors and answers that have come in."""
        for event in kernel_timestamps.outgoing(self._sock):
            yield from self._departed(event)
        for datagram in kernel_timestamps.incoming(self._sock):
            number = self._answered(datagram)
            if number is not None:
                yield Answered(number, datagram.user_ns, datagram.kernel_ns)

    def _packet(self, number: int) -> bytes:
        payload = self._token + _PADDING
        header = _HEADER.pack(self._request, 0, 0, self._identifier, number)
        # Only a raw IPv4 socket leaves the checksum to us; elsewhere it is replaced.
        sum_ = checksum(header + payload)
        header = _HEADER.pack(self._request, 0, sum_, self._identifier, number)
        return header + payload

    def _departed(
        self, event: kernel_timestamps.SendStamp | kernel_timestamps.SendError
    ) -> Iterator[Event]:
        if isinstance(event, kernel_timestamps.SendStamp):
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
        """The sequence number of an echo of ours; None for anything else."""
        if len(data) < _HEADER.size:
            return None
        kind, _, _, identifier, number = _HEADER.unpack_from(data)
        ours = kind == expected and identifier == self._identifier
        return int(number) if ours else None


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071) of an even number of octets."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def open_icmp(address: str, link: Link | None) -> IcmpTransport:
    """A transport to `address` over `link`, unprivileged where that is allowed.

    Raises ProbeError `permission`, `binding`, `link_down`, `no_route`.
    """
    try:
        return _open(address, link, socket.SOCK_DGRAM)
    except PermissionError:
        pass  # net.ipv4.ping_group_range leaves this process out
    try:
        return _open(address, link, socket.SOCK_RAW)
    except PermissionError as error:
        detail = "neither net.ipv4.ping_group_range nor CAP_NET_RAW allow ICMP"
        raise ProbeError("permission", detail) from error


def _open(address: str, link: Link | None, kind: socket.SocketKind) -> IcmpTransport:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = (
        socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    )
    sock = socket.socket(family, kind, protocol)
    try:
        identifier = _bind(sock, link, address)
        if kind == socket.SOCK_RAW:
            _filter(sock)
        kernel_timestamps.enable(sock)
        peer = network.socket_address(address, 0)
        sock.connect(peer)
        return IcmpTransport(sock, identifier, peer[0])
    except BaseException:
        sock.close()
        raise


def _bind(sock: socket.socket, link: Link | None, address: str) -> int:
    """Tie the socket to the link and choose an identifier that nobody else has."""
    for attempt in range(_IDENTIFIERS_TRIED):
        identifier = secrets.randbelow(0xFFFF) + 1
        port = identifier if sock.type == socket.SOCK_DGRAM else 0
        try:
            network.bind(sock, link, address, port)
        except OSError as error:
            last = attempt == _IDENTIFIERS_TRIED - 1
            if error.errno != errno.EADDRINUSE or last:
                raise
        else:
            return identifier
    raise AssertionError("the last attempt returns or raises")


def _filter(sock: socket.socket) -> None:
    """Let only echo replies in: a raw socket would get every ICMP message."""
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
