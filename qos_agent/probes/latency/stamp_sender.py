"""Probes as STAMP packets (RFC 8762): loss that says which way it happened.

Each train is a session of its own, from a port of its own. An answer must come from
the target, name a probe of this train and give back its time stamp, whose low bits
are random: who does not see the packets cannot make one up, even without a key.
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

# Below a microsecond no clock of ours knows anything: 12 of NTP's 32 bits.
_RANDOM_BITS = 12
# RFC 5357, 4.1.2: test packets start with the greatest hop limit.
_HOP_LIMIT = {
    socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TTL),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
}


class StampTransport:
    """A session to one reflector; used in a `with`, which closes it."""

    method = "stamp"

    def __init__(self, sock: socket.socket, key: bytes | None) -> None:
        """Take over a connected socket; `open_stamp` makes them."""
        self._sock = sock
        self._key = key
        self._departures: list[int] = []
        self._stamps: dict[int, int] = {}

    def __enter__(self) -> Self:
        """The transport itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._sock.close()

    def fileno(self) -> int:
        """The socket."""
        return self._sock.fileno()

    def send(self, number: int) -> None:
        """One test packet, `number` as its sequence number."""
        self._stamps[number] = own = _own_stamp()
        packet = stamp_packets.request(number, own, self._key)
        # An error that answers an earlier probe would be this send's (ip(7)).
        self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._sock.send(packet)
        self._departures.append(number)

    def receive(self) -> Iterator[Event]:
        """Stamps, errors and answers that have come in."""
        for event in kernel_timestamps.outgoing(self._sock):
            yield from self._departed(event)
        for datagram in kernel_timestamps.incoming(self._sock):
            yield self._answered(datagram)

    def _departed(
        self, event: kernel_timestamps.SendStamp | kernel_timestamps.SendError
    ) -> Iterator[Event]:
        if isinstance(event, kernel_timestamps.SendStamp):
            if event.index < len(self._departures):
                yield Departed(self._departures[event.index], event.kernel_ns)
            return
        # A router may quote no more than eight octets: our number and half a stamp.
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


def _own_stamp() -> int:
    return stamp_packets.ntp_stamp(time.time_ns()) ^ secrets.randbits(_RANDOM_BITS)


def open_stamp(
    address: str, port: int, link: Link | None, key: bytes | None
) -> StampTransport:
    """A session to a reflector over `link`, authenticated where there is a key.

    Raises ProbeError `binding`, `link_down`; OSError where there is no route.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        network.bind(sock, link, address)
        sock.setsockopt(*_HOP_LIMIT[family], 255)
        kernel_timestamps.enable(sock)
        # Connected: the kernel drops what comes from anywhere else.
        sock.connect(network.socket_address(address, port))
        return StampTransport(sock, key)
    except BaseException:
        sock.close()
        raise
