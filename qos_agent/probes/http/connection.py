"""One TCP connection of a web probe: opened in steps, each of them timed.

No wait lasts longer than the deadline of the task, nor more than a moment after the
agent begins to stop. If no byte moves for a while, the connection has stalled. The
timeout of a socket is not enough: it starts again with every byte of a slow server.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from qos_agent.model import Deadline, Link, Value
from qos_agent.model.errors import ConfigError, ProbeError
from qos_agent.probes.http.request import RequestTarget
from qos_agent.system import network
from qos_agent.system.network.attempts import Attempts, Connected
from qos_agent.system.network.connection import (
    connection_error,
    reset_on_close,
    wrap_tls,
)
from qos_agent.system.network.tcp_info import TcpInfo, tcp_info
from qos_agent.system.network.tls import client_context

T = TypeVar("T")
Resolve = Callable[[str, Link | None, Deadline], network.Resolved]

_SLICE_S = 0.2
_SIOCOUTQ = 0x5411  # <linux/sockios.h>
_TCP_NOTSENT_LOWAT = 25  # <linux/tcp.h>
# With at most this much unsent in the kernel, an upload ends soon after its deadline.
_UNSENT_MAX_BYTES = 128 * 1024
# The Ethernet header. A modem without one is counted too high, never too low.
_FRAME_BYTES = 14


@dataclass(frozen=True, slots=True)
class HttpClient:
    """The parts that all requests of a probe share.

    `idle_s` is the time without a moved byte after which a connection has stalled.
    """

    tls: ssl.SSLContext
    idle_s: float
    resolve: Resolve = network.look_up


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The client, the link and the deadline of one task."""

    client: HttpClient
    link: Link | None
    deadline: Deadline


def tls_context(ca_file: Path | None, key: str, urls: Iterable[str]) -> ssl.SSLContext:
    """Return the TLS context for `urls`.

    If no URL is https, the context trusts no authority: the certificates of the system
    take 2.5 MiB, and redirects are not followed.

    Raises ConfigError for `key` if the file contains no certificate.
    """
    if ca_file is None and not any(url.startswith("https:") for url in urls):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = client_context(ca_file)
    except OSError as error:
        found = f"{str(ca_file)!r}, {error.strerror or error}"
        problem = "must be a file of certificates in PEM format"
        fix = "correct the path or the file"
        raise ConfigError(key, found, problem, fix) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def open_connection(
    target: RequestTarget, first: str, context: TaskContext, fields: dict[str, Value]
) -> Iterator[HttpConnection]:
    """Connect for the time of a block; put the time of each step into `fields`.

    `first` is the address that `resolve_host` returned. The bytes on the wire are added
    at the end, also after a failure. If the block fails, the data that the kernel still
    holds is not sent. Raises ProbeError.
    """
    attempts = Attempts(context.link, target.port, context.client.idle_s)
    try:
        connected = _connect(target, first, attempts, context, fields)
    except ProbeError:
        fields["data_bytes"] = attempts.failed_bytes(_FRAME_BYTES)
        raise
    connection = HttpConnection(connected.sock, context)
    reset = True
    try:
        if target.secure:
            with timed(fields, "tls_ms"):
                connection.start_tls(target.host)
        yield connection
        reset = False
    finally:
        failed_bytes = attempts.failed_bytes(_FRAME_BYTES)
        fields["data_bytes"] = connection.wire_bytes() + failed_bytes
        connection.close(reset=reset)


def _connect(
    target: RequestTarget,
    first: str,
    attempts: Attempts,
    context: TaskContext,
    fields: dict[str, Value],
) -> Connected:
    """Connect to the first address, or to that of the other IP version."""
    link, deadline = context.link, context.deadline
    addresses = network.addresses_to_try(target.host, first, link, deadline)
    with timed(fields, "connect_ms"):
        connected = attempts.connect(addresses, deadline)
    _set_address(connected.address, fields)
    return connected


def resolve_host(host: str, context: TaskContext, fields: dict[str, Value]) -> str:
    """Return the address of a host; put the time of its queries into `fields`.

    There is no time if no query went over the link. Raises ProbeError.
    """
    resolved = context.client.resolve(host, context.link, context.deadline)
    if resolved.resolve_ms is not None:
        fields["dns_ms"] = resolved.resolve_ms
    if resolved.outside:
        fields["resolve_outside"] = 1
    _set_address(resolved.address, fields)
    return resolved.address


def _set_address(address: str, fields: dict[str, Value]) -> None:
    fields["address"] = address
    fields["ip_version"] = network.version_of(address)


def total_ms(rest_ms: float, fields: Mapping[str, Value]) -> float:
    """Return the time of the queries over the link and of all steps after them."""
    return rest_ms + float(fields.get("dns_ms", 0.0))


@contextmanager
def timed(fields: dict[str, Value], name: str) -> Iterator[None]:
    """Put the duration of a block in milliseconds into `fields`, if it succeeds."""
    start_ns = now_ns()
    yield
    fields[name] = (now_ns() - start_ns) / 1e6


def now_ns() -> int:
    """Return the time that all parts of a request are measured with."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _wire_bytes(info: TcpInfo) -> int:
    return info.packet_bytes() + info.segments * _FRAME_BYTES


class HttpConnection:
    """A connection that keeps to the deadline of its task and counts its bytes."""

    def __init__(self, sock: socket.socket, context: TaskContext) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_MAX_BYTES)
        self._sock = sock
        self._context = context
        self.idle_s = context.client.idle_s

    def info(self) -> TcpInfo:
        """Return the kernel's counters of the connection."""
        return tcp_info(self._sock)

    def wire_bytes(self) -> int:
        """Return the bytes on the wire, in both directions."""
        return _wire_bytes(self.info())

    def accepted_bytes(self) -> int:
        """Return the bytes on the wire, and those that the kernel still has to send.

        Bytes in flight are on the wire, although they are not acknowledged.
        """
        info = self.info()
        return _wire_bytes(info) + info.unsent_bytes

    def unacknowledged_bytes(self) -> int:
        """Return the bytes in the send queue that are not acknowledged; see tcp(7)."""
        queue = fcntl.ioctl(self._sock, _SIOCOUTQ, bytes(4))
        return int.from_bytes(queue, "little")

    def start_tls(self, host: str) -> None:
        """Do the handshake. Raises ProbeError `tls_expired`, `tls_name` and others."""
        try:
            wrapped = wrap_tls(self._sock, self._context.client.tls, host)
        except OSError as error:
            raise connection_error(error) from error
        self._sock = wrapped
        self._until_idle(wrapped.do_handshake, "timeout")

    def send(self, data: bytes) -> None:
        """Send all of `data`; little of it waits unsent in the kernel."""
        position = 0
        while position < len(data):
            rest = memoryview(data)[position:]
            position += self._until_idle(partial(self._sock.send, rest), "stalled")

    def receive_into(self, buffer: memoryview, cause: str) -> int:
        """Receive at least a byte; return the count, 0 if the peer has closed."""
        return self._until_idle(partial(self._sock.recv_into, buffer), cause)

    def _until_idle(self, step: Callable[[], T], cause: str) -> T:
        """Repeat `step` while it times out, and return its result.

        Raises ProbeError `cause` if no byte was acknowledged or received for the idle
        time, and `deadline` at the end of the task.
        """
        moved_bytes, since_s = self._moved_bytes(), time.monotonic()
        while not self._context.deadline.wait(0):
            self._sock.settimeout(_SLICE_S)
            try:
                return step()
            except TimeoutError:
                pass
            except OSError as error:
                raise connection_error(error) from error
            if self._moved_bytes() != moved_bytes:
                moved_bytes, since_s = self._moved_bytes(), time.monotonic()
            elif time.monotonic() - since_s >= self.idle_s:
                raise ProbeError(cause, f"no byte moved in {self.idle_s:.0f} s")
        raise ProbeError("deadline")

    def _moved_bytes(self) -> int:
        info = self.info()
        return info.acked_bytes + info.received_bytes

    def close(self, *, reset: bool) -> None:
        """Close the connection; a reset drops the data that is still unsent."""
        if reset:
            reset_on_close(self._sock)
        self._sock.close()
