"""A server on this machine that fails in one particular way."""

from __future__ import annotations

import os
import re
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


def responds(response: bytes) -> Talk:
    """Send one response to every request, then close the connection in order."""

    def talk(sock: socket.socket, stop: threading.Event) -> None:
        sock.recv(65536)
        sock.sendall(response)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    return talk


def reads_then_responds(first: bytes, response: bytes) -> Talk:
    """Send `first`, read the body of the request, and send the response."""

    def talk(sock: socket.socket, stop: threading.Event) -> None:
        head, _, body = sock.recv(65536).partition(b"\r\n\r\n")
        sock.sendall(first)
        length = re.search(rb"Content-Length: (\d+)", head)
        left_bytes = (int(length[1]) if length else 0) - len(body)
        while left_bytes > 0 and (chunk := sock.recv(65536)):
            left_bytes -= len(chunk)
        sock.sendall(response)
        stop.wait()

    return talk


def resets(sock: socket.socket, stop: threading.Event) -> None:
    """Reset the connection in the middle of the body."""
    sock.recv(65536)
    sock.sendall(LONG + BLOCK)
    stop.wait(0.1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def drips(sock: socket.socket, stop: threading.Event) -> None:
    """Send a byte every 50 ms without end."""
    sock.recv(1000)
    sock.sendall(LONG)
    while not stop.wait(0.05):
        sock.sendall(b"x")


def drips_its_head(sock: socket.socket, stop: threading.Event) -> None:
    """Send a head without end."""
    sock.recv(1000)
    sock.sendall(HEAD)
    while not stop.wait(0.05):
        sock.sendall(b"x")


def answers_too_early(sock: socket.socket, stop: threading.Event) -> None:
    """Confirm the upload, and read none of it."""
    sock.recv(100)
    sock.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    stop.wait()


def reads_slowly_then_stops(sock: socket.socket, stop: threading.Event) -> None:
    """Confirm the upload, read a little through a small buffer, and then stop.

    A test that is precise enough ends after half a second, so this is shorter.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    sock.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    for _ in range(10):
        sock.recv(65536)
        stop.wait(0.02)
    stop.wait()


def silent(sock: socket.socket, stop: threading.Event) -> None:
    """Accept the connection and send nothing."""
    stop.wait()


def hangs_up(sock: socket.socket, stop: threading.Event) -> None:
    """Read the first data, and close the connection in order."""
    sock.recv(65536)


def resets_at_once(sock: socket.socket, stop: threading.Event) -> None:
    """Reset the connection at the first byte."""
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


def breaks_tls(sock: socket.socket, stop: threading.Event) -> None:
    """Send plain bytes instead of a TLS record in the middle of the body."""
    sock.recv(1000)
    sock.sendall(LONG + BLOCK)
    _send_plain(sock)
    stop.wait()


def breaks_tls_after(size_bytes: int) -> Talk:
    """Read `size_bytes`, and then send bytes that are not a TLS record."""

    def talk(sock: socket.socket, stop: threading.Event) -> None:
        left_bytes = size_bytes
        while left_bytes > 0 and (chunk := sock.recv(65536)):
            left_bytes -= len(chunk)
        _send_plain(sock)
        stop.wait()

    return talk


def _send_plain(sock: socket.socket) -> None:
    with socket.socket(fileno=os.dup(sock.fileno())) as plain:
        plain.sendall(b"this is not a TLS record" * 100)


@contextmanager
def bad_server(
    talk: Talk, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[int]:
    """Serve on a free port and yield it. Every connection has its thread."""
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
        # Only shutdown(2) wakes a thread in accept(2); close(2) does not.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for thread in threads:
            thread.join(5)
