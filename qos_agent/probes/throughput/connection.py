"""One connection to a measurement server, and the check of the response's head.

Only the head of a response is parsed. Bodies are counted, not read.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urljoin, urlsplit

from qos_agent.model import Deadline, Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.head import HeadReader, ResponseHead, as_size
from qos_agent.probes.http.request import (
    NETWORK_AUTHENTICATION_REQUIRED,
    RequestTarget,
    request_head,
)
from qos_agent.system.network import addresses_to_try, look_up
from qos_agent.system.network.attempts import Attempts
from qos_agent.system.network.connection import (
    connection_error,
    reset_on_close,
    wrap_tls,
)
from qos_agent.system.network.tcp_info import tcp_info
from qos_agent.system.network.tls import client_context

_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class ServerEndpoint:
    """A server's URL, with the address that the link's resolver returned.

    `outside` is True if a forwarder on this device resolved the name.
    """

    target: RequestTarget
    address: str
    outside: bool
    authority: str
    path: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(
        cls, url: str, link: Link | None, ca_file: Path | None, deadline: Deadline
    ) -> Self:
        """Resolve the host of the URL. Raises ProbeError if that fails."""
        parts, target = urlsplit(url), RequestTarget.of(url)
        resolved = look_up(target.host, link, deadline)
        return cls(
            target=target,
            address=resolved.address,
            outside=resolved.outside,
            authority=parts.netloc,
            path=parts.path,
            tls=_tls_context(ca_file) if target.secure else None,
        )

    def request(self, method: str, path: str, *headers: str) -> bytes:
        """Return the head of a request for a path below the URL of the server."""
        base = self.path if self.path.endswith("/") else f"{self.path}/"
        return request_head(
            method, urljoin(base, path), self.target.authority, *headers
        )


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return client_context(ca_file)
    except OSError as error:
        raise ProbeError("tls_untrusted", f"{ca_file}: {error}") from error


@dataclass(slots=True)
class Connection:
    """A connected socket that does not block; `rtt_s` is the time of the handshake.

    `address` may be of the other IP version than that of the endpoint.

    Closing it resets the connection, because data on the way is no longer needed.
    """

    sock: socket.socket
    address: str
    rtt_s: float

    @classmethod
    def open(
        cls, endpoint: ServerEndpoint, link: Link | None, deadline: Deadline
    ) -> Self:
        """Connect over the link, with TLS if the URL is https. Raises ProbeError."""
        wait_s = max(0.1, min(_CONNECT_S, deadline.remaining_s()))
        attempts = Attempts(link, endpoint.target.port, wait_s)
        host, first = endpoint.target.host, endpoint.address
        addresses = addresses_to_try(host, first, link, deadline)
        connected = attempts.connect(addresses, deadline)
        sock = connected.sock
        try:
            reset_on_close(sock)
            if endpoint.tls is not None:
                sock.settimeout(max(0.1, min(_CONNECT_S, deadline.remaining_s())))
                sock = wrapped = wrap_tls(sock, endpoint.tls, endpoint.target.host)
                wrapped.do_handshake()
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            raise connection_error(error) from error
        return cls(sock, connected.address, connected.handshake_s)

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


class MeasurementHead:
    """The head of a response while it arrives; checked as soon as it is complete."""

    def __init__(self, target: RequestTarget) -> None:
        self._target = target
        self._reader = HeadReader()
        self.done = False
        self.chunked = False
        self.length_bytes: int | None = None
        # The size of the whole file; None if the server does not report it.
        self.file_bytes: int | None = None
        self.ranged = False
        self.closes = False

    def feed(self, data: bytes) -> int:
        """Add received bytes; return how many of them belong to the body.

        Raises ProbeError if the response does not come from a measurement server.
        """
        head = self._reader.feed(data)
        if head is None:
            return 0
        self.done = True
        self._check(head)
        return len(self._reader.rest)

    def _check(self, head: ResponseHead) -> None:
        _check_status(head, self._target)
        if head.headers.get("content-type", "").lower().startswith("text/html"):
            # A measurement server sends no HTML; a captive portal does.
            raise self._target.page_error("an HTML page instead of data")
        self.length_bytes = head.length_bytes()
        self.chunked = head.chunked
        # RFC 9110, section 14.4: "bytes 0-499/1234".
        total = head.headers.get("content-range", "").rpartition("/")[2]
        self.file_bytes = as_size(total)
        self.ranged = head.status == 206 and self.length_bytes is not None
        self.closes = head.closes


def _check_status(head: ResponseHead, target: RequestTarget) -> None:
    """Raise ProbeError unless the status is a 2xx."""
    if head.status == NETWORK_AUTHENTICATION_REQUIRED:
        raise ProbeError("captive_portal", head.status_line[:80])
    if 300 <= head.status < 400:
        raise target.redirect_error(head.headers.get("location", "")[:200])
    if not 200 <= head.status < 300:
        raise ProbeError("http_status", head.status_line[:80])
