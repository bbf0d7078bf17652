"""A STAMP Session-Reflector (RFC 8762), which answers test packets.

It is safe to expose to the internet:
- A packet gets at most one reply, and a reply is never longer than its request.
- The rate is limited for each source and in total.
- Packets from a service port get no reply, because two reflectors would otherwise
  answer each other endlessly.
- Memory for sources and sessions is bounded.
- With a key, only senders that share the key get replies.
"""

from __future__ import annotations

import ipaddress
import selectors
import socket
import struct
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency import stamp_packets

_IP_PKTINFO, _IP_TTL, _IP_RECVTTL = 8, 2, 12
_LONGEST_BYTES, _CONTROL_BYTES = 2048, 256
# Packets to read from one socket before the other sockets and the stop are checked.
_BATCH_PACKETS = 64
# Session-Senders use dynamic ports; lower ports belong to services (RFC 6335, 6).
_MIN_SOURCE_PORT = 1024
# A session without packets for REFWAIT (RFC 5357, 3.1) has ended.
_REFWAIT_S = 900.0
_REPORT_S = 60.0


@dataclass(frozen=True, slots=True)
class ReflectorLimits:
    """Maximum replies per second, and maximum numbers of sources and sessions.

    Many agents can be behind one NAT address. The limit of one source is therefore
    enough for about a hundred trains at once. An IPv6 source is a /64 network.
    """

    source_pps: float = 500.0
    total_pps: float = 5000.0
    sources: int = 16_384
    sessions: int = 65_536


@dataclass(slots=True)
class TokenBucket:
    """A token bucket with the capacity of one second."""

    rate_pps: float
    at_s: float
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        """Fill the bucket."""
        self.tokens = max(1.0, self.rate_pps)

    def take(self, now_s: float) -> bool:
        """Take one token; return False if none is left."""
        gained = (now_s - self.at_s) * self.rate_pps
        self.tokens = min(max(1.0, self.rate_pps), self.tokens + gained)
        self.at_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Session:
    count: int
    seen_s: float


@dataclass(frozen=True, slots=True)
class ReceivedPacket:
    """A received packet with its source, local address, TTL and receive time."""

    data: bytes
    source: tuple[str, int]
    local: bytes
    ttl: int
    received_ns: int


class Reflector:
    """Creates the reply to a packet, without any socket.

    `counts` has the number of packets by result: `answered`, `bad_answer` (short),
    `forged`, `limited`, `service_port`.
    """

    def __init__(
        self, limits: ReflectorLimits, key: bytes | None, now_s: float
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._limits = limits
        self._key = key
        self._total = TokenBucket(limits.total_pps, now_s)
        self._sources: OrderedDict[str, TokenBucket] = OrderedDict()
        self._sessions: OrderedDict[tuple[str, int, bytes], _Session] = OrderedDict()

    def answer(self, packet: ReceivedPacket, now_s: float) -> bytes | None:
        """Return the reply, as long as the request; None if no reply is allowed."""
        if packet.source[1] < _MIN_SOURCE_PORT:
            return self._count_refusal("service_port")
        try:
            request = stamp_packets.parse_request(packet.data, self._key)
        except ProbeError as error:
            return self._count_refusal(error.cause)
        # Check the rate after authentication, so that packets with a forged source
        # cannot exhaust that source's rate limit.
        if not (self._take(packet.source[0], now_s) and self._total.take(now_s)):
            return self._count_refusal("limited")
        self.counts["answered"] += 1
        reflection = stamp_packets.Reflection(
            count=self._session_count(packet, now_s),
            received_stamp=stamp_packets.ntp_stamp(packet.received_ns),
            sent_stamp=stamp_packets.ntp_stamp(time.time_ns()),
            ttl=packet.ttl,
        )
        return stamp_packets.reply(request, reflection, len(packet.data), self._key)

    def _count_refusal(self, reason: str) -> bytes | None:
        self.counts[reason] += 1
        return None

    def _take(self, address: str, now_s: float) -> bool:
        name = _source_name(address)
        bucket = self._sources.pop(name, None)
        if bucket is None:
            bucket = TokenBucket(self._limits.source_pps, now_s)
        self._sources[name] = bucket
        if len(self._sources) > self._limits.sources:
            self._sources.popitem(last=False)
        return bucket.take(now_s)

    def _session_count(self, packet: ReceivedPacket, now_s: float) -> int:
        """Return the session's next number, which gives loss a direction (4.3)."""
        key = (*packet.source, packet.local)
        session = self._sessions.pop(key, None)
        if session is None or now_s - session.seen_s > _REFWAIT_S:
            session = _Session(0, now_s)
        self._sessions[key] = session
        if len(self._sessions) > self._limits.sessions:
            self._sessions.popitem(last=False)
        count, session.count, session.seen_s = session.count, session.count + 1, now_s
        return count & 0xFFFFFFFF


def _source_name(address: str) -> str:
    if ":" not in address:
        return address
    packed = ipaddress.IPv6Address(address.partition("%")[0]).packed
    return packed[:8].hex()


def open_sockets(addresses: Iterable[str], port: int) -> list[socket.socket]:
    """Open a bound socket for each address. Raises OSError if one cannot be bound."""
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            sockets.append(_open_socket(address, port))  # noqa: PERF401  closed below
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _open_socket(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for level, option, value in _OPTIONS[family]:
            sock.setsockopt(level, option, value)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


_OPTIONS = {
    socket.AF_INET: (
        # Send replies from the requested address, with the TTL of RFC 5357.
        (socket.IPPROTO_IP, _IP_PKTINFO, 1),
        (socket.IPPROTO_IP, _IP_RECVTTL, 1),
        (socket.IPPROTO_IP, socket.IP_TTL, 255),
    ),
    socket.AF_INET6: (
        (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1),
        (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1),
        (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1),
        (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255),
    ),
}


def serve(
    sockets: Iterable[socket.socket],
    reflector: Reflector,
    stop: socket.socket,
    report: Callable[[str], None],
) -> None:
    """Answer packets until `stop` is readable.

    Reports one line of counts every minute and at the end.
    """
    with selectors.DefaultSelector() as selector:
        for sock in (*sockets, stop):
            selector.register(sock, selectors.EVENT_READ, sock)
        next_report_s = time.monotonic() + _REPORT_S
        while True:
            ready = selector.select(max(0.0, next_report_s - time.monotonic()))
            for key, _ in ready:
                if key.data is stop:
                    report(_counts_line(reflector.counts))
                    return
                _answer_batch(key.data, reflector)
            if time.monotonic() >= next_report_s:
                report(_counts_line(reflector.counts))
                next_report_s += _REPORT_S


def _answer_batch(sock: socket.socket, reflector: Reflector) -> None:
    for _ in range(_BATCH_PACKETS):
        try:
            data, control, _, source = sock.recvmsg(_LONGEST_BYTES, _CONTROL_BYTES)
        except OSError:  # No more packets, or the error of an earlier reply.
            return
        received_ns = time.time_ns()
        local, ttl = _local_and_ttl(control)
        packet = ReceivedPacket(data, source[:2], local, ttl, received_ns)
        answer = reflector.answer(packet, time.monotonic())
        if answer is not None:
            _send(sock, answer, local, source, reflector)


def _send(
    sock: socket.socket,
    answer: bytes,
    local: bytes,
    source: tuple[str, int],
    reflector: Reflector,
) -> None:
    level, kind = _PACKET_INFO[sock.family]
    try:
        sock.sendmsg([answer], [(level, kind, local)], 0, source)
    except OSError:  # The route is missing or the queue is full: the reply is lost.
        reflector.counts["not_sent"] += 1


_PACKET_INFO = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
}


def _local_and_ttl(control: list[tuple[int, int, bytes]]) -> tuple[bytes, int]:
    """Return the local address, in the form that sendmsg(2) takes, and the TTL."""
    local, ttl = b"", 0
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            # struct in_pktinfo: interface (0: by route), local address, header address
            local = struct.pack("I4s4x", 0, data[4:8])
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            local = data
        elif (level, kind) in _HOP_LIMITS:
            ttl = struct.unpack("i", data)[0]
    return local, ttl


_HOP_LIMITS = {
    (socket.IPPROTO_IP, _IP_TTL),
    (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT),
}


def _counts_line(counts: Counter[str]) -> str:
    text = " ".join(f"{name}={count}" for name, count in sorted(counts.items()))
    return f"reflector: {text or 'no packets'}"
