"""Probes as STAMP packets (RFC 8762), which give loss in each direction.

Each train is a new session from a new port. A reply must come from the target, name a
probe of this train and return its timestamp. The low bits of the timestamp are random.
Therefore nobody can forge a reply without seeing the packets, even without a key.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator
from typing import Self

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency import kernel_timestamps, stamp_packets
from qos_agent.probes.latency.transport import (
    Answered,
    Departed,
    Event,
    Refused,
    Rejected,
)
from qos_agent.system import network

# 12 of the 32 fraction bits are below a microsecond, the resolution of the clock.
_RANDOM_BITS = 12
# RFC 5357, 4.1.2: test packets start with the maximum hop limit.
_HOP_LIMIT = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TTL),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
}


class StampTransport:
    """A session to one reflector; a context manager that closes the socket."""

    method = "stamp"

    def __init__(self, sock: socket.socket, key: bytes | None) -> None:
        """Take ownership of a connected socket; use `open_stamp` to create one."""
        self._sock = sock
        self._key = key
        self._departures: list[int] = []
        self._stamps: dict[int, int] = {}

    def __enter__(self) -> Self:
        """Return the transport itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._sock.close()

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        return self._sock.fileno()

    def send(self, number: int) -> None:
        """Send one test packet with `number` as its sequence number."""
        self._stamps[number] = stamp = _random_stamp()
        packet = stamp_packets.request(number, stamp, self._key)
        # Clear a pending error of an earlier probe, or this send would fail (ip(7)).
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._sock.send(packet)
        self._departures.append(number)

    def receive(self) -> Iterator[Event]:
        """Yield the timestamps, errors and replies that have arrived."""
        for event in kernel_timestamps.outgoing(self._sock):
            yield from self._departed(event)
        for datagram in kernel_timestamps.incoming(self._sock):
            yield self._answered(datagram)

    def _departed(
        self, event: kernel_timestamps.SendTimestamp | kernel_timestamps.SendError
    ) -> Iterator[Event]:
        if isinstance(event, kernel_timestamps.SendTimestamp):
            if event.index < len(self._departures):
                yield Departed(self._departures[event.index], event.kernel_ns)
            return
        # A router may quote eight octets only: the number and half the timestamp.
        number = int.from_bytes(event.data[:4], "big")
        if len(event.data) >= 4 and number in self._stamps:
            yield Refused(number, event.cause, event.detail)

    def _answered(self, datagram: kernel_timestamps.Datagram) -> Event:
        try:
            reply = stamp_packets.parse_reply(datagram.data, self._key)
        except ProbeError as error:
            return Rejected(error.cause)
        if self._stamps.get(reply.number) != reply.stamp:
            return Rejected("forged")
        return Answered(reply.number, datagram.user_ns, datagram.kernel_ns, reply.count)


def _random_stamp() -> int:
    return stamp_packets.ntp_stamp(time.time_ns()) ^ secrets.randbits(_RANDOM_BITS)


def open_stamp(
    address: str, port: int, link: Link | None, key: bytes | None
) -> StampTransport:
    """Open a session to a reflector over `link`, authenticated if `key` is not None.

    Raises ProbeError `binding`, `link_down`, and OSError if no route exists.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        network.bind(sock, link, address)
        sock.setsockopt(*_HOP_LIMIT[family], 255)
        kernel_timestamps.enable(sock)
        # After connect(2) the kernel drops packets from any other address.
        sock.connect(network.socket_address(address, port))
        return StampTransport(sock, key)
    except BaseException:
        sock.close()
        raise
