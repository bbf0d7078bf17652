"""Flows and their connections over the loopback, one socket at a time."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from qos_agent.probes.throughput.connection import Connection, ServerEndpoint
from qos_agent.probes.throughput.downloads import Downloads
from qos_agent.probes.throughput.flows import FAST_BPS, window_bytes
from qos_agent.probes.throughput.interface_counter import InterfaceCounter
from qos_agent.probes.throughput.loaded_rtt import EchoTrain
from qos_agent.probes.throughput.uploads import Uploads
from qos_agent.system.network.tcp_info import tcp_info
from tests.probes.throughput.bad_server import HEAD, bad_server, responds, silent
from tests.probes.time_left import TimeLeft
from tests.support.requirement import require

AVAILABLE = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
LIMIT_BYTES = 50_000_000


@contextmanager
def connected(port: int) -> Iterator[tuple[ServerEndpoint, Connection]]:
    """Yield a connection to a server on this machine."""
    deadline = TimeLeft(10)
    endpoint = ServerEndpoint.of(f"http://127.0.0.1:{port}", None, None, deadline)
    with closing(Connection.open(endpoint, None, deadline)) as connection:
        yield endpoint, connection


def test_closing_resets() -> None:
    """Closing resets the connection, so that the peer stops at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with connected(server.getsockname()[1]):
            other = server.accept()[0]
        with other, pytest.raises(ConnectionResetError):
            other.recv(1)


def test_an_ended_connection_is_no_longer_watched() -> None:
    """A closed connection stays readable, so it is removed from the selector."""
    body = HEAD + b"Content-Length: 100000\r\n\r\n" + bytes(100_000)
    with ExitStack() as stack:
        port = stack.enter_context(bad_server(responds(body)))
        endpoint, connection = stack.enter_context(connected(port))
        counter = stack.enter_context(InterfaceCounter("lo"))
        selector = stack.enter_context(selectors.DefaultSelector())
        echo = stack.enter_context(closing(EchoTrain("127.0.0.1", None)))
        flows = Downloads(endpoint, "x", [connection], counter, echo, LIMIT_BYTES)
        flows.start_more(selector, 1)
        end_s = time.monotonic() + 5
        while not flows.finished() and time.monotonic() < end_s:
            selector.select(0.01)
            flows.sweep()
        assert flows.finished()
        assert len(selector.get_map()) == 0


def test_an_upload_uses_exactly_the_room() -> None:
    """It sends all of the room, and then waits until there is room again."""
    with ExitStack() as stack:
        port = stack.enter_context(bad_server(silent))
        endpoint, connection = stack.enter_context(connected(port))
        selector = stack.enter_context(selectors.DefaultSelector())
        flows = Uploads(endpoint, "x", [connection], LIMIT_BYTES)
        flows.start_more(selector, 1)
        flows.serve(connection, selectors.EVENT_WRITE, 12_345)
        assert flows.carried_bytes == 12_345
        (key,) = selector.get_map().values()
        assert key.events == selectors.EVENT_READ
        flows.keep_within(0)
        assert selector.get_key(connection.sock).events == selectors.EVENT_READ
        flows.keep_within(1)
        assert selector.get_key(connection.sock).events & selectors.EVENT_WRITE


@pytest.mark.parametrize(
    ("name", "reading", "expected"),
    [(b"bbr", True, True), (b"bbr", False, False), (b"reno", True, False)],
)
def test_only_bbr_without_a_window_limit_is_queue_averse(
    name: bytes, expected: bool, reading: bool
) -> None:
    """BBR fills a link without a queue, unless the peer does not read."""
    require("bbr" in AVAILABLE.read_text().split(), "bbr", "modprobe tcp_bbr")
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = server.getsockname()[1]
        endpoint, connection = stack.enter_context(connected(port))
        other = stack.enter_context(server.accept()[0])
        level, option = socket.IPPROTO_TCP, socket.TCP_CONGESTION
        connection.sock.setsockopt(level, option, name)
        flows = Uploads(endpoint, "x", [connection], LIMIT_BYTES)
        end_s = time.monotonic() + 5
        limited = 0.0
        while (reading or limited < 0.9) and time.monotonic() < end_s:
            connection.send(memoryview(bytes(65_536)))
            limited = tcp_info(connection.sock).window_share
            if reading and other.recv(65_536):
                break
        assert flows.queue_averse() is expected


def test_only_a_slow_link_with_a_long_way_limits_the_data_on_it() -> None:
    """A slow link's queue holds under a second; a fast or short one has no window."""
    limit_bytes = 8_000_000
    assert window_bytes(2e6, 0.05, 1, limit_bytes) == 75_000
    assert window_bytes(0.0, 0.05, 4, limit_bytes) == 4 * 40_960
    assert window_bytes(1.01 * FAST_BPS, 0.1, 4, limit_bytes) == limit_bytes
    assert window_bytes(2e6, 0.001, 1, limit_bytes) == limit_bytes
