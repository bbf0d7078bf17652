"""Requested ranges fit the limit, even if the counter is read late."""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.request import RequestTarget
from qos_agent.probes.throughput.connection import Connection, ServerEndpoint
from qos_agent.probes.throughput.downloads import Downloads
from qos_agent.probes.throughput.loaded_rtt import EchoTrain
from qos_agent.probes.throughput.responses import RangeResponses
from tests.probes.throughput.bad_server import bad_server
from tests.probes.time_left import TimeLeft

FILE_BYTES = 100_000_000
RANGE = re.compile(rb"Range: bytes=(\d+)-(\d+)\r\n")
TARGET = RequestTarget.of("http://127.0.0.1/")
PART = b"HTTP/1.1 206 Partial Content\r\n"


def part(first: int, last: int, total: int = FILE_BYTES) -> bytes:
    """Return the head of a response with a range."""
    head = f"Content-Range: bytes {first}-{last}/{total}\r\n"
    return PART + f"{head}Content-Length: {last - first + 1}\r\n\r\n".encode()


@dataclass
class Ranges:
    """A server of ranges that responds at full speed and records the requests."""

    requested: list[tuple[int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, sock: socket.socket, stop: threading.Event) -> None:
        data = b""
        while more := sock.recv(65536):
            data += more
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                match = RANGE.search(head + b"\r\n")
                assert match is not None
                first, last = int(match[1]), int(match[2])
                with self.lock:
                    self.requested.append((first, last))
                sock.sendall(part(first, last) + bytes(last - first + 1))

    def requested_bytes(self) -> int:
        """Return the sum of all requested ranges."""
        with self.lock:
            return sum(last - first + 1 for first, last in self.requested)


class Wire:
    """An interface without traffic other than the flows."""

    header_bytes = 14
    flows: Downloads | None = None

    def moved(self) -> int:
        return 0 if self.flows is None else self.flows.carried_bytes

    received = moved


@contextmanager
def downloads(
    talk: Ranges, limit_bytes: int, connections: int
) -> Iterator[tuple[Downloads, selectors.BaseSelector]]:
    """Yield flows to the server over the loopback, with their selector."""
    with ExitStack() as stack:
        port = stack.enter_context(bad_server(talk))
        deadline = TimeLeft(10)
        endpoint = ServerEndpoint.of(f"http://127.0.0.1:{port}", None, None, deadline)
        wire = Wire()
        opened = [
            stack.enter_context(closing(Connection.open(endpoint, None, deadline)))
            for _ in range(connections)
        ]
        selector = stack.enter_context(selectors.DefaultSelector())
        echo = stack.enter_context(closing(EchoTrain("127.0.0.1", None)))
        arguments = (endpoint, "x", opened, wire, echo, limit_bytes)
        wire.flows = Downloads(*arguments)  # type: ignore[arg-type]
        yield wire.flows, selector


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("limit_bytes", [400_000, 20_000_000])
def test_ranges_never_exceed_the_limit_and_nearly_reach_it(
    limit_bytes: int, connections: int
) -> None:
    """The ranges alone end the download, even if the counter is never read."""
    server = Ranges()
    with downloads(server, limit_bytes, connections) as (flows, selector):
        flows.start_more(selector, 1)
        flows.start_more(selector, connections - 1)
        end_s = time.monotonic() + 10
        while flows.finished() is None and time.monotonic() < end_s:
            selector.select(0.01)
            flows.sweep()
        assert flows.finished() == "bytes"
    assert 0.9 * limit_bytes < server.requested_bytes() <= limit_bytes
    assert flows.carried_bytes >= server.requested_bytes()


def test_the_next_range_is_requested_before_the_last_has_arrived() -> None:
    """In every round trip some data is on the way."""
    responses = RangeResponses(TARGET)
    assert responses.request(1000) == "bytes=0-999"
    assert not responses.wants_more(), (
        "before the first head it is unknown if ranges are supported"
    )
    responses.take(memoryview(part(0, 999) + bytes(400)))
    assert responses.wants_more()
    assert responses.request(500) == "bytes=1000-1499"
    assert responses.coming_bytes() == 600 + 500
    responses.take(memoryview(bytes(600) + part(1000, 1499) + bytes(500)))
    assert responses.coming_bytes() == 0
    assert not responses.ended


def test_a_file_ends_with_its_last_byte() -> None:
    """The size in Content-Range limits the next range, and ends the flow."""
    responses = RangeResponses(TARGET)
    responses.request(1000)
    responses.take(memoryview(part(0, 999, 1200) + bytes(1000)))
    assert responses.request(1000) == "bytes=1000-1199"
    responses.take(memoryview(part(1000, 1199, 1200) + bytes(200)))
    assert responses.ended


def test_a_server_that_closes_after_a_range_gets_no_request() -> None:
    """`Connection: close` ends the requests on this connection."""
    responses = RangeResponses(TARGET)
    responses.request(10)
    head = part(0, 9).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    responses.take(memoryview(head + bytes(10)))
    assert responses.ended


@pytest.mark.parametrize(
    "response", [part(0, 1999) + bytes(2000), part(0, 999) + bytes(1001)]
)
def test_more_than_was_requested_is_an_error(response: bytes) -> None:
    """A longer range, or bytes after it, is the cause `bad_answer`."""
    responses = RangeResponses(TARGET)
    responses.request(1000)
    with pytest.raises(ProbeError) as caught:
        responses.take(memoryview(response))
    assert caught.value.cause == "bad_answer"


def test_a_server_that_ignores_ranges_sends_the_whole_file() -> None:
    """After status 200 no range is requested any more."""
    responses = RangeResponses(TARGET)
    responses.request(1000)
    responses.take(memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"))
    assert not responses.wants_more()
    assert responses.coming_bytes() == 5000
    responses.take(memoryview(bytes(5000)))
    assert responses.ended
