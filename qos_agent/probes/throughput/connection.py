"""One connection to a measurement server, and the check of the response's head.

Only the head of a response is parsed. Bodies are counted, not read.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urljoin, urlsplit

from qos_agent.model import Deadline, Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.request import (
    NETWORK_AUTHENTICATION_REQUIRED,
    RequestTarget,
    request_head,
)
from qos_agent.system.network import bind, resolve
from qos_agent.system.network.connection import (
    connection_error,
    reset_on_close,
    tcp_socket,
    wrap_tls,
)
from qos_agent.system.network.tcp_info import tcp_info
from qos_agent.system.network.tls import client_context

_CONNECT_S = 5.0
_HEAD_LIMIT_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class ServerEndpoint:
    """A server's URL, with the address that the link's resolver returned."""

    target: RequestTarget
    address: str
    authority: str
    path: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(
        cls, url: str, link: Link | None, ca_file: Path | None, deadline: Deadline
    ) -> Self:
        """Resolve the host of the URL. Raises ProbeError if that fails."""
        parts, target = urlsplit(url), RequestTarget.of(url)
        return cls(
            target=target,
            address=resolve(target.host, link, deadline),
            authority=parts.netloc,
            path=parts.path,
            tls=_tls_context(ca_file) if target.secure else None,
        )

    def request(self, method: str, path: str, *headers: str) -> bytes:
        """Return the head of a request for a path below the URL of the server."""
        base = self.path if self.path.endswith("/") else f"{self.path}/"
        return request_head(method, urljoin(base, path), self.authority, *headers)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return client_context(ca_file)
    except OSError as error:
        raise ProbeError("tls_untrusted", f"{ca_file}: {error}") from error


@dataclass(slots=True)
class Connection:
    """A connected socket that does not block; `rtt_s` is the time of the handshake.

    Closing it resets the connection, because data on the way is no longer needed.
    """

    sock: socket.socket
    rtt_s: float

    @classmethod
    def open(
        cls, endpoint: ServerEndpoint, link: Link | None, deadline: Deadline
    ) -> Self:
        """Connect over the link, with TLS if the URL is https. Raises ProbeError."""
        sock = tcp_socket(endpoint.address)
        try:
            sock.settimeout(max(0.1, min(_CONNECT_S, deadline.remaining_s())))
            reset_on_close(sock)
            bind(sock, link, endpoint.address)
            started_s = time.monotonic()
            sock.connect((endpoint.address, endpoint.target.port))
            rtt_s = time.monotonic() - started_s
            if endpoint.tls is not None:
                sock = wrapped = wrap_tls(sock, endpoint.tls, endpoint.target.host)
                wrapped.do_handshake()
            sock.setblocking(False)
        except ProbeError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            raise connection_error(error) from error
        return cls(sock, rtt_s)

    def receive(self, buffer: bytearray | memoryview) -> int | None:
        """Receive into `buffer`; return the count, 0 at the end, None for no data."""
        try:
            count = self.sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise connection_error(error) from error
        if count == 0 and tcp_info(self.sock).closed:
            # Python's ssl reports a reset as the end of the data.
            raise ProbeError("reset", "Connection reset by peer")
        return count

    def send(self, data: memoryview) -> int:
        """Send, and return how many bytes the kernel accepted."""
        try:
            return self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise connection_error(error) from error

    def wake_at(self, size_bytes: int) -> None:
        """Become readable only with this much data, or at the end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size_bytes)

    @property
    def secure(self) -> bool:
        """True if the connection uses TLS."""
        return isinstance(self.sock, ssl.SSLSocket)

    def close(self) -> None:
        """Reset the connection."""
        self.sock.close()


class ResponseHead:
    """The head of a response while it arrives; checked as soon as it is complete."""

    def __init__(self, target: RequestTarget) -> None:
        self._target = target
        self._text = b""
        self.done = False
        self.length_bytes: int | None = None
        # The size of the whole file; None if the server does not report it.
        self.file_bytes: int | None = None
        self.ranged = False
        self.closes = False

    def feed(self, data: bytes) -> int:
        """Add received bytes; return how many of them belong to the body.

        Raises ProbeError if the response does not come from a measurement server.
        """
        self._text += data
        head, blank, body = self._text.partition(b"\r\n\r\n")
        if not blank:
            if len(self._text) > _HEAD_LIMIT_BYTES or not _is_http(self._text):
                raise ProbeError("bad_answer", f"no HTTP: {self._text[:40]!r}")
            return 0
        self.done = True
        self._parse(head.decode("latin-1"))
        return len(body)

    def _parse(self, head: str) -> None:
        status_line, *lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        status = _check_status(status_line, headers, self._target)
        if headers.get("content-type", "").lower().startswith("text/html"):
            # A measurement server sends no HTML; a captive portal does.
            raise self._target.page_error("an HTML page instead of data")
        length = headers.get("content-length")
        if length is not None:
            if not length.isdecimal():
                raise ProbeError("bad_answer", f"Content-Length: {length[:40]}")
            self.length_bytes = int(length)
        # RFC 9110, section 14.4: "bytes 0-499/1234".
        total = headers.get("content-range", "").rpartition("/")[2]
        self.file_bytes = int(total) if total.isdecimal() else None
        self.ranged = status == 206 and length is not None
        persistent = status_line.startswith("HTTP/1.1")
        self.closes = not persistent or headers.get("connection", "").lower() == "close"


def _is_http(text: bytes) -> bool:
    return text[:5] == b"HTTP/"[: len(text)]


def _check_status(line: str, headers: dict[str, str], target: RequestTarget) -> int:
    """Return the status of a status line. Raises ProbeError unless it is a 2xx."""
    parts = line.split(" ", 2)
    if not line.startswith("HTTP/1.") or len(parts) < 2 or not parts[1].isdecimal():
        raise ProbeError("bad_answer", line[:80])
    status = int(parts[1])
    if status == NETWORK_AUTHENTICATION_REQUIRED:
        raise ProbeError("captive_portal", line)
    if 300 <= status < 400:
        raise target.redirect_error(headers.get("location", "")[:200])
    if not 200 <= status < 300:
        raise ProbeError("http_status", line[:80])
    return status
