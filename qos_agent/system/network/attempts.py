"""Connects to a host that may have an address in each IP version (RFC 8305).

The first address is the one that the routes of the link prefer. The other one is tried
as soon as the first fails, or together with it after a delay. A probe tries each
address once. The first connection that is open is used, and the other is closed.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.model import Deadline, Link
from qos_agent.model.errors import ProbeError
from qos_agent.system.network.connection import connection_error, tcp_socket
from qos_agent.system.network.links import bind, socket_address
from qos_agent.system.network.route_query import is_routed, version_of
from qos_agent.system.network.tcp_info import tcp_info

ATTEMPT_DELAY_S = 2.0
"""The largest delay that RFC 8305, 8, recommends.

A shorter one would choose the IP version by chance: an idle radio needs up to two
seconds to connect, and the first packet that is lost is repeated after one.
"""

_SLICE_S = 0.2


@dataclass(frozen=True, slots=True)
class Connected:
    """An open connection that does not block, and the time of its handshake."""

    sock: socket.socket
    address: str
    handshake_s: float


@dataclass(frozen=True, slots=True)
class _Attempt:
    sock: socket.socket
    address: str
    started_s: float

    def age_s(self) -> float:
        return time.monotonic() - self.started_s


class Attempts:
    """The attempts to open one connection over a link; call `connect` once.

    `wait_s` is the longest wait for one handshake. `delay_s` is the time after which
    the next address is tried too.
    """

    def __init__(
        self,
        link: Link | None,
        port: int,
        wait_s: float,
        delay_s: float = ATTEMPT_DELAY_S,
    ) -> None:
        self._link = link
        self._port = port
        self._wait_s = wait_s
        self._delay_s = delay_s
        self._pending: list[_Attempt] = []
        self._failure: ProbeError | None = None
        self._packet_bytes = 0
        self._segments = 0

    def failed_bytes(self, frame_bytes: int) -> int:
        """Return the bytes on the wire of the attempts that were not used."""
        return self._packet_bytes + self._segments * frame_bytes

    def connect(self, addresses: Iterator[str], deadline: Deadline) -> Connected:
        """Return the first open connection.

        Raises the ProbeError of the first address if none answers, and `deadline` at
        the end of the task.
        """
        exhausted = False
        try:
            while not (exhausted and not self._pending):
                if not exhausted and self._next_is_due():
                    exhausted = not self._start(next(addresses, None))
                if deadline.wait(0):
                    raise ProbeError("deadline")
                if (connected := self._wait(exhausted)) is not None:
                    return connected
        finally:
            while self._pending:
                self._close(self._pending[0])
        raise self._failure or ProbeError("name_not_resolved", "no address")

    def _next_is_due(self) -> bool:
        return not self._pending or self._pending[-1].age_s() >= self._delay_s

    def _start(self, address: str | None) -> bool:
        """Start an attempt; return False if there is no further address."""
        if address is None:
            return False
        if not is_routed(self._link, address):
            detail = f"the link has no route for IPv{version_of(address)}"
            self._fail(ProbeError("no_route", detail))
            return True
        sock = tcp_socket(address)
        attempt = _Attempt(sock, address, time.monotonic())
        self._pending.append(attempt)
        try:
            bind(sock, self._link, address)
            sock.setblocking(False)
            code = sock.connect_ex(socket_address(address, self._port))
        except ProbeError as error:
            self._fail(error, attempt)
        except OSError as error:
            self._fail(connection_error(error), attempt)
        else:
            if code not in (0, errno.EINPROGRESS):
                self._fail(_error(code), attempt)
        return True

    def _wait(self, exhausted: bool) -> Connected | None:
        """Wait a moment for the pending handshakes; return the first that ends well."""
        if not self._pending:
            return None
        poll = select.poll()
        for attempt in self._pending:
            poll.register(attempt.sock, select.POLLOUT)
        wait_s = _SLICE_S
        if not exhausted:
            left_s = self._delay_s - self._pending[-1].age_s()
            wait_s = min(wait_s, max(0.0, left_s))
        ready = {handle for handle, _ in poll.poll(wait_s * 1000)}
        for attempt in tuple(self._pending):
            if attempt.sock.fileno() not in ready:
                if attempt.age_s() >= self._wait_s:
                    detail = f"no byte moved in {self._wait_s:.0f} s"
                    self._fail(ProbeError("timeout", detail), attempt)
                continue
            code = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                self._pending.remove(attempt)
                return Connected(attempt.sock, attempt.address, attempt.age_s())
            self._fail(_error(code), attempt)
        return None

    def _fail(self, error: ProbeError, attempt: _Attempt | None = None) -> None:
        """Keep the error of the first address, which the link prefers."""
        self._failure = self._failure or error
        if attempt is not None:
            self._close(attempt)

    def _close(self, attempt: _Attempt) -> None:
        self._pending.remove(attempt)
        info = tcp_info(attempt.sock)
        self._packet_bytes += info.packet_bytes()
        self._segments += info.segments
        attempt.sock.close()


def _error(code: int) -> ProbeError:
    return connection_error(OSError(code, os.strerror(code)))
