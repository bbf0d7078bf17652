"""Whatever a DNS server sends, a query ends with an address or a ProbeError."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import dns.message
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.model.errors import ProbeError
from qos_agent.system.network import dns_query
from qos_agent.system.network.names import resolve
from tests.probes.time_left import TimeLeft

ANSWER = dns.message.from_text(
    "id 1\nopcode QUERY\nrcode NOERROR\nflags QR RD RA\n;QUESTION\na.test. IN A\n"
    ";ANSWER\na.test. 60 IN CNAME b.test.\nb.test. 60 IN A 10.1.1.1\n"
).to_wire()


@given(st.binary(max_size=600))
def test_any_datagram_is_a_message_or_nothing(wire: bytes) -> None:
    """A datagram of any sender never raises another error."""
    dns_query._parse(wire)


@given(st.integers(0, len(ANSWER) - 1), st.integers(0, 255), st.integers(0, 40))
def test_a_damaged_answer_is_a_message_or_nothing(at: int, byte: int, cut: int) -> None:
    """Pointers, lengths and counts of an answer may be wrong in any way."""
    damaged = bytearray(ANSWER)
    damaged[at] = byte
    message = dns_query._parse(bytes(damaged[: len(damaged) - cut]))
    if message is not None:
        [str(record) for rrset in message.answer for record in rrset]


@pytest.fixture(scope="module")
def echo(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a server that returns each question as its own answer, without records."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        monkeypatch_module.setattr(dns_query, "_PORT", sock.getsockname()[1])
        thread = threading.Thread(target=_answer_all, args=(sock,), daemon=True)
        thread.start()
        yield
        sock.sendto(b"", sock.getsockname())
        thread.join()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    """Return a monkeypatch for all tests of this module."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def _answer_all(sock: socket.socket) -> None:
    while True:
        query, client = sock.recvfrom(4096)
        if not query:
            return
        flags = bytes([query[2] | 0x80, query[3] | 0x80])
        sock.sendto(query[:2] + flags + query[4:], client)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=80))
def test_any_name_is_resolved_or_refused(echo: None, name: str) -> None:
    """A name may have empty or long labels and any characters."""
    with suppress(ProbeError):
        resolve(name, None, TimeLeft(5), 1.0, ("127.0.0.1",))
