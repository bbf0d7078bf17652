"""Reports the state of the agent to systemd: sd_notify(3) over a datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends states to the socket in NOTIFY_SOCKET; without one it does nothing."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        variables = os.environ if environment is None else environment
        self._path = variables.get("NOTIFY_SOCKET", "")
        watchdog_us = _number(variables.get("WATCHDOG_USEC", ""))
        # sd_watchdog_enabled(3) recommends half the limit.
        self.watchdog_s = watchdog_us / 2e6 if watchdog_us else None

    def reloading(self) -> None:
        """Report that a reload begins; the next READY=1 ends it."""
        monotonic_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.notify(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us}")

    def notify(self, state: str) -> None:
        """Send one state, such as READY=1, WATCHDOG=1, STOPPING=1 or STATUS=text."""
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto(state.encode(), address)
            except OSError:
                return  # Measurements go on if systemd does not read the socket.


def _number(text: str) -> int:
    """Return 0 for a value that systemd would not set."""
    return int(text) if text.isdecimal() else 0
