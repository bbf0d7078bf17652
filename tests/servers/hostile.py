"""Servers that misbehave: a table of what they send after a request.

Each misbehaviour is a function that gets the connection of a request. It may send
without an end: it ends when the client closes.
"""

from __future__ import annotations

import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from tests.servers.raw import response

Talk = Callable[[socket.socket], None]

_JSON = b"Content-Type: application/json"
_PART = b"a" * 65_536
# A slow server sends a byte in this time.
_BYTE_S = 0.02
# Every client of the suite has given up by then.
_LIMIT_S = 60.0


def head(status: str, *lines: bytes) -> bytes:
    """Return the head of a response without a length."""
    return b"\r\n".join([f"HTTP/1.1 {status}".encode(), *lines, b"", b""])


def fixed(content: bytes) -> Talk:
    """Send these bytes, and close."""
    return lambda connection: connection.sendall(content)


def endless(start: bytes, part: bytes) -> Talk:
    """Send a start, and a part again and again."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(start)
        block = part * (65_536 // len(part) + 1)
        while True:
            connection.sendall(block)

    return talk


def slow(start: bytes, rest: bytes) -> Talk:
    """Send a start at once and the rest byte by byte, again and again."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(start)
        connection.settimeout(_BYTE_S)
        while True:
            for position in range(len(rest)):
                connection.sendall(rest[position : position + 1])
                with suppress(TimeoutError):
                    if not connection.recv(1):
                        return

    return talk


def silent(connection: socket.socket) -> None:
    """Send nothing until the client closes."""
    while connection.recv(65_536):
        pass


def closing(_: socket.socket) -> None:
    """Close without a byte."""


def gzip_bomb(start: bytes, content: bytes) -> Talk:
    """Send a gzip stream that repeats 16 MB of one byte without an end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    opening = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = blocks.compress(b" " * 16_000_000) + blocks.flush(zlib.Z_FULL_FLUSH)
    return endless(start + opening, block)


def zstd_bomb(start: bytes) -> Talk:
    """Send a zstd frame of blocks that repeat one byte 128 Ki times (RFC 8878)."""
    frame_head = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x70"
    run = (131_072 << 3 | 0b010).to_bytes(3, "little") + b" "
    return endless(start + frame_head, run)


def _rejected(body: bytes, *lines: bytes) -> Talk:
    return fixed(response("400 Bad Request", body, _JSON, *lines))


def _dated(name: bytes, value: bytes) -> Talk:
    date = b"Date: Thu, 01 Jan 2026 00:00:00 GMT"
    lines = [date, b"Retry-After: " + value] if name == b"Retry-After" else []
    lines = lines or [b"Date: " + value, b"Retry-After: Fri, 02 Jan 2026 00:00:00 GMT"]
    return fixed(response("503 Service Unavailable", b"", *lines))


_GZIP = b"Content-Encoding: gzip"
_ZSTD = b"Content-Encoding: zstd"
_ERROR = "500 Internal Server Error"
_RESULT = b'{"results":[{"series":[{"columns":["time","n"],"values":[[0,'
_NESTED = b'{"error":' + b"[" * 100_000
_MOMENTS = (
    b"",
    b"-5",
    b"NaN",
    b"1e309",
    b"9" * 5000,
    b"\xd9\xa3",
    b"\xff\xfe",
    b"a" * 60_000,
    b"Fri, 31 Dec 99999 23:59:59 GMT",
    b"Fri, 31 Dec 9999 23:59:59 -9999",
    b"Thu, 01 Jan 0001 00:00:00 +2359",
    b"Thu, 01 Jan 1970 00:00:00 +999999999999999999999",
    b"Mon, 32 Foo -1 25:61:61 XXX",
    b"Thu, 01 Jan 1970 99999999999999999999:00:00 GMT",
)

HTTP: Mapping[str, Talk] = {
    "10 GB": endless(head(_ERROR, b"Content-Length: 10000000000"), _PART),
    "10 GB, accepted": endless(head("200 OK", b"Content-Length: 10000000000"), _PART),
    "endless body": endless(head(_ERROR), _PART),
    "endless body, accepted": endless(head("200 OK"), _PART),
    "endless chunks": endless(
        head(_ERROR, b"Transfer-Encoding: chunked"), b"8\r\naaaaaaaa\r\n"
    ),
    "huge chunk": endless(
        head(_ERROR, b"Transfer-Encoding: chunked") + b"fffffffffff\r\n", _PART
    ),
    "endless trailers": endless(
        head("200 OK", b"Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n", b"X: y\r\n"
    ),
    "negative chunk": fixed(
        head("200 OK", b"Transfer-Encoding: chunked") + b"-1\r\n" + b"a" * 1000
    ),
    "no chunk": fixed(head("200 OK", b"Transfer-Encoding: chunked") + b"zz\r\na"),
    "gzip bomb": gzip_bomb(head(_ERROR, _GZIP), b""),
    "gzip bomb, accepted": gzip_bomb(head("200 OK", _GZIP), b"<"),
    "zstd bomb": zstd_bomb(head("200 OK", _ZSTD)),
    "no gzip": fixed(response("200 OK", b"no gzip at all", _GZIP)),
    "endless headers": endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "endless header": endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
    "endless interim": endless(b"", head("103 Early Hints", b"Link: </a>")),
    "endless status": endless(b"HTTP/1.1 200 ", b"O"),
    "header without a colon": fixed(response(_ERROR, b"", b"Content-Length", b"Date")),
    "multipart": fixed(response(_ERROR, b"", b"Content-Type: multipart/mixed")),
    "slow head": slow(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "slow body": slow(head(_ERROR, b"Content-Length: 100000"), b"a"),
    "slow chunks": slow(head("200 OK", b"Transfer-Encoding: chunked"), b"1\r\na\r\n"),
    "silence": silent,
    "no response": closing,
    "no HTTP": fixed(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "bytes": fixed(bytes(range(256)) * 100),
    "status 000": fixed(head("000 Nothing")),
    "status 9999": fixed(head("9999 Much")),
    "upgrade": fixed(head("101 Switching Protocols", b"Upgrade: h2c")),
    "invalid UTF-8": _rejected(b'{"error":"\xff\xfe\xc3"}'),
    "NaN": _rejected(b'{"error":NaN}'),
    "NaN in a result": fixed(response("200 OK", _RESULT + b"NaN]]}]}]}", _JSON)),
    "nested": _rejected(_NESTED),
    "nested result": fixed(response("200 OK", _RESULT + b"[" * 100_000, _JSON)),
    "two lengths": fixed(head(_ERROR, b"Content-Length: 5", b"Content-Length: 7")),
    "length and chunks": fixed(
        head(_ERROR, b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"3\r\nabc"
    ),
    "negative length": fixed(head(_ERROR, b"Content-Length: -5")),
    "huge length": fixed(head(_ERROR, b"Content-Length: " + b"9" * 400)),
    "short body": fixed(head(_ERROR, b"Content-Length: 500") + b"short"),
    "moved": fixed(response("301 Moved Permanently", b"", b"Location: /")),
    "redirected": fixed(response("307 Redirect", b"", b"Location: http://127.0.0.1:9")),
    "redirected to a file": fixed(
        response("308 Redirect", b"", b"Location: file:///etc/passwd")
    ),
    "redirect without a target": fixed(response("302 Found")),
    **{
        f"{name.decode()} {index}": _dated(name, value)
        for name in (b"Date", b"Retry-After")
        for index, value in enumerate(_MOMENTS)
    },
}
# In place of the server's part of a TLS handshake.
BEFORE_TLS: Mapping[str, Talk] = {
    "plain HTTP": fixed(head("400 Bad Request")),
    "garbage": fixed(b"\x00" * 2000),
    "endless records": endless(b"", b"\x16\x03\x03\x40\x00" + b"a" * 16_384),
    "slow handshake": slow(b"\x16\x03\x03\x40\x00", b"a"),
    "silent handshake": silent,
    "closed handshake": closing,
}


@dataclass(slots=True)
class HostileServer:
    """A listening server; `requests` counts the requests that it has read."""

    port: int
    requests: int = 0

    def url(self, scheme: str = "http") -> str:
        """Return the server's URL."""
        return f"{scheme}://127.0.0.1:{self.port}"


@contextmanager
def hostile(
    talk: Talk, context: ssl.SSLContext | None = None, *, reads: bool = True
) -> Iterator[HostileServer]:
    """Run a server; with `reads` it reads a request before it talks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = HostileServer(listener.getsockname()[1])
        serve = partial(_serve, server, talk, context, reads)
        threading.Thread(target=_accept, args=(listener, serve), daemon=True).start()
        yield server
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


def _serve(
    server: HostileServer,
    talk: Talk,
    context: ssl.SSLContext | None,
    reads: bool,
    connection: socket.socket,
) -> None:
    connection.settimeout(_LIMIT_S)
    with suppress(OSError, ValueError), connection:
        if context is None:
            _converse(server, talk, reads, connection)
            return
        with context.wrap_socket(connection, server_side=True) as secure:
            _converse(server, talk, reads, secure)


def _converse(
    server: HostileServer, talk: Talk, reads: bool, connection: socket.socket
) -> None:
    if reads:
        with connection.makefile("rb") as stream:
            _read_request(stream)
        server.requests += 1
    talk(connection)
    # An immediate close with unread data would reset the connection.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    while connection.recv(65_536):
        pass


def _read_request(stream: object) -> None:
    length = 0
    while line := stream.readline():  # type: ignore[attr-defined]
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if line == b"\r\n":
            stream.read(length)  # type: ignore[attr-defined]
            return
