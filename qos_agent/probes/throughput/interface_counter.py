"""Counts what an interface moves, cheaply enough to be asked before every read."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError
from qos_agent.system.network import interface_bytes

_ETHERNET, _LOOPBACK = "1", "772"  # ARPHRD_*, <linux/if_arp.h>
_ETHERNET_HEADER_BYTES = 14


class InterfaceCounter:
    """Bytes received and sent since it was made, as the kernel counts frames.

    The counters are kept open: reading one costs some microseconds. Raises
    ProbeError `link_down` where there is no such interface.
    """

    def __init__(self, interface: str) -> None:
        interface_bytes(interface)
        folder = Path("/sys/class/net") / interface
        self._handles = [
            os.open(folder / "statistics" / name, os.O_RDONLY)
            for name in ("rx_bytes", "tx_bytes")
        ]
        kind = (folder / "type").read_text().strip()
        # Raw IP modems and PPP count no link header.
        framed = kind in (_ETHERNET, _LOOPBACK)
        self.header_bytes = _ETHERNET_HEADER_BYTES if framed else 0
        self._loops = kind == _LOOPBACK
        self._start = self._read(0), self._read(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            os.close(handle)

    def received(self) -> int:
        """Bytes received."""
        return self._read(0) - self._start[0]

    def sent(self) -> int:
        """Bytes sent."""
        return self._read(1) - self._start[1]

    def moved(self) -> int:
        """Bytes both ways; what loops back is counted once."""
        return self.received() + (0 if self._loops else self.sent())

    def _read(self, which: int) -> int:
        try:
            return int(os.pread(self._handles[which], 32, 0))
        except OSError as error:
            raise ProbeError("link_down", "the interface went away") from error


def interface_of_socket(sock: socket.socket) -> str:
    """The interface that has a connected socket's own address."""
    own = sock.getsockname()[0]
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address.partition("%")[0] == own for address in addresses):
            return name
    raise ProbeError("binding", f"no interface has the address {own}")


def guard(
    meter: InterfaceCounter | None, byte_limit: int, deadline: Deadline
) -> Callable[[], str | None]:
    """The word that ends the child: the limit passed, or the agent is stopping."""

    def look() -> str | None:
        if deadline.stopping():
            return "killed"
        if meter is not None and meter.moved() >= byte_limit:
            return "allowance"
        return None

    return look
