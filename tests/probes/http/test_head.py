"""Heads of responses are found at any split of the bytes; bad ones are refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.head import HeadReader, ResponseHead
from tests.probes.http_responses import INTERIM, LONG_LINE, MANY_LINES, TOO_LONG

FINAL = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\nx: b\r\n\r\nhello"


def read(text: str, size: int = 1 << 20) -> tuple[ResponseHead | None, bytes]:
    """Feed a text in parts of `size` bytes; return the head and the bytes after it."""
    reader, data = HeadReader(), text.encode("latin-1")
    for start in range(0, len(data), size):
        head = reader.feed(data[start : start + size])
        if head is not None:
            return head, reader.rest + data[start + size :]
    return None, b""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_responses_are_skipped(interim: str, size: int) -> None:
    """The head is that of the final response, however the bytes arrive."""
    head, rest = read(interim + FINAL, size)
    assert head is not None
    assert (head.status, head.length_bytes(), head.headers["x"]) == (200, 5, "a, b")
    assert rest == b"hello"


def test_an_interim_response_alone_is_no_answer() -> None:
    """The final response is still to come."""
    assert read(INTERIM["103"]) == (None, b"")


def test_another_protocol_was_not_asked_for() -> None:
    """A response 101 is final, so that the agent does not wait for another one."""
    head, _ = read("HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert head is not None
    assert head.status == 101
    assert head.length_bytes() == 0


@pytest.mark.parametrize("lines", [LONG_LINE, MANY_LINES])
def test_long_heads_are_read(lines: str) -> None:
    """Header fields that the agent does not need may be long or many."""
    head, rest = read(f"HTTP/1.1 204 No Content\r\n{lines}\r\n", 1000)
    assert head is not None
    assert (head.status, head.length_bytes(), rest) == (204, 0, b"")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TOO_LONG, "the head of the response is longer than 256 KiB"),
        (INTERIM["103"] * 10_000, "the head of the response is longer than 256 KiB"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "the response is not HTTP: b'SSH-2.0"),
        ("HTTP/1.1 OK\r\n\r\n", "no status of HTTP/1"),
        ("HTTP/1.1 099 Low\r\n\r\n", "no status of HTTP/1"),
        ("HTTP/2 200\r\n\r\n", "no status of HTTP/1"),
    ],
)
def test_what_is_not_a_response_is_refused(text: str, reason: str) -> None:
    """The cause is `bad_answer`, with the agent's own reason."""
    with pytest.raises(ProbeError) as caught:
        read(text, 1000)
    assert caught.value.cause == "bad_answer"
    assert caught.value.detail.startswith(reason)


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        ("Content-Length: 7", 7),
        ("Content-Length: 7\r\nContent-Length: 7", 7),
        ("Content-Length: 7\r\nTransfer-Encoding: chunked", None),
        ("Content-Length: 7\r\nTransfer-Encoding: identity", 7),
        ("Transfer-Encoding: gzip", None),
        ("X: y", None),
        ("X: y\r\n folded: z\r\nContent-Length: 7", 7),
        ("no colon\r\nContent-Length : 7", 7),
    ],
)
def test_the_length_of_a_body(lines: str, length: int | None) -> None:
    """The rules of RFC 9112, 6.3, hold; a line may end with LF alone (2.2)."""
    for end in ("\r\n", "\n"):
        text = f"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n".replace("\r\n", end)
        head, _ = read(text)
        assert head is not None
        assert head.length_bytes() == length
        assert head.chunked == ("chunked" in lines)


@pytest.mark.parametrize(
    "value", ["many", "-1", "7, 8", "+7", "\u00b2", "9" * 5000, "", "0x10"]
)
def test_an_invalid_length_is_refused(value: str) -> None:
    """An invalid length makes the whole response invalid (RFC 9112, 6.3)."""
    head, _ = read(f"HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n")
    assert head is not None
    with pytest.raises(ProbeError, match="Content-Length"):
        head.length_bytes()


@pytest.mark.parametrize(
    ("text", "closes"),
    [
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\n\r\n", True),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", False),
        ("HTTP/1.0 200 OK\r\n\r\n", True),
    ],
)
def test_a_connection_that_closes(text: str, closes: bool) -> None:
    """The option `close` counts in a list too, and HTTP/1.0 always closes."""
    head, _ = read(text)
    assert head is not None
    assert head.closes == closes


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_survived(data: bytes, size: int) -> None:
    """Any bytes give a head, a refusal or a wait for more, never another error."""
    text = b"HTTP/1.1 200\r\n" + data
    reader = HeadReader()
    with suppress(ProbeError):
        for start in range(0, len(text), size):
            head = reader.feed(text[start : start + size])
            if head is not None:
                head.length_bytes()
                break
    assert len(reader.rest) <= len(text)
