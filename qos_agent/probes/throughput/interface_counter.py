"""Counts the bytes on an interface, fast enough to be read before every receive."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError
from qos_agent.system.files import read_text
from qos_agent.system.machine import interface_addresses
from qos_agent.system.network import interface_count, moved_since

_ETHERNET, _LOOPBACK = "1", "772"  # ARPHRD_*, <linux/if_arp.h>
_ETHERNET_HEADER_BYTES = 14


class InterfaceCounter:
    """Bytes received and sent since its creation, as the kernel counts frames.

    The counter files stay open: one read takes some microseconds. Raises ProbeError
    `link_down` if the interface does not exist.
    """

    def __init__(self, interface: str) -> None:
        count = interface_count(interface)
        folder = Path("/sys/class/net") / interface
        self._handles = _open_counters(folder / "statistics")
        kind = (read_text(folder / "type") or "").strip()
        # Raw IP modems and PPP count no link header.
        framed = kind in (_ETHERNET, _LOOPBACK)
        self.header_bytes = _ETHERNET_HEADER_BYTES if framed else 0
        self._is_loopback = kind == _LOOPBACK
        # The last value of each counter, and what it moved since the creation.
        self._last = [count.received_bytes, count.sent_bytes]
        self._moved = [0, 0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            os.close(handle)

    def received(self) -> int:
        """Return the bytes received."""
        return self._read(0)

    def sent(self) -> int:
        """Return the bytes sent."""
        return self._read(1)

    def moved(self) -> int:
        """Return the bytes in both directions; on loopback each byte counts once."""
        return self.received() + (0 if self._is_loopback else self.sent())

    def _read(self, index: int) -> int:
        """Return the bytes so far; a driver may set a counter to zero meanwhile."""
        try:
            value = int(os.pread(self._handles[index], 32, 0))
        except (OSError, ValueError) as error:
            raise ProbeError("link_down", "the interface went away") from error
        self._moved[index] += moved_since(self._last[index], value)
        self._last[index] = value
        return self._moved[index]


def _open_counters(folder: Path) -> list[int]:
    """Open both counters. Raises ProbeError if the interface went away meanwhile."""
    handles: list[int] = []
    try:
        for name in ("rx_bytes", "tx_bytes"):
            handles.append(os.open(folder / name, os.O_RDONLY))  # noqa: PERF401
    except OSError as error:
        for handle in handles:
            os.close(handle)
        raise ProbeError("link_down", "the interface went away") from error
    return handles


@contextmanager
def counter_of(interface: str | None) -> Iterator[InterfaceCounter | None]:
    """Count an interface for the time of a block; yield None if it is not known."""
    if interface is None:
        yield None
        return
    with InterfaceCounter(interface) as counter:
        yield counter


def interface_of_socket(sock: socket.socket) -> str:
    """Return the interface that has the local address of a connected socket."""
    local = sock.getsockname()[0]
    for name, addresses in interface_addresses().items():
        if any(address.partition("%")[0] == local for address in addresses):
            return name
    raise ProbeError("binding", f"no interface has the address {local}")


def guard(
    counter: InterfaceCounter | None, byte_limit: int, deadline: Deadline
) -> Callable[[], str | None]:
    """Return a watch that ends a child process.

    Its causes are `allowance` at the byte limit, and `killed` if the agent is stopping.
    """

    def watch() -> str | None:
        if deadline.stopping():
            return "killed"
        if counter is not None and counter.moved() >= byte_limit:
            return "allowance"
        return None

    return watch
