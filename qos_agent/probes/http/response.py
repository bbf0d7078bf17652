"""Reads an HTTP response and checks that it comes from the requested server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.model import Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.chunks import ChunkDecoder
from qos_agent.probes.http.connection import HttpConnection, now_ns
from qos_agent.probes.http.head import HeadReader, ResponseHead
from qos_agent.probes.http.request import (
    NETWORK_AUTHENTICATION_REQUIRED,
    RequestTarget,
    looks_like_html,
)

_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits on the bytes of the body and on all bytes on the wire (None: no limit)."""

    body_bytes: int
    wire_bytes: int | None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response; the body is truncated at the limit."""

    status: int
    location: str | None
    content_type: str
    body: bytes

    def is_html(self) -> bool:
        """Return True if the content type or the beginning of the body is HTML."""
        return self.content_type.startswith("text/html") or looks_like_html(self.body)

    def fields(self) -> dict[str, Value]:
        """Return the status, and a count for each class of statuses."""
        classes = {f"http_{n}xx": int(self.status // 100 == n) for n in (2, 3, 4, 5)}
        return {"status": self.status, **classes}


@dataclass(frozen=True, slots=True)
class ExpectedResponse:
    """The marks of the correct response.

    `status` None accepts any 2xx; `text` must occur in the body.
    """

    status: int | None = None
    text: str | None = None
    html: bool = True


def read_response(
    connection: HttpConnection, limits: ReadLimits, fields: dict[str, Value]
) -> HttpResponse:
    """Read the response to the request just sent; put `first_byte_ms` into `fields`.

    The time is that of the final response. Interim responses are skipped. Raises
    ProbeError `timeout`, `closed_early`, `stalled`, `bad_answer`, `allowance`.
    """
    source = _Source(connection)
    reader = HeadReader()
    head = _head(source, reader, fields)
    body = bytearray()
    for part in _body(head, reader.rest, source, limits):
        body += part
        if len(body) >= limits.body_bytes:
            break
    return HttpResponse(
        head.status,
        head.headers.get("location"),
        head.headers.get("content-type", "").lower(),
        bytes(body[: limits.body_bytes]),
    )


class _Source:
    """The received bytes of one response."""

    def __init__(self, connection: HttpConnection) -> None:
        self.connection = connection
        self._buffer = bytearray(_CHUNK_BYTES)

    def receive(self, cause: str, size_bytes: int = _CHUNK_BYTES) -> bytes:
        """Receive at most `size_bytes`; return nothing if the server has closed.

        Raises ProbeError `cause` if nothing arrives for the idle time.
        """
        view = memoryview(self._buffer)[: min(size_bytes, _CHUNK_BYTES)]
        return bytes(view[: self.connection.receive_into(view, cause)])


def _head(
    source: _Source, reader: HeadReader, fields: dict[str, Value]
) -> ResponseHead:
    """Read up to the end of the final head."""
    start_ns = now_ns()
    while True:
        waiting = reader.waiting
        data = source.receive("timeout" if waiting else "stalled")
        if not data:
            part = "a response" if waiting else "the end of the head"
            raise ProbeError("closed_early", f"closed without {part}")
        if waiting:
            fields["first_byte_ms"] = (now_ns() - start_ns) / 1e6
        head = reader.feed(data)
        if head is not None:
            return head


def _body(
    head: ResponseHead, received: bytes, source: _Source, limits: ReadLimits
) -> Iterator[bytes]:
    """Yield the payload of the body as it arrives; check the allowance each time."""
    decoder = ChunkDecoder() if head.chunked else None
    length_bytes = head.length_bytes()
    count_bytes = 0
    while length_bytes is None or count_bytes < length_bytes:
        left_bytes = (
            _CHUNK_BYTES if length_bytes is None else length_bytes - count_bytes
        )
        data = received or source.receive("stalled", left_bytes)
        received = b""
        if not data:
            _check_complete(decoder, count_bytes, length_bytes)
            return
        if decoder is None:
            parts: list[bytes] = [data[:left_bytes]]
        else:
            parts = [bytes(part) for part in decoder.feed(memoryview(data))]
        for part in parts:
            count_bytes += len(part)
            yield part
        if limits.wire_bytes is not None:
            check_allowance(source.connection.wire_bytes(), limits.wire_bytes)
        if decoder is not None and decoder.ended:
            return


def _check_complete(
    decoder: ChunkDecoder | None, count_bytes: int, length_bytes: int | None
) -> None:
    """Raise ProbeError if the server closed before the end of the body.

    Without a length and without chunks, the close is the end (RFC 9112, 6.3).
    """
    if decoder is not None:
        raise ProbeError("closed_early", f"closed in a chunk after {count_bytes} B")
    if length_bytes is not None:
        raise ProbeError("closed_early", f"{count_bytes} of {length_bytes} B")


def check_allowance(moved_bytes: int, allowed_bytes: int) -> None:
    """Raise ProbeError `allowance` if more bytes were moved than allowed."""
    if moved_bytes > allowed_bytes:
        detail = f"{moved_bytes} bytes moved of {allowed_bytes} allowed"
        raise ProbeError("allowance", detail)


def response_error(
    response: HttpResponse, target: RequestTarget, expected: ExpectedResponse
) -> ProbeError | None:
    """Return why this is not the expected response; None if it is."""
    if response.status == NETWORK_AUTHENTICATION_REQUIRED:
        return ProbeError("captive_portal", "status 511")
    if not _status_matches(response.status, expected.status):
        return _status_error(response, target, expected)
    if response.is_html() and not expected.html:
        return target.page_error(f"an HTML page with status {response.status}")
    if expected.text is not None and expected.text.encode() not in response.body:
        detail = f"without {expected.text!r}"
        if response.is_html():
            return target.page_error(detail)
        return ProbeError("bad_answer", detail)
    return None


def _status_matches(status: int, expected: int | None) -> bool:
    return status == expected if expected is not None else 200 <= status < 300


def _status_error(
    response: HttpResponse, target: RequestTarget, expected: ExpectedResponse
) -> ProbeError:
    """Return the error for a status; a redirect or a page may be a captive portal's."""
    status = response.status
    if 300 <= status < 400 and response.location is not None:
        return target.redirect_error(response.location)
    if status == 200 and response.is_html() and not target.secure:
        detail = f"an HTML page instead of status {expected.status}"
        return ProbeError("captive_portal", detail)
    return ProbeError("http_status", f"status {status}")
