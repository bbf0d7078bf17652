"""A web server's answer, and whether it is the answer of whom was asked."""

from __future__ import annotations

import io
import socket
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import cast

from qos_agent.model import Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.http.connection import Connection, timed
from qos_agent.probes.http.request import AUTHENTICATE, RequestTarget, begins_a_page

_CHUNK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read: of the body, and of everything on the wire."""

    body_bytes: int
    wire_bytes: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, its body as far as the limit let it come."""

    status: int
    location: str | None
    content_type: str
    body: bytes

    def is_html(self) -> bool:
        """By what it says of itself, or by how it begins."""
        return self.content_type.startswith("text/html") or begins_a_page(self.body)

    def fields(self) -> dict[str, Value]:
        """Status, and its class as counts."""
        classes = {f"http_{n}xx": int(self.status // 100 == n) for n in (2, 3, 4, 5)}
        return {"status": self.status, **classes}


@dataclass(frozen=True, slots=True)
class Expected:
    """What tells the right answer: its status (None: any 2xx), words in it."""

    status: int | None = None
    text: str | None = None
    html: bool = True


def read_answer(
    connection: Connection, limits: Limits, found: dict[str, Value]
) -> Answer:
    """The answer to the request just sent; the wait for it goes into `found`.

    Raises ProbeError `timeout`, `closed_early`, `stalled`, `bad_answer`,
    `allowance`.
    """
    reader = io.BufferedReader(_Stream(connection))
    with timed(found, "first_byte_ms"):
        first = reader.peek(1)
    if not first:
        raise ProbeError("closed_early", "closed without an answer")
    response = HTTPResponse(cast("socket.socket", _Readable(reader)))
    try:
        response.begin()
        body = _body(response, connection, limits)
    except (IncompleteRead, RemoteDisconnected) as error:
        raise ProbeError("closed_early", str(error)) from error
    except HTTPException as error:
        raise ProbeError("bad_answer", f"{type(error).__name__}: {error}") from error
    location = response.getheader("Location")
    kind = (response.getheader("Content-Type") or "").lower()
    return Answer(response.status, location, kind, body)


def _body(response: HTTPResponse, connection: Connection, limits: Limits) -> bytes:
    body = bytearray()
    while len(body) < limits.body_bytes:
        room = min(_CHUNK_BYTES, limits.body_bytes - len(body))
        chunk = response.read1(room)
        if not chunk:
            break
        body += chunk
        if limits.wire_bytes is not None:
            within(connection, limits.wire_bytes)
    if response.length and len(body) < limits.body_bytes:
        raise IncompleteRead(bytes(body), response.length)
    return bytes(body)


def within(connection: Connection, wire_bytes: int) -> None:
    """Raises ProbeError `allowance` where more than that has been moved."""
    moved = connection.wire_bytes()
    if moved > wire_bytes:
        raise ProbeError("allowance", f"{moved} bytes moved of {wire_bytes} allowed")


class _Stream(io.RawIOBase):
    """A connection as a file to read."""

    def __init__(self, connection: Connection) -> None:
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
class _Readable:
    """All that HTTPResponse wants of a socket."""

    reader: io.BufferedReader[_Stream]

    def makefile(self, mode: str) -> io.BufferedReader[_Stream]:  # noqa: ARG002  its signature
        return self.reader


def judge(
    answer: Answer, place: RequestTarget, expected: Expected
) -> ProbeError | None:
    """Why this is not the answer that was asked for; None where it is."""
    if answer.status == AUTHENTICATE:
        return ProbeError("captive_portal", "status 511")
    if not _status_fits(answer.status, expected.status):
        return _wrong_status(answer, place, expected)
    if answer.is_html() and not expected.html:
        return place.wrong_page(f"a page with status {answer.status}")
    if expected.text is not None and expected.text.encode() not in answer.body:
        without = f"without {expected.text!r}"
        page = answer.is_html()
        return place.wrong_page(without) if page else ProbeError("bad_answer", without)
    return None


def _status_fits(status: int, expected: int | None) -> bool:
    return status == expected if expected is not None else 200 <= status < 300


def _wrong_status(
    answer: Answer, place: RequestTarget, expected: Expected
) -> ProbeError:
    """Redirections by where they lead; a page for a 204 is a portal's."""
    status = answer.status
    if 300 <= status < 400 and answer.location is not None:
        return place.sent_away(answer.location)
    if status == 200 and answer.is_html() and not place.secure:
        return ProbeError("captive_portal", f"a page in place of {expected.status}")
    return ProbeError("http_status", f"status {status}")
