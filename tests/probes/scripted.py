"""A web server that follows the few lines of a test."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from qos_agent.system.network import socket_address

Play = Callable[["Client"], None]


class Client:
    """A client's connection, on the side of the server."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.sock = sock
        self.stopping = stopping
        self.body = b""

    def head(self) -> bytes:
        """Read the head of the request."""
        raw = b""
        while b"\r\n\r\n" not in raw:
            chunk = self.sock.recv(65536)
            if not chunk:
                return raw
            raw += chunk
        head, _, self.body = raw.partition(b"\r\n\r\n")
        return head

    def receive(self, size: int) -> bytes:
        """Read `size` bytes of the body, or less if the client closes."""
        while len(self.body) < size:
            chunk = self.sock.recv(65536)
            if not chunk:
                break
            self.body += chunk
        return self.body

    def send(self, text: str | bytes) -> None:
        """Send all of the text."""
        raw = text.encode() if isinstance(text, str) else text
        self.sock.sendall(raw)

    def reset(self) -> None:
        """Reset the connection."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()

    def hold(self) -> None:
        """Keep the connection open and silent until the test is over."""
        self.stopping.wait()

    def pause(self, seconds: float) -> bool:
        """Wait; return True if the test is over."""
        return self.stopping.wait(seconds)


class Scripted:
    """The server at `url`, for the time of a `with` block."""

    def __init__(
        self,
        play: Play,
        context: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self._play = play
        self._context = context
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        own = socket_address(address, 0)
        self._listener = socket.create_server(own, family=family)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.clients: list[Client] = []
        scheme = "https" if context else "http"
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{scheme}://{address}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._serve_client(sock)

    def _serve_client(self, sock: socket.socket) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
            client = Client(sock, self._stopping)
            self.clients.append(client)
            self._play(client)
        except OSError:  # The probe closed or refused the certificate, as intended.
            pass
        finally:
            sock.close()


def ok(body: str = "hello", *headers: str) -> str:
    """Return a response with status 200."""
    return answer("200 OK", body, *headers)


def answer(status: str, body: str = "", *headers: str) -> str:
    """Return a response with its length."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*lines, "", body))


def responds(text: str | bytes) -> Play:
    """Read the request, send this response, close."""

    def play(client: Client) -> None:
        client.head()
        client.send(text)

    return play
