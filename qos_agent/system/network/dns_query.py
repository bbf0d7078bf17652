"""One question to one DNS server: over UDP, and over TCP if the answer is truncated.

RFC 7766, 5: a client repeats a question over TCP if the answer has the TC flag.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from qos_agent.model import Link
from qos_agent.system.network.links import bind, socket_address

_PORT = 53
_KINDS = {4: dns.rdatatype.A, 6: dns.rdatatype.AAAA}
_DATAGRAM_BYTES = 65535
# RFC 1035, 4.2.1: the shortest interval between two transmissions of a query.
_RETRY_S = 2.0
# Datagrams that do not answer the question; a flood of them must not cost more.
_MOST_OTHERS = 100


def ask(
    host: str, version: int, server: str, link: Link | None, end_s: float
) -> tuple[list[str], dns.message.Message]:
    """Return the addresses of `host` in one IP version, and the whole answer.

    Raises OSError, TimeoutError at `end_s` (monotonic), ProbeError from binding, and
    DNSException if the name or the answer over TCP is not valid.
    """
    query = dns.message.make_query(host, _KINDS[version])
    answer = _over_udp(query, server, link, end_s)
    if answer.flags & dns.flags.TC:
        answer = _over_tcp(query, server, link, end_s)
    return _addresses(answer), answer


def _addresses(answer: dns.message.Message) -> list[str]:
    """Return the addresses at the end of the CNAME records of the question's name.

    Records of other names do not answer the question. Raises DNSException if the
    records form a loop.
    """
    if answer.rcode() != dns.rcode.NOERROR:
        return []
    if not isinstance(answer, dns.message.QueryMessage):
        return []
    return [str(record) for record in answer.resolve_chaining().answer or ()]


def _socket(server: str, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    return socket.socket(family, kind)


def _over_udp(
    query: dns.message.Message, server: str, link: Link | None, end_s: float
) -> dns.message.Message:
    """Send the query again while no answer comes: a datagram may be lost.

    The time includes all transmissions. Datagrams that do not answer the question are
    ignored, because anyone can send them.
    """
    wire = query.to_wire()
    with _socket(server, socket.SOCK_DGRAM) as sock:
        bind(sock, link, server)
        sock.connect(socket_address(server, _PORT))
        while True:
            _set_timeout(sock, end_s)
            sock.send(wire)
            with suppress(TimeoutError):
                return _answer(query, sock, min(end_s, time.monotonic() + _RETRY_S))


def _answer(
    query: dns.message.Message, sock: socket.socket, end_s: float
) -> dns.message.Message:
    for _ in range(_MOST_OTHERS):
        _set_timeout(sock, end_s)
        answer = _parse(sock.recv(_DATAGRAM_BYTES))
        if answer is not None and query.is_response(answer):
            return answer
    raise ConnectionError("only answers to other questions")


def _over_tcp(
    query: dns.message.Message, server: str, link: Link | None, end_s: float
) -> dns.message.Message:
    wire = query.to_wire()
    with _socket(server, socket.SOCK_STREAM) as sock:
        bind(sock, link, server)
        _set_timeout(sock, end_s)
        sock.connect(socket_address(server, _PORT))
        sock.sendall(struct.pack("!H", len(wire)) + wire)
        (size,) = struct.unpack("!H", _receive(sock, 2, end_s))
        answer = dns.message.from_wire(_receive(sock, size, end_s))
    if not query.is_response(answer):
        raise ConnectionError("the answer over TCP is to another question")
    return answer


def _receive(sock: socket.socket, size: int, end_s: float) -> bytes:
    data = b""
    while len(data) < size:
        _set_timeout(sock, end_s)
        chunk = sock.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError("closed before the end of the answer")
        data += chunk
    return data


def _set_timeout(sock: socket.socket, end_s: float) -> None:
    left_s = end_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no answer")
    sock.settimeout(left_s)


def _parse(wire: bytes) -> dns.message.Message | None:
    """Return the message of a datagram; None if it is not one.

    A truncated message may end within a record. Its question is then enough.
    """
    try:
        return dns.message.from_wire(wire, ignore_trailing=True)
    except dns.exception.DNSException:
        return _truncated(wire)


def _truncated(wire: bytes) -> dns.message.Message | None:
    try:
        message = dns.message.from_wire(wire, question_only=True, ignore_trailing=True)
    except dns.exception.DNSException:
        return None
    return message if message.flags & dns.flags.TC else None
