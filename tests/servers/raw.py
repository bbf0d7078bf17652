"""A server that sends the exact bytes that a test gives it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

Reply = bytes | Sequence[bytes]
_HEAD_END = b"\r\n\r\n"


class RawServer:
    """Sends one reply after each request; the last one is repeated.

    A reply that is a list of parts ends with the end of the connection.
    """

    def __init__(self, replies: Sequence[Reply], address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family)
        self._replies = list(replies)
        self.heads: list[bytes] = []
        host = f"[{address}]" if ":" in address else address
        self.netloc = f"{host}:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.netloc}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Refuse new connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(
                    target=self._serve, args=(connection,), daemon=True
                ).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as stream:
            while head := _read_head(stream):
                self.heads.append(head)
                reply = self._replies.pop(0) if self._replies[1:] else self._replies[0]
                if isinstance(reply, bytes):
                    connection.sendall(reply)
                    continue
                for part in reply:
                    connection.sendall(part)
                return


def _read_head(stream: object) -> bytes:
    """Return the head of a request after reading its body; empty at the end."""
    head = b""
    while not head.endswith(_HEAD_END):
        line = stream.readline()  # type: ignore[attr-defined]
        if not line:
            return b""
        head += line
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            stream.read(int(value))  # type: ignore[attr-defined]
    return head


@contextmanager
def raw_server(*replies: Reply, address: str = "127.0.0.1") -> Iterator[RawServer]:
    """Run a server for the time of a test."""
    server = RawServer(replies, address)
    try:
        yield server
    finally:
        server.close()


def response(status: str, body: bytes = b"", *headers: bytes) -> bytes:
    """Return an HTTP/1.1 response with its length."""
    lines = [f"HTTP/1.1 {status}".encode(), *headers]
    if not status.startswith("204"):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""]) + body
