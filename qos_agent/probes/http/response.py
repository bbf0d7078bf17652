"""Reads an HTTP response and checks that it comes from the requested server."""

from __future__ import annotations

import http.client
import io
import socket
from dataclasses import dataclass
from typing import cast

from qos_agent.model import Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.connection import HttpConnection, timed
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

    Raises ProbeError `timeout`, `closed_early`, `stalled`, `bad_answer`,
    `allowance`.
    """
    reader = io.BufferedReader(_ConnectionReader(connection))
    with timed(fields, "first_byte_ms"):
        first = reader.peek(1)
    if not first:
        raise ProbeError("closed_early", "closed without a response")
    response = http.client.HTTPResponse(cast("socket.socket", _FakeSocket(reader)))
    try:
        response.begin()
        body = _body(response, connection, limits)
    except (http.client.IncompleteRead, http.client.RemoteDisconnected) as error:
        raise ProbeError("closed_early", str(error)) from error
    except http.client.HTTPException as error:
        raise ProbeError("bad_answer", f"{type(error).__name__}: {error}") from error
    location = response.getheader("Location")
    content_type = (response.getheader("Content-Type") or "").lower()
    return HttpResponse(response.status, location, content_type, body)


def _body(
    response: http.client.HTTPResponse, connection: HttpConnection, limits: ReadLimits
) -> bytes:
    body = bytearray()
    while len(body) < limits.body_bytes:
        chunk = response.read1(min(_CHUNK_BYTES, limits.body_bytes - len(body)))
        if not chunk:
            break
        body += chunk
        if limits.wire_bytes is not None:
            check_allowance(connection, limits.wire_bytes)
    if response.length and len(body) < limits.body_bytes:
        raise http.client.IncompleteRead(bytes(body), response.length)
    return bytes(body)


def check_allowance(connection: HttpConnection, wire_bytes: int) -> None:
    """Raise ProbeError `allowance` if the connection moved more than `wire_bytes`."""
    moved_bytes = connection.wire_bytes()
    if moved_bytes > wire_bytes:
        detail = f"{moved_bytes} bytes moved of {wire_bytes} allowed"
        raise ProbeError("allowance", detail)


class _ConnectionReader(io.RawIOBase):
    """A connection as a file to read from."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._cause = "timeout"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        count = self._connection.receive_into(view, self._cause)
        self._cause = "stalled"
        return count


@dataclass(frozen=True, slots=True)
class _FakeSocket:
    """The only method of a socket that http.client.HTTPResponse calls."""

    reader: io.BufferedReader[_ConnectionReader]

    def makefile(self, mode: str) -> io.BufferedReader[_ConnectionReader]:  # noqa: ARG002  its signature
        return self.reader


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
