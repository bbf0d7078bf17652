"""A STAMP session-reflector (RFC 8762): answers test packets, and does nothing else.

It is safe to leave open to the internet. An answer is never longer than what asked
for it, one packet gives at most one answer, sources and the whole are limited in
rate, another service's port is never answered (two reflectors would talk for ever),
and what it remembers is bounded. With a key, only who shares it is answered at all.
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
# Packets of one socket before the others, and the stop, have their turn.
_TURN = 64
# Session-senders choose from the dynamic ports; below live services (RFC 6335, 6).
_LEAST_PORT = 1024
# A session that was silent for REFWAIT (RFC 5357, 3.1) has ended.
_REFWAIT_S = 900.0
_REPORT_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Answers a second, of one source and of all; how many of each are remembered.

    Many agents stand behind one translated address, so a source gets room for some
    hundred trains at once. An IPv6 source is a /64.
    """

    source_pps: float = 500.0
    total_pps: float = 5000.0
    sources: int = 16_384
    sessions: int = 65_536


@dataclass(slots=True)
class Bucket:
    """A token bucket that holds one second's worth."""

    rate_pps: float
    at_s: float
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self.tokens = max(1.0, self.rate_pps)

    def take(self, now_s: float) -> bool:
        """Take one, if there is one."""
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
class Arrival:
    """A packet that came in: whose, to which address of ours, and with what TTL."""

    data: bytes
    source: tuple[str, int]
    local: bytes
    ttl: int
    received_ns: int


class Reflector:
    """Decides what is answered, and with what; knows no sockets.

    `counts` says what became of every packet, by one of the words `answered`,
    `bad_answer` (short), `forged`, `limited`, `service_port`.
    """

    def __init__(self, limits: Limits, key: bytes | None, now_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self._limits = limits
        self._key = key
        self._total = Bucket(limits.total_pps, now_s)
        self._sources: OrderedDict[str, Bucket] = OrderedDict()
        self._sessions: OrderedDict[tuple[str, int, bytes], _Session] = OrderedDict()

    def answer(self, arrival: Arrival, now_s: float) -> bytes | None:
        """The reply, as long as the request; None where there shall be none."""
        if arrival.source[1] < _LEAST_PORT:
            return self._refused("service_port")
        try:
            asked = stamp_packets.parse_request(arrival.data, self._key)
        except ProbeError as error:
            return self._refused(error.cause)
        # Authenticated first: a forged source cannot use up another's allowance.
        if not (self._source(arrival.source[0], now_s) and self._total.take(now_s)):
            return self._refused("limited")
        self.counts["answered"] += 1
        added = stamp_packets.Reflection(
            count=self._count(arrival, now_s),
            received_stamp=stamp_packets.ntp_stamp(arrival.received_ns),
            sent_stamp=stamp_packets.ntp_stamp(time.time_ns()),
            ttl=arrival.ttl,
        )
        return stamp_packets.reply(asked, added, len(arrival.data), self._key)

    def _refused(self, why: str) -> bytes | None:
        self.counts[why] += 1
        return None

    def _source(self, address: str, now_s: float) -> bool:
        name = _source_name(address)
        bucket = self._sources.pop(name, None)
        if bucket is None:
            bucket = Bucket(self._limits.source_pps, now_s)
        self._sources[name] = bucket
        if len(self._sources) > self._limits.sources:
            self._sources.popitem(last=False)
        return bucket.take(now_s)

    def _count(self, arrival: Arrival, now_s: float) -> int:
        """This session's own number: what tells loss out from loss back (4.3)."""
        key = (*arrival.source, arrival.local)
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
    """A bound socket for each address. Raises OSError where one cannot be had."""
    found: list[socket.socket] = []
    try:
        for address in addresses:
            found.append(_open_socket(address, port))  # noqa: PERF401  closed below
    except OSError:
        for sock in found:
            sock.close()
        raise
    return found


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
        # Answers leave from the address that was asked, with RFC 5357's TTL.
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
    desk: Reflector,
    stop: socket.socket,
    say: Callable[[str], None],
) -> None:
    """Answer until `stop` can be read; a line of counts a minute, and at the end."""
    with selectors.DefaultSelector() as selector:
        for sock in (*sockets, stop):
            selector.register(sock, selectors.EVENT_READ, sock)
        next_s = time.monotonic() + _REPORT_S
        while True:
            ready = selector.select(max(0.0, next_s - time.monotonic()))
            for key, _ in ready:
                if key.data is stop:
                    say(_line(desk.counts))
                    return
                _turn(key.data, desk)
            if time.monotonic() >= next_s:
                say(_line(desk.counts))
                next_s += _REPORT_S


def _turn(sock: socket.socket, desk: Reflector) -> None:
    for _ in range(_TURN):
        try:
            data, control, _, source = sock.recvmsg(_LONGEST_BYTES, _CONTROL_BYTES)
        except OSError:  # nothing more, or an error that an earlier answer met
            return
        received_ns = time.time_ns()
        local, ttl = _about(control)
        arrival = Arrival(data, source[:2], local, ttl, received_ns)
        answer = desk.answer(arrival, time.monotonic())
        if answer is not None:
            _send(sock, answer, local, source, desk)


def _send(
    sock: socket.socket,
    answer: bytes,
    local: bytes,
    source: tuple[str, int],
    desk: Reflector,
) -> None:
    level, kind = _PACKET_INFO[sock.family]
    try:
        sock.sendmsg([answer], [(level, kind, local)], 0, source)
    except OSError:  # the way back is gone or full: for the sender, a lost answer
        desk.counts["not_sent"] += 1


_PACKET_INFO = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
}


def _about(control: list[tuple[int, int, bytes]]) -> tuple[bytes, int]:
    """Which of our addresses was asked, ready to be sent from; the hop limit."""
    local, ttl = b"", 0
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            # struct in_pktinfo: interface (left to the route), our address, theirs
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


def _line(counts: Counter[str]) -> str:
    words = " ".join(f"{name}={count}" for name, count in sorted(counts.items()))
    return f"reflector: {words or 'no packets'}"
