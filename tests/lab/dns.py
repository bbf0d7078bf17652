"""A small DNS server with records from a dict and optional errors.

It supports A and AAAA only, over UDP and TCP, which is enough for tests of resolution
and errors.
"""

from __future__ import annotations

import ipaddress
import os
import selectors
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from enum import Enum
from typing import Self

from qos_agent.system.network import socket_address

PORT = 53
TTL_S = 60
TYPES = {4: 1, 6: 28}
TRUNCATED = 0x0200
IS_ANSWER, RECURSION_ASKED, RECURSION_OFFERED = 0x8000, 0x0100, 0x0080
# The name of the question starts after the header of twelve bytes.
NAME_POINTER = 0xC00C

Records = Mapping[str, str | Iterable[str]]


class Behaviour(Enum):
    """The response to a question; the values are response codes.

    TRUNCATE answers in full only over TCP, and CUT ends a datagram within a record.
    NOISE sends other datagrams first. LOSE leaves out every second datagram.
    """

    ANSWER = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSE = 5
    SILENT = None
    TRUNCATE = "truncate"
    CUT = "cut"
    NOISE = "noise"
    LOSE = "lose"


class DnsServer:
    """A server of `records` at `addresses` in a thread; create it in the namespace.

    Each address has its own socket, so that answers come from the address of the
    question. `behaviour` may be set at any time; `questions` has the requested names.
    """

    def __init__(
        self, records: Records, addresses: Iterable[str], port: int = PORT
    ) -> None:
        """Bind the sockets in the network namespace of the calling thread."""
        self.behaviour = Behaviour.ANSWER
        self.questions: list[str] = []
        self._records = {name.lower(): _packed(to) for name, to in records.items()}
        with ExitStack() as stack:
            self._selector = stack.enter_context(selectors.DefaultSelector())
            for address in addresses:
                sock = stack.enter_context(_bound(address, port))
                self._selector.register(sock, selectors.EVENT_READ)
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                own = socket_address(address, port)
                listener = socket.create_server(own, family=family)
                stack.enter_context(listener)
                self._selector.register(listener, selectors.EVENT_READ, data="tcp")
            waking, self._wake = socket.socketpair()
            stack.enter_context(waking)
            stack.enter_context(self._wake)
            self._selector.register(waking, selectors.EVENT_READ, data="stop")
            self._resources = stack.pop_all()
        self._thread = threading.Thread(target=self._serve, name="lab-dns", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the server, which is already running."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.close()

    def close(self) -> None:
        """Stop the server; a second call does nothing."""
        if self._thread.is_alive():
            self._wake.send(b"stop")
            self._thread.join()
        self._resources.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data == "stop":
                    return
                assert isinstance(key.fileobj, socket.socket)
                if key.data == "tcp":
                    self._serve_connection(key.fileobj)
                else:
                    self._serve_one(key.fileobj)

    def _serve_one(self, sock: socket.socket) -> None:
        query, client = sock.recvfrom(4096)
        if self.behaviour == Behaviour.NOISE:
            for noise in (b"", b"no DNS", os.urandom(400), b"\0\0" + query[2:]):
                sock.sendto(noise, client)
        answer = self._answer(query, over_tcp=False)
        lost = self.behaviour == Behaviour.LOSE and len(self.questions) % 2
        if answer is not None and not lost:
            cut = 3 if self.behaviour == Behaviour.CUT else 0
            sock.sendto(answer[: len(answer) - cut], client)

    def _serve_connection(self, listener: socket.socket) -> None:
        """Answer one question; the client sends it in one segment."""
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(1)
            answer = self._answer(connection.recv(4096)[2:], over_tcp=True)
            if answer is not None:
                connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, query: bytes, *, over_tcp: bool) -> bytes | None:
        name, kind, end = _question(query)
        self.questions.append(name)
        code = self.behaviour.value
        if code is None:
            return None
        truncated = code in ("truncate", "cut") and not over_tcp
        emptied = truncated and code == "truncate"
        if not isinstance(code, int):
            code = 0
        if code == 0 and name not in self._records:
            code = 3
        records = self._records.get(name, ()) if code == 0 and not emptied else ()
        addresses = [packed for number, packed in records if number == kind]
        flags = code | (TRUNCATED if truncated else 0)
        return _message(query[:2], flags, query[12:end], kind, addresses)


def _packed(value: str | Iterable[str]) -> list[tuple[int, bytes]]:
    texts = [value] if isinstance(value, str) else list(value)
    addresses = [ipaddress.ip_address(text) for text in texts]
    return [(TYPES[address.version], address.packed) for address in addresses]


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind(socket_address(address, port))
    except OSError:
        sock.close()
        raise
    return sock


def _question(query: bytes) -> tuple[str, int, int]:
    """Return the name, the type and the end of the question."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    (kind,) = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels).lower(), kind, at + 5


def _message(
    identifier: bytes, code: int, question: bytes, kind: int, addresses: list[bytes]
) -> bytes:
    flags = IS_ANSWER | RECURSION_ASKED | RECURSION_OFFERED | code
    header = identifier + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0)
    answers = b"".join(
        struct.pack("!HHHIH", NAME_POINTER, kind, 1, TTL_S, len(packed)) + packed
        for packed in addresses
    )
    return header + question + answers
