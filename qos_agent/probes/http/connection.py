"""One TCP connection on one link, to a web server: opened in steps, each timed.

Nothing waits past the task's deadline, nor longer than a moment after the agent is
told to stop; a peer that moves no byte for a while has stalled. A socket's own
time-out cannot do that: it starts anew with every byte that a slow server sends.
"""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from qos_agent.model import Deadline, Link, Value
from qos_agent.model.errors import ConfigError, ProbeError
from qos_agent.probes.http.request import RequestTarget
from qos_agent.system import network
from qos_agent.system.network.tcp_info import TcpInfo, tcp_info
from qos_agent.system.network.tls import cause_of_tls

T = TypeVar("T")
Resolve = Callable[[str, Link | None, Deadline], str]

_SLICE_S = 0.2
_SIOCOUTQ = 0x5411  # <linux/sockios.h>
_TCP_NOTSENT_LOWAT = 25  # <linux/tcp.h>
# So little waits unsent in the kernel that an upload ends soon after it must.
_UNSENT_MAX_BYTES = 128 * 1024
# Ethernet's header; counting it where a modem has none errs on the allowance's side.
_FRAME_BYTES = 14
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class HttpClient:
    """How a probe reaches places: trusting whom, how patiently, asking which names."""

    context: ssl.SSLContext
    idle_s: float
    resolve: Resolve = network.resolve


@dataclass(frozen=True, slots=True)
class TaskContext:
    """How one task does: over which link, and for how long."""

    reach: HttpClient
    link: Link | None
    deadline: Deadline


def trust(ca_file: Path | None, key: str, urls: Iterable[str]) -> ssl.SSLContext:
    """What decides whether a server is the one it claims to be.

    Where none of `urls` is https it trusts nobody: the system's certificates take
    2.5 MiB, and redirections are not followed.

    Raises ConfigError for `key` where the file holds no certificates.
    """
    if ca_file is None and not any(url.startswith("https:") for url in urls):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        found = f"{ca_file}: {error.strerror or error}"
        allowed = "a file of certificates in PEM"
        raise ConfigError(key, found, allowed, f"edit {key}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def opened(
    place: RequestTarget, way: TaskContext, found: dict[str, Value]
) -> Iterator[Connection]:
    """A connection for the time of a block; each step that succeeds is in `found`.

    Its bytes on the wire are there in the end, whatever happened. What the kernel
    still holds when the block fails is not sent. Raises ProbeError.
    """
    address = _address(place.host, way, found)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = Connection(socket.socket(family, socket.SOCK_STREAM), way)
    reset = True
    try:
        with timed(found, "connect_ms"):
            connection.connect(address, place.port)
        if place.secure:
            with timed(found, "tls_ms"):
                connection.secure(place.host)
        yield connection
        reset = False
    finally:
        found["data_bytes"] = connection.wire_bytes()
        connection.close(reset=reset)


def _address(host: str, way: TaskContext, found: dict[str, Value]) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        with timed(found, "dns_ms"):
            host = way.reach.resolve(host, way.link, way.deadline)
    found["address"] = host
    found["ip_version"] = 6 if ":" in host else 4
    return host


@contextmanager
def timed(found: dict[str, Value], name: str) -> Iterator[None]:
    """Put the length of a block into `found`, if it succeeds; in milliseconds."""
    start_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    yield
    found[name] = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - start_ns) / 1e6


class Connection:
    """A socket that keeps to a deadline and knows what it has moved."""

    def __init__(self, sock: socket.socket, way: TaskContext) -> None:
        self._sock = sock
        self._way = way
        self.idle_s = way.reach.idle_s

    def info(self) -> TcpInfo:
        """The kernel's counters."""
        return tcp_info(self._sock)

    def wire_bytes(self) -> int:
        """All it moved, both ways, on the wire."""
        info = self.info()
        return info.packet_bytes() + info.segments * _FRAME_BYTES

    def unacknowledged_bytes(self) -> int:
        """What the kernel was given and the other end has not acknowledged; tcp(7)."""
        answer = fcntl.ioctl(self._sock, _SIOCOUTQ, bytes(4))
        return int.from_bytes(answer, "little")

    def connect(self, address: str, port: int) -> None:
        """Connect over the link. Raises ProbeError `timeout`, `refused` and such."""
        network.bind(self._sock, self._way.link, address)
        self._sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT_MAX_BYTES)
        self._sock.setblocking(False)
        code = self._sock.connect_ex((address, port))
        self._patiently(partial(_connected, self._sock, code), "timeout")

    def secure(self, host: str) -> None:
        """Agree on TLS. Raises ProbeError `tls_expired`, `tls_name` and such."""
        try:
            wrapped = self._way.reach.context.wrap_socket(
                self._sock, server_hostname=host, do_handshake_on_connect=False
            )
        except OSError as error:
            raise _failure(error) from error
        self._sock = wrapped
        self._patiently(wrapped.do_handshake, "timeout")

    def send(self, data: bytes) -> None:
        """Give all of `data` to the kernel, hardly faster than it is acknowledged."""
        position = 0
        while position < len(data):
            rest = memoryview(data)[position:]
            position += self._patiently(partial(self._sock.send, rest), "stalled")

    def receive_into(self, buffer: memoryview, cause: str) -> int:
        """What has come, at least a byte; 0 where the other end has closed."""
        return self._patiently(partial(self._sock.recv_into, buffer), cause)

    def _patiently(self, step: Callable[[], T], cause: str) -> T:
        """What `step` returns once it no longer times out.

        Raises ProbeError `cause` when no byte has been acknowledged or received for
        a while, `deadline` when the time is up.
        """
        moved_bytes, since_s = self._moved_bytes(), time.monotonic()
        while not self._way.deadline.wait(0):
            self._sock.settimeout(_SLICE_S)
            try:
                return step()
            except TimeoutError:
                pass
            except OSError as error:
                raise _failure(error) from error
            if self._moved_bytes() != moved_bytes:
                moved_bytes, since_s = self._moved_bytes(), time.monotonic()
            elif time.monotonic() - since_s >= self.idle_s:
                raise ProbeError(cause, f"no byte moved in {self.idle_s:.0f} s")
        raise ProbeError("deadline")

    def _moved_bytes(self) -> int:
        info = self.info()
        return info.acked_bytes + info.received_bytes

    def close(self, *, reset: bool) -> None:
        """End it; by a reset, what the kernel still holds is dropped unsent."""
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._sock.close()


def _connected(sock: socket.socket, code: int) -> None:
    """The end of a connect() that has begun; TimeoutError while there is none."""
    if code == errno.EINPROGRESS:
        _, writable, _ = select.select([], [sock], [], _SLICE_S)
        if not writable:
            raise TimeoutError
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    # ETIMEDOUT would become a TimeoutError, which here means: ask again.
    if code:
        raise _failure(OSError(code, os.strerror(code)))


def _failure(error: OSError) -> ProbeError:
    """The world's refusal as an error of the probe."""
    match error:
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return ProbeError("closed_early", "during the handshake")
        case ssl.SSLCertVerificationError():
            return ProbeError(cause_of_tls(error), error.verify_message)
        case ssl.SSLError():
            return ProbeError(cause_of_tls(error), str(error.reason or error))
        case _:
            return ProbeError(network.cause_of(error), error.strerror or str(error))
