"""Probes as TCP handshakes, for targets with a known port.

They need no permission. A handshake is not an ICMP echo: servers and networks treat the
two differently. Its figures therefore have their own fields. After a handshake the
connection is reset, so that nothing stays open at the server.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from qos_agent.model import Link, Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency.transport import Answered, Event, Refused
from qos_agent.system import network
from qos_agent.system.network.connection import reset_on_close, tcp_socket
from qos_agent.system.network.tcp_info import retransmissions

MAX_COUNT = 10
"""Maximum handshakes in a train; a public server may take more for an attack."""
# IPv6, TCP with options and Ethernet headers.
_PACKET_BYTES = 40 + 40 + 14
# SYN, SYN/ACK, ACK and RST, and two SYN that the kernel repeats within Tmax = 3 s.
HANDSHAKE_BYTES = 6 * _PACKET_BYTES
_FIELDS = (
    "sent",
    "received",
    "lost",
    "unsent",
    "rtt_sum_us",
    "rtt_min_ms",
    "rtt_p50_ms",
    "rtt_p95_ms",
    "rtt_max_ms",
)


@dataclass(slots=True)
class TcpTransport:
    """Handshakes with one address; a context manager that closes all sockets."""

    address: str
    port: int
    link: Link | None
    _epoll: select.epoll = field(default_factory=select.epoll)
    _open: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)

    def fileno(self) -> int:
        """Return a file descriptor that is readable when a handshake has ended."""
        return self._epoll.fileno()

    def __enter__(self) -> Self:
        """Return the transport itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Reset and close all connections."""
        for _number, sock in self._open.values():
            sock.close()
        self._epoll.close()

    def send(self, number: int) -> None:
        """Start one handshake. Raises OSError if it cannot start."""
        sock = tcp_socket(self.address)
        try:
            sock.setblocking(False)
            reset_on_close(sock)
            self._bind(sock)
            self._connect(sock)
            self._epoll.register(sock, select.EPOLLOUT)
        except BaseException:
            sock.close()
            raise
        self._open[sock.fileno()] = number, sock

    def _bind(self, sock: socket.socket) -> None:
        try:
            network.bind(sock, self.link, self.address)
        except ProbeError as error:
            # The link was there when the train began.
            raise OSError(errno.ENETDOWN, str(error)) from error

    def _connect(self, sock: socket.socket) -> None:
        code = sock.connect_ex(network.socket_address(self.address, self.port))
        # A refusal on the same host can come at once; epoll reports it too.
        if code not in {0, errno.EINPROGRESS, errno.ECONNREFUSED}:
            raise OSError(code, os.strerror(code))

    def receive(self) -> Iterator[Event]:
        """Yield the handshakes that have ended."""
        for handle, _ in self._epoll.poll(0):
            now_ns = time.monotonic_ns()
            number, sock = self._open.pop(handle)
            with sock:
                yield from _ended(number, sock, now_ns)


def open_tcp(address: str, port: int, link: Link | None) -> TcpTransport:
    """Return handshakes with `port` of `address` over `link`.

    Raises ProbeError `binding`, `link_down`, `no_route` if the link cannot be used.
    """
    with tcp_socket(address) as sock:
        network.bind(sock, link, address)
    return TcpTransport(address, port, link)


def _ended(number: int, sock: socket.socket, now_ns: int) -> Iterator[Event]:
    """Yield the event of a handshake.

    If the kernel repeated the SYN, the first exchange was lost, and the time would
    contain the kernel's timer of a second. Such a handshake counts as lost.
    """
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        message = os.strerror(code)
        yield Refused(number, network.cause_of(OSError(code, message)), message)
        return
    repeated = 0
    with suppress(OSError):
        repeated = retransmissions(sock)
    if not repeated:
        yield Answered(number, now_ns, None)


def tcp_fields(fields: dict[str, Value]) -> dict[str, Value]:
    """Return the fields of a train under the names of handshakes."""
    return {f"tcp_{name}": fields[name] for name in _FIELDS if name in fields}
