"""A name server that misbehaves costs no more than its share of the time."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.system.network import dns_query
from qos_agent.system.network.names import resolve
from tests.probes.time_left import TimeLeft

HOST, ADDRESS, WRONG = "a.test", "198.51.100.1", "198.51.100.66"
BAD, GOOD, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
WITHIN_S = 0.4

Send = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Client:
    """A client that sent a query, and the ways to answer it."""

    query: bytes
    send: Send
    send_from: Callable[[str, bytes], None] = lambda _address, _wire: None

    def answer(
        self, *lines: str, flags: str = "QR RD RA", rcode: str = "NOERROR"
    ) -> bytes:
        """Return an answer to the query with these records."""
        query = dns.message.from_wire(self.query)
        text = f"id {query.id}\nopcode QUERY\nrcode {rcode}\nflags {flags}\n;QUESTION\n"
        text += f"{query.question[0].to_text()}\n;ANSWER\n" + "\n".join(lines)
        return dns.message.from_text(text).to_wire(max_size=65535)

    def kind(self) -> str:
        """Return the type of the question."""
        return dns.message.from_wire(self.query).question[0].to_text().split()[-1]


Serve = Callable[[Client], None]


def a(name: str = HOST, address: str = WRONG, ttl: int = 60) -> str:
    return f"{name}. {ttl} IN A {address}"


def cname(name: str, to: str) -> str:
    return f"{name}. 60 IN CNAME {to}."


def good(client: Client) -> None:
    """Answer the question for IPv4."""
    records = [a(address=ADDRESS)] if client.kind() == "A" else []
    client.send(client.answer(*records))


def truncated(client: Client) -> None:
    client.send(client.answer(flags="QR TC RD RA"))


def wrong_id(client: Client) -> None:
    wire = client.answer(a())
    client.send(bytes([wire[0] ^ 1]) + wire[1:])


def wrong_question(client: Client) -> None:
    wire = client.answer(a())
    client.send(wire.replace(b"\1a\4test", b"\1b\4test"))


def pointer_loop(client: Client) -> None:
    """The name of the record points to itself."""
    head = client.query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
    question = client.query[12:]
    at = 0xC000 | (len(head) + len(question))
    record = struct.pack("!HHHIH", at, 1, 1, 60, 4) + bytes(4)
    client.send(head + question + record)


def forward_pointer(client: Client) -> None:
    """The name of the question points behind the end."""
    head = client.query[:2] + struct.pack("!HHHHH", 0x8180, 1, 0, 0, 0)
    client.send(head + b"\xc0\xff" + client.query[-4:])


def long_chain(client: Client) -> None:
    names = [HOST, *(f"c{n}.test" for n in range(60))]
    records = [cname(one, to) for one, to in pairwise(names)]
    client.send(client.answer(*records, a(names[-1])))


def flood(client: Client) -> None:
    """Send many datagrams that answer another question."""
    wire = client.answer(a()).replace(b"\1a\4test", b"\1b\4test")
    for _ in range(300):
        client.send(wire)


def noise_first(client: Client) -> None:
    wrong_id(client)
    wrong_question(client)
    good(client)


NO_ADDRESS: dict[str, Serve] = {
    "wrong id": wrong_id,
    "wrong question": wrong_question,
    "another address": lambda c: c.send_from(OTHER, c.answer(a())),
    "another port": lambda c: c.send_from(BAD, c.answer(a())),
    "only the header": lambda c: c.send(c.answer(a())[:12]),
    "only the header, truncated": lambda c: c.send(
        c.answer(a(), flags="QR TC RD RA")[:12]
    ),
    "a part of the header": lambda c: c.send(c.answer(a())[:7]),
    "cut in the record": lambda c: c.send(c.answer(a())[:-2]),
    "the query itself": lambda c: c.send(c.query),
    "not a response": lambda c: c.send(c.answer(a(), flags="RD RA")),
    "empty": lambda c: c.send(b""),
    "CNAME loop": lambda c: c.send(
        c.answer(cname(HOST, "b.test"), cname("b.test", HOST))
    ),
    "CNAME to itself": lambda c: c.send(c.answer(cname(HOST, HOST), a("b.test"))),
    "CNAME without end": long_chain,
    "pointer loop": pointer_loop,
    "pointer behind the end": forward_pointer,
    "SERVFAIL": lambda c: c.send(c.answer(rcode="SERVFAIL")),
    "SERVFAIL with an address": lambda c: c.send(c.answer(a(), rcode="SERVFAIL")),
    "REFUSED": lambda c: c.send(c.answer(rcode="REFUSED")),
    "NXDOMAIN with an address": lambda c: c.send(c.answer(a(), rcode="NXDOMAIN")),
    "no record": lambda c: c.send(c.answer()),
    "a record of another name": lambda c: c.send(c.answer(a("b.test"))),
    "a record of another type": lambda c: c.send(
        c.answer(f'{HOST}. 60 IN TXT "198.51.100.66"')
    ),
    "a broadcast address": lambda c: c.send(c.answer(a(address="255.255.255.255"))),
    "a multicast address": lambda c: c.send(c.answer(a(address="224.0.0.1"))),
    "an address of no network": lambda c: c.send(c.answer(a(address="0.1.2.3"))),
    "a link-local address": lambda c: c.send(c.answer(f"{HOST}. 60 IN AAAA fe80::1")),
    "this device, mapped": lambda c: c.send(
        c.answer(f"{HOST}. 60 IN AAAA ::ffff:127.0.0.1")
    ),
    "truncated, TCP closed": truncated,
    "flood": flood,
}
# A TCP server writes these bytes after the answer to UDP was truncated.
STREAMS: dict[str, Serve] = {
    "closed at once": lambda _: None,
    "a length without an answer": lambda c: c.send(b"\xff\xff"),
    "a length that is too long": lambda c: c.send(b"\xff\xff" + c.answer(a())),
    "a length that is too short": lambda c: c.send(b"\0\x10" + c.answer(a())),
    "no length": lambda c: c.send(b"\0\0" + c.answer(a())),
    "one byte of the length": lambda c: c.send(b"\0"),
    "wrong id": lambda c: c.send(_framed(b"\0\0" + c.answer(a())[2:])),
    "wrong question": lambda c: c.send(
        _framed(c.answer(a()).replace(b"\1a\4test", b"\1b\4test"))
    ),
    "slow": lambda c: _slowly(c.send, _framed(c.answer(a()))),
    "no DNS": lambda c: c.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3000),
}


def _framed(wire: bytes) -> bytes:
    return struct.pack("!H", len(wire)) + wire


def _slowly(send: Send, wire: bytes) -> None:
    """Send a byte ten times a second, until the client goes away."""
    with suppress(OSError):
        for byte in wire:
            send(bytes([byte]))
            time.sleep(0.1)


@contextmanager
def server(
    address: str, port: int, udp: Serve, tcp: Serve | None = None
) -> Iterator[int]:
    """Run a server for the time of a block; return its port."""
    with ExitStack() as stack:
        if tcp is not None:
            listener = stack.enter_context(socket.create_server((address, port)))
            port = listener.getsockname()[1]
            _start(stack, _serve_tcp, listener, tcp)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
        sock = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        sock.bind((address, port))
        _start(stack, _serve_udp, sock, udp)
        stack.callback(sock.sendto, b"", sock.getsockname())
        yield sock.getsockname()[1]


def _start(stack: ExitStack, serve: Callable[..., None], *args: object) -> None:
    thread = threading.Thread(target=serve, args=args, daemon=True)
    thread.start()
    stack.callback(thread.join)


def _serve_udp(sock: socket.socket, serve: Serve) -> None:
    while True:
        query, client = sock.recvfrom(4096)
        if not query:
            return

        def send_from(address: str, wire: bytes, client: Any = client) -> None:
            with socket.socket(type=socket.SOCK_DGRAM) as other:
                other.bind((address, 0))
                other.sendto(wire, client)

        def send(wire: bytes, client: Any = client) -> None:
            sock.sendto(wire, client)

        serve(Client(query, send, send_from))


def _serve_tcp(listener: socket.socket, serve: Serve) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            serve(Client(connection.recv(4096)[2:], connection.sendall))


def queried(port: int, *servers: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(dns_query, "_PORT", port)
    start_s = time.monotonic()
    try:
        return resolve(HOST, None, TimeLeft(5), WITHIN_S, servers)
    finally:
        assert time.monotonic() - start_s < WITHIN_S + 0.5


@pytest.mark.slow
@pytest.mark.parametrize("udp", NO_ADDRESS.values(), ids=NO_ADDRESS)
def test_a_bad_answer_over_udp(udp: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives no address and one cause; the next server is asked in time."""
    with server(BAD, 0, udp) as port:
        with pytest.raises(ProbeError) as caught:
            queried(port, BAD, monkeypatch=monkeypatch)
        assert caught.value.cause == "name_not_resolved"
        with server(GOOD, port, good):
            assert queried(port, BAD, GOOD, monkeypatch=monkeypatch) == ADDRESS


@pytest.mark.parametrize("tcp", STREAMS.values(), ids=STREAMS)
def test_a_bad_answer_over_tcp(tcp: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives no address and one cause; the next server is asked in time."""
    with server(BAD, 0, truncated, tcp) as port:
        with pytest.raises(ProbeError) as caught:
            queried(port, BAD, monkeypatch=monkeypatch)
        assert caught.value.cause == "name_not_resolved"
        with server(GOOD, port, good):
            assert queried(port, BAD, GOOD, monkeypatch=monkeypatch) == ADDRESS


ODD_BUT_VALID: dict[str, Serve] = {
    "noise first": noise_first,
    "the largest TTL": lambda c: c.send(c.answer(a(address=ADDRESS, ttl=2**31 - 1))),
    "a TTL with the first bit": lambda c: c.send(
        c.answer(a(address=ADDRESS)).replace(
            struct.pack("!I", 60), struct.pack("!I", 2**32 - 1)
        )
    ),
    "records in any order": lambda c: c.send(
        c.answer(
            a("c.test", ADDRESS),
            cname("b.test", "c.test"),
            cname(HOST, "b.test"),
            a("d.test"),
        )
    ),
    "upper case": lambda c: c.send(c.answer(a("A.TeST", ADDRESS))),
    "more than 512 bytes": lambda c: c.send(
        c.answer(a(address=ADDRESS), *[a(f"x{n}.test") for n in range(200)])
    ),
    "bytes after the end": lambda c: c.send(c.answer(a(address=ADDRESS)) + bytes(99)),
    "IPv4 in IPv6": lambda c: c.send(
        c.answer(f"{HOST}. 60 IN AAAA ::ffff:{ADDRESS}" if c.kind() == "AAAA" else "")
    ),
}


@pytest.mark.parametrize("udp", ODD_BUT_VALID.values(), ids=ODD_BUT_VALID)
def test_an_odd_answer_that_is_valid(
    udp: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the name is found."""
    with server(BAD, 0, udp) as port:
        assert queried(port, BAD, monkeypatch=monkeypatch) == ADDRESS


def test_an_answer_over_tcp_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole answer is read, whatever its segments."""

    def parts(client: Client) -> None:
        records = [a(address=ADDRESS)] * (client.kind() == "A")
        for byte in _framed(client.answer(*records)):
            client.send(bytes([byte]))

    with server(BAD, 0, truncated, parts) as port:
        assert queried(port, BAD, monkeypatch=monkeypatch) == ADDRESS


def test_servers_that_refuse_are_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ports without a listener end at once with the cause of the name."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((OTHER, 0))
        port = sock.getsockname()[1]
        with pytest.raises(ProbeError, match="refused") as caught:
            queried(port, BAD, GOOD, monkeypatch=monkeypatch)
    assert caught.value.cause == "name_not_resolved"
