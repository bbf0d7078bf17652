"""One connection to a measurement server: opened on the link, judged by its answer.

It parses the head of the answer and no more; bodies are counted, not looked at.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urljoin, urlsplit

from qos_agent.model import Deadline, Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.request import AUTHENTICATE, RequestTarget
from qos_agent.system.network import bind, cause_of, resolve
from qos_agent.system.network.tcp_info import tcp_info
from qos_agent.system.network.tls import cause_of_tls

_CONNECT_S = 5.0
_HEAD_LIMIT_BYTES = 16_384
# Closing sends RST: what is still under way is not wanted any more.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: from its URL, with the address the link's resolver gave."""

    place: RequestTarget
    address: str
    authority: str
    path: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(
        cls, url: str, link: Link | None, ca_file: Path | None, deadline: Deadline
    ) -> Self:
        """Resolve the URL's host. Raises ProbeError where that fails."""
        parts, place = urlsplit(url), RequestTarget.of(url)
        return cls(
            place=place,
            address=resolve(place.host, link, deadline),
            authority=parts.netloc,
            path=parts.path,
            tls=_trust(ca_file) if place.secure else None,
        )

    def join(self, path: str) -> str:
        """A path beneath the server's URL."""
        base = self.path if self.path.endswith("/") else f"{self.path}/"
        return urljoin(base, path)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ProbeError("tls_untrusted", f"{ca_file}: {error}") from error


@dataclass(slots=True)
class Connection:
    """A connected socket, and the round trip that connecting took."""

    sock: socket.socket
    rtt_s: float

    @classmethod
    def open(cls, endpoint: Endpoint, link: Link | None, deadline: Deadline) -> Self:
        """Connect, and agree on TLS where the URL says so."""
        family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(0.1, min(_CONNECT_S, deadline.remaining_s())))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            bind(sock, link, endpoint.address)
            started_s = time.monotonic()
            sock.connect((endpoint.address, endpoint.place.port))
            rtt_s = time.monotonic() - started_s
            if endpoint.tls is not None:
                name = endpoint.place.host
                sock = endpoint.tls.wrap_socket(sock, server_hostname=name)
            sock.setblocking(False)
        except (OSError, ProbeError) as error:
            sock.close()
            raise _as_probe_error(error) from error
        return cls(sock, rtt_s)

    def receive(self, buffer: bytearray | memoryview) -> int | None:
        """Bytes put into `buffer`, 0 at the end; None where none have come."""
        try:
            count = self.sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise _as_probe_error(error) from error
        if count == 0 and tcp_info(self.sock).closed:
            # Python's TLS takes a reset for an end.
            raise ProbeError("reset", "Connection reset by peer")
        return count

    def send(self, data: memoryview) -> int:
        """Bytes that the kernel took."""
        try:
            return self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise _as_probe_error(error) from error

    def wake_at(self, size_bytes: int) -> None:
        """Count as readable only with so much to read, or with the end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size_bytes)

    @property
    def secure(self) -> bool:
        """Whether TLS is between us and the socket."""
        return isinstance(self.sock, ssl.SSLSocket)

    def close(self) -> None:
        """Reset it."""
        self.sock.close()


def _as_probe_error(error: OSError | ProbeError) -> ProbeError:
    if isinstance(error, ProbeError):
        return error
    if isinstance(error, ssl.SSLEOFError):
        return ProbeError("closed_early", str(error))
    if isinstance(error, ssl.SSLError):
        return ProbeError(cause_of_tls(error), str(error))
    return ProbeError(cause_of(error), str(error))


class Head:
    """The head of an answer as it comes in; complete, it is good or an error.

    `place` is whom it should be from.
    """

    def __init__(self, place: RequestTarget) -> None:
        self._place = place
        self._text = b""
        self.done = False
        self.length_bytes: int | None = None
        # Of what a range is a part; None where the server does not say.
        self.file_bytes: int | None = None
        self.ranged = False
        self.closes = False

    def feed(self, data: bytes) -> int:
        """Take bytes; returns how many of them belong to the body.

        Raises ProbeError where the answer is not what a measurement server says.
        """
        self._text += data
        head, blank, body = self._text.partition(b"\r\n\r\n")
        if not blank:
            if len(self._text) > _HEAD_LIMIT_BYTES or not _is_http(self._text):
                raise ProbeError("bad_answer", f"no HTTP: {self._text[:40]!r}")
            return 0
        self.done = True
        self._judge(head.decode("latin-1"))
        return len(body)

    def _judge(self, head: str) -> None:
        status_line, *lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        status = _judge_status(status_line, headers, self._place)
        if headers.get("content-type", "").lower().startswith("text/html"):
            # A measurement server sends no pages; whoever wants a log-in does.
            raise self._place.wrong_page("a page instead of data")
        length = headers.get("content-length")
        if length is not None:
            if not length.isdecimal():
                raise ProbeError("bad_answer", f"Content-Length: {length[:40]}")
            self.length_bytes = int(length)
        # RFC 9110, section 14.4: "bytes 0-499/1234".
        total = headers.get("content-range", "").rpartition("/")[2]
        self.file_bytes = int(total) if total.isdecimal() else None
        self.ranged = status == 206 and length is not None
        kept = status_line.startswith("HTTP/1.1")
        self.closes = not kept or headers.get("connection", "").lower() == "close"


def _is_http(text: bytes) -> bool:
    return text[:5] == b"HTTP/"[: len(text)]


def _judge_status(line: str, headers: dict[str, str], place: RequestTarget) -> int:
    parts = line.split(" ", 2)
    if not line.startswith("HTTP/1.") or len(parts) < 2 or not parts[1].isdecimal():
        raise ProbeError("bad_answer", line[:80])
    status = int(parts[1])
    if status == AUTHENTICATE:
        raise ProbeError("captive_portal", line)
    if 300 <= status < 400:
        raise place.sent_away(headers.get("location", "")[:200])
    if not 200 <= status < 300:
        raise ProbeError("http_status", line[:80])
    return status
