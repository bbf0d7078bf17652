"""A small DNS server with records from a dict and optional errors.

It supports UDP, A and AAAA only, which is enough for tests of resolution and errors.
"""

from __future__ import annotations

import ipaddress
import selectors
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from enum import Enum
from typing import Self

PORT = 53
TTL_S = 60
TYPES = {4: 1, 6: 28}
IS_ANSWER, RECURSION_ASKED, RECURSION_OFFERED = 0x8000, 0x0100, 0x0080
# The name of the question starts after the header of twelve bytes.
NAME_POINTER = 0xC00C

Records = Mapping[str, str | Iterable[str]]


class Behaviour(Enum):
    """The response to a question; the values are response codes."""

    ANSWER = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSE = 5
    SILENT = None


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
                self._serve_one(key.fileobj)

    def _serve_one(self, sock: socket.socket) -> None:
        query, client = sock.recvfrom(4096)
        answer = self._answer(query)
        if answer is not None:
            sock.sendto(answer, client)

    def _answer(self, query: bytes) -> bytes | None:
        name, kind, end = _question(query)
        self.questions.append(name)
        code = self.behaviour.value
        if code is None:
            return None
        if code == 0 and name not in self._records:
            code = Behaviour.NXDOMAIN.value
        records = self._records.get(name, ()) if code == 0 else ()
        addresses = [packed for number, packed in records if number == kind]
        return _message(query[:2], code, query[12:end], kind, addresses)


def _packed(value: str | Iterable[str]) -> list[tuple[int, bytes]]:
    texts = [value] if isinstance(value, str) else list(value)
    addresses = [ipaddress.ip_address(text) for text in texts]
    return [(TYPES[address.version], address.packed) for address in addresses]


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind((address, port))
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
