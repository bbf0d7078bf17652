"""Round trips under load: ICMP echoes at fixed moments, whatever has come back.

Open loop: a prober that waits for each answer samples least when the queue is
longest. Millisecond accuracy is enough here, so that the clock is the caller's loop.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from qos_agent.errors import ProbeError
from qos_agent.model import Link
from qos_agent.network import bind
from qos_agent.probes.throughput.backend import LoadedRtt

SPACING_S = 0.1
# The one place beside the latency probe that sends pings; so small that at 1 Mbit/s
# they are 0.4 % of the link.
_PAYLOAD = struct.Struct("!8s")
_HEADER = struct.Struct("!BBHHH")
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}  # RFC 792, RFC 4443
_IP_HEADER_BYTES = {socket.AF_INET: 20, socket.AF_INET6: 40}
_PROTOCOL = {
    socket.AF_INET: socket.IPPROTO_ICMP,
    socket.AF_INET6: socket.IPPROTO_ICMPV6,
}


class EchoTrain:
    """Echoes to one address on one link; without the right to send, it sends none."""

    def __init__(self, address: str, link: Link | None) -> None:
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._address = address
        self._mark = os.urandom(8)
        self._sent_at_s: dict[int, float] = {}
        self._rtts_s: list[float] = []
        self._next_s = 0.0
        self.sock = self._open(link)

    def _open(self, link: Link | None) -> socket.socket | None:
        """A ping socket, or a raw one: which is allowed differs between systems."""
        for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                sock = socket.socket(self._family, kind, _PROTOCOL[self._family])
            except OSError:
                continue
            try:
                bind(sock, link, self._address)
                sock.setblocking(False)
            except (OSError, ProbeError):
                sock.close()
                continue
            return sock
        return None

    def close(self) -> None:
        """Close the socket."""
        if self.sock is not None:
            self.sock.close()

    def begin(self, now_s: float) -> None:
        """From now on echoes are due."""
        self._next_s = now_s + SPACING_S / 2

    def send_due(self, now_s: float) -> None:
        """Send the echo that is due, if one is."""
        if self.sock is None or self._next_s == 0.0 or now_s < self._next_s:
            return
        self._next_s += SPACING_S
        number = len(self._sent_at_s)
        try:
            self.sock.sendto(self._packet(number), (self._address, 0))
        except OSError:
            return
        self._sent_at_s[number] = time.monotonic()

    def receive(self) -> None:
        """Take the answers that have come."""
        while self.sock is not None:
            try:
                packet = self.sock.recv(512)
            except OSError:
                return
            self._take(packet, time.monotonic())

    def _take(self, packet: bytes, now_s: float) -> None:
        # Raw IPv4 sockets give the IP header too; the mark says where ours begins.
        at = packet.find(self._mark)
        if at < _HEADER.size:
            return
        kind, _, _, _, number = _HEADER.unpack_from(packet, at - _HEADER.size)
        if kind != _ECHO[self._family][0] and number in self._sent_at_s:
            self._rtts_s.append(now_s - self._sent_at_s[number])

    def _packet(self, number: int) -> bytes:
        kind = _ECHO[self._family][0]
        body = _PAYLOAD.pack(self._mark)
        plain = _HEADER.pack(kind, 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF) + body
        # Ping sockets and ICMPv6 fill the checksum in; a raw IPv4 socket does not.
        total = _checksum(plain)
        return plain[:2] + struct.pack("!H", total) + plain[4:]

    def latest_s(self) -> float | None:
        """The last round trip; None before the first."""
        return self._rtts_s[-1] if self._rtts_s else None

    def sent_bytes(self, header_bytes: int) -> int:
        """What the echoes were on the wire."""
        return len(self._sent_at_s) * self._size(header_bytes)

    def answered_bytes(self, header_bytes: int) -> int:
        """What their answers were on the wire."""
        return len(self._rtts_s) * self._size(header_bytes)

    def _size(self, header_bytes: int) -> int:
        echo_bytes = _HEADER.size + _PAYLOAD.size
        return header_bytes + _IP_HEADER_BYTES[self._family] + echo_bytes

    def result(self) -> LoadedRtt | None:
        """What was sampled; None where nobody answers echoes, which is no loss."""
        if not self._rtts_s:
            return None
        ordered = sorted(self._rtts_s)
        return LoadedRtt(
            sent=len(self._sent_at_s),
            received=len(ordered),
            sum_us=round(sum(ordered) * 1e6),
            p50_ms=_quantile(ordered, 0.5) * 1e3,
            p95_ms=_quantile(ordered, 0.95) * 1e3,
        )


def _checksum(packet: bytes) -> int:
    """RFC 1071, over an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _quantile(ordered: list[float], share: float) -> float:
    """Nearest rank."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
