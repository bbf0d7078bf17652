"""Tells systemd how the agent is: sd_notify(3) over its datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends states to the socket systemd names; without one, does nothing."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._path = given.get("NOTIFY_SOCKET", "")
        watchdog_us = int(given.get("WATCHDOG_USEC", "0"))
        # sd_watchdog_enabled(3) recommends half the limit.
        self.watchdog_s = watchdog_us / 2e6 if watchdog_us else None

    def tell(self, state: str) -> None:
        """One state, such as READY=1, WATCHDOG=1, STOPPING=1, STATUS=text."""
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto(state.encode(), address)
            except OSError:
                return  # a manager that has gone away is no reason to stop measuring
