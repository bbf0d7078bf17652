"""Datagrams that systemd receives on the socket in NOTIFY_SOCKET."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.system.systemd import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a socket like the one that systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def test_states_reach_the_manager(manager: socket.socket) -> None:
    """READY=1 arrives in the form of sd_notify(3)."""
    Notifier({"NOTIFY_SOCKET": manager.getsockname()}).notify("READY=1")
    assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket_is_reached() -> None:
    """A name that begins with @ is an abstract socket, which has no file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0qos-agent-test-notify")
        sock.settimeout(5)
        Notifier({"NOTIFY_SOCKET": "@qos-agent-test-notify"}).notify("STOPPING=1")
        assert sock.recv(100) == b"STOPPING=1"


def test_the_watchdog_interval_is_half_its_limit() -> None:
    """sd_watchdog_enabled(3) recommends half the limit; without one it is None."""
    assert Notifier({"WATCHDOG_USEC": "120000000"}).watchdog_s == 60
    assert Notifier({}).watchdog_s is None


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    """Neither a missing socket nor an unset variable is an error."""
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).notify("READY=1")
    Notifier({}).notify("READY=1")
