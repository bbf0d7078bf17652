"""A server on this machine that misbehaves in one way, for as long as it is wanted."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
LONG = HEAD + b"Content-Length: 1000000000\r\n\r\n"
BLOCK = b"\x5a" * 100_000
RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Talk = Callable[[socket.socket, threading.Event], None]


def says(answer: bytes) -> Talk:
    """Answers one thing to every request, then closes in good order."""

    def talk(sock: socket.socket, stop: threading.Event) -> None:
        sock.recv(65536)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    return talk


def resets(sock: socket.socket, stop: threading.Event) -> None:
    """Breaks the connection in the middle of the body."""
    sock.recv(65536)
    sock.sendall(LONG + BLOCK)
    stop.wait(0.1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def drips(sock: socket.socket, stop: threading.Event) -> None:
    """Sends a byte now and then, for ever."""
    sock.recv(1000)
    sock.sendall(LONG)
    while not stop.wait(0.05):
        sock.sendall(b"x")


def drips_its_head(sock: socket.socket, stop: threading.Event) -> None:
    """Never comes to the end of its head."""
    sock.recv(1000)
    sock.sendall(HEAD)
    while not stop.wait(0.05):
        sock.sendall(b"x")


def answers_too_early(sock: socket.socket, stop: threading.Event) -> None:
    """Says that all has arrived, and takes nothing."""
    sock.recv(100)
    sock.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    stop.wait()


def silent(sock: socket.socket, stop: threading.Event) -> None:
    """Takes the connection and says nothing."""
    stop.wait()


def hangs_up(sock: socket.socket, stop: threading.Event) -> None:
    """Hears what is said first, and closes in good order."""
    sock.recv(65536)


def resets_at_once(sock: socket.socket, stop: threading.Event) -> None:
    """Breaks the connection at the first word."""
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def breaks_tls(sock: socket.socket, stop: threading.Event) -> None:
    """Puts plain bytes where a record of TLS should be, in the middle of the body."""
    sock.recv(1000)
    sock.sendall(LONG + BLOCK)
    _say_plainly(sock)
    stop.wait()


def breaks_tls_after(size_bytes: int) -> Talk:
    """Takes so much, and then answers with what is no record of TLS."""

    def talk(sock: socket.socket, stop: threading.Event) -> None:
        left_bytes = size_bytes
        while left_bytes > 0 and (chunk := sock.recv(65536)):
            left_bytes -= len(chunk)
        _say_plainly(sock)
        stop.wait()

    return talk


def _say_plainly(sock: socket.socket) -> None:
    with socket.socket(fileno=os.dup(sock.fileno())) as plain:
        plain.sendall(b"this is no record of TLS" * 100)


@contextmanager
def bad_server(
    talk: Talk, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[int]:
    """Serve on a free port; gives the port. Every connection has its thread."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)

    def serve(sock: socket.socket) -> None:
        with suppress(OSError), sock:
            sock.settimeout(20)
            wrapped = sock if tls is None else tls.wrap_socket(sock, server_side=True)
            with wrapped:
                talk(wrapped, stop)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(sock,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        # Closing does not wake accept(2); shutting down does.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join(5)
