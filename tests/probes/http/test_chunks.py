"""Chunked bodies are decoded at any split of the bytes; bad framing is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.chunks import ChunkDecoder
from tests.probes.http_responses import chunked


def decode(data: bytes, size: int = 1 << 20) -> tuple[bytes, bool, int]:
    """Feed in parts of `size`; return the payload, its end, and the bytes after it."""
    decoder, payload = ChunkDecoder(), b""
    for start in range(0, len(data), size):
        payload += b"".join(decoder.feed(memoryview(data)[start : start + size]))
        if decoder.ended:
            break
    return payload, decoder.ended, decoder.unused_bytes


@given(
    st.lists(st.text("ab\r\n0;", min_size=1), max_size=5),
    st.integers(1, 40),
    st.sampled_from(["", ";x", ' ; a="b"', ";x" * 1000]),
)
def test_extensions_and_trailers_are_no_payload(
    bodies: list[str], size: int, extension: str
) -> None:
    """The payload is that of the chunks, although it looks like framing."""
    data = chunked(*bodies, extension=extension).encode()
    assert decode(data, size)[:2] == ("".join(bodies).encode(), True)


def test_bytes_after_the_body_are_counted() -> None:
    """They belong to the next response."""
    assert decode(b"1\r\na\r\n0\r\n\r\nHTTP") == (b"a", True, 4)


@pytest.mark.parametrize(
    "data",
    [b"zz\r\n", b"-1\r\n", b"1\r\nax\r\n", b"\r\n", b"1;" + b"x" * 20_000, b"f" * 20],
)
def test_bad_framing_is_an_incomplete_response(data: bytes) -> None:
    """RFC 9112, 8: the response is incomplete, which is the cause `closed_early`."""
    with pytest.raises(ProbeError) as caught:
        decode(data + b"\r\n0\r\n\r\n")
    assert caught.value.cause == "closed_early"


@given(st.binary(max_size=300), st.integers(1, 30))
def test_any_bytes_are_survived(data: bytes, size: int) -> None:
    """Any bytes give a payload or a refusal, never another error."""
    try:
        payload, _, _ = decode(data, size)
    except ProbeError:
        return
    assert len(payload) <= len(data)
