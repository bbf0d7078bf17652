"""Ranges: what is asked for fits the limit, whoever oversleeps."""

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
from qos_agent.probes.throughput.connection import Connection, Endpoint
from qos_agent.probes.throughput.downloads import Downloads
from qos_agent.probes.throughput.loaded_rtt import EchoTrain
from qos_agent.probes.throughput.responses import Answers
from tests.probes.throughput.bad_server import bad_server
from tests.probes.time_left import TimeLeft

FILE_BYTES = 100_000_000
RANGE = re.compile(rb"Range: bytes=(\d+)-(\d+)\r\n")
PLACE = RequestTarget.of("http://127.0.0.1/")
PART = b"HTTP/1.1 206 Partial Content\r\n"


def part(first: int, last: int, total: int = FILE_BYTES) -> bytes:
    """The head of a range."""
    head = f"Content-Range: bytes {first}-{last}/{total}\r\n"
    return PART + f"{head}Content-Length: {last - first + 1}\r\n\r\n".encode()


@dataclass
class Ranges:
    """A server of ranges, at once and as fast as it can; keeps what it was asked."""

    asked: list[tuple[int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, sock: socket.socket, stop: threading.Event) -> None:
        data = b""
        while more := sock.recv(65536):
            data += more
            while b"\r\n\r\n" in data:
                head, _, data = data.partition(b"\r\n\r\n")
                found = RANGE.search(head + b"\r\n")
                assert found is not None
                first, last = int(found[1]), int(found[2])
                with self.lock:
                    self.asked.append((first, last))
                sock.sendall(part(first, last) + bytes(last - first + 1))

    def asked_bytes(self) -> int:
        """The sum of all ranges."""
        with self.lock:
            return sum(last - first + 1 for first, last in self.asked)


class Wire:
    """An interface with nobody on it but the flows."""

    header_bytes = 14
    flows: Downloads | None = None

    def moved(self) -> int:
        return 0 if self.flows is None else self.flows.carried_bytes

    received = moved


@contextmanager
def downloads(
    talk: Ranges, limit_bytes: int, connections: int
) -> Iterator[tuple[Downloads, selectors.BaseSelector]]:
    """Flows to it over the loopback, with the selector they are to wait in."""
    with ExitStack() as stack:
        port = stack.enter_context(bad_server(talk))
        deadline = TimeLeft(10)
        endpoint = Endpoint.of(f"http://127.0.0.1:{port}", None, None, deadline)
        wire = Wire()
        opened = [
            stack.enter_context(closing(Connection.open(endpoint, None, deadline)))
            for _ in range(connections)
        ]
        selector = stack.enter_context(selectors.DefaultSelector())
        echo = stack.enter_context(closing(EchoTrain("127.0.0.1", None)))
        given = (endpoint, "x", opened, wire, echo, limit_bytes)
        wire.flows = Downloads(*given)  # type: ignore[arg-type]
        yield wire.flows, selector


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("limit_bytes", [400_000, 20_000_000])
def test_ranges_never_pass_the_limit_and_nearly_reach_it(
    limit_bytes: int, connections: int
) -> None:
    """With nobody looking at the counter, the ranges alone end the download."""
    server = Ranges()
    with downloads(server, limit_bytes, connections) as (flows, selector):
        flows.start_more(selector, 1)
        flows.start_more(selector, connections - 1)
        end_s = time.monotonic() + 10
        while flows.finished() is None and time.monotonic() < end_s:
            selector.select(0.01)
            flows.sweep()
        assert flows.finished() == "bytes"
    assert 0.9 * limit_bytes < server.asked_bytes() <= limit_bytes
    assert flows.carried_bytes >= server.asked_bytes()


def test_the_next_range_is_asked_for_before_the_last_has_come() -> None:
    """No round trip goes by with nothing under way."""
    answers = Answers(PLACE)
    assert answers.ask(1000) == "bytes=0-999"
    assert not answers.wants_more(), "it is not known yet whether ranges are served"
    answers.take(memoryview(part(0, 999) + bytes(400)))
    assert answers.wants_more()
    assert answers.ask(500) == "bytes=1000-1499"
    assert answers.coming_bytes() == 600 + 500
    answers.take(memoryview(bytes(600) + part(1000, 1499) + bytes(500)))
    assert answers.coming_bytes() == 0
    assert not answers.ended


def test_a_file_ends_with_its_last_byte() -> None:
    """The size a range's head tells bounds what is asked for, and ends the flow."""
    answers = Answers(PLACE)
    answers.ask(1000)
    answers.take(memoryview(part(0, 999, 1200) + bytes(1000)))
    assert answers.ask(1000) == "bytes=1000-1199"
    answers.take(memoryview(part(1000, 1199, 1200) + bytes(200)))
    assert answers.ended


def test_a_server_that_closes_after_a_range_is_asked_no_more() -> None:
    """`Connection: close` is the end of what this connection brings."""
    answers = Answers(PLACE)
    answers.ask(10)
    head = part(0, 9).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answers.take(memoryview(head + bytes(10)))
    assert answers.ended


@pytest.mark.parametrize(
    "answer", [part(0, 1999) + bytes(2000), part(0, 999) + bytes(1001)]
)
def test_more_than_was_asked_for_is_no_measurement(answer: bytes) -> None:
    """A range that is longer, or bytes after it, is `bad_answer`."""
    answers = Answers(PLACE)
    answers.ask(1000)
    with pytest.raises(ProbeError) as caught:
        answers.take(memoryview(answer))
    assert caught.value.cause == "bad_answer"


def test_all_of_a_file_where_ranges_are_ignored() -> None:
    """Status 200 is taken as it comes, and no range is asked for any more."""
    answers = Answers(PLACE)
    answers.ask(1000)
    answers.take(memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"))
    assert not answers.wants_more()
    assert answers.coming_bytes() == 5000
    answers.take(memoryview(bytes(5000)))
    assert answers.ended
