"""What the front can do with one request, each a small value to put into its script.

An answer says by `reads` how much of the request's body is taken off the wire before
it is played: all (1.0), half, or none.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import ClassVar, Protocol

from tests.servers.database import HttpAnswer


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the front saw it; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    received_mono: float
    raw_body: bytes = b""

    @property
    def body(self) -> bytes:
        """The body unpacked; as far as it came, when it was cut."""
        if self.headers.get("content-encoding") != "gzip":
            return self.raw_body
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(self.raw_body)

    @property
    def lines(self) -> list[bytes]:
        """The points of the body, one a line."""
        return [line for line in self.body.splitlines() if line]


class Exchange(Protocol):
    """What an answer may do with the connection its request came by."""

    def forward(self, path: str, headers: Mapping[str, str]) -> HttpAnswer:
        """Give the request to the server behind; raises OSError when it is down."""

    def reply(
        self, answer: HttpAnswer, sent_share: float = 1.0, *, last: bool = False
    ) -> None:
        """Send an answer, or the first part of its body."""

    def close(self) -> None:
        """End the connection after what was sent."""

    def reset(self) -> None:
        """End the connection by RST."""

    def wait(self, limit_s: float) -> bool:
        """Wait; True when the whole time passed with client and front still there."""


class Answer(Protocol):
    """One thing to do with one request."""

    @property
    def reads(self) -> float:
        """The share of the request's body to take before playing."""

    def play(self, exchange: Exchange) -> None:
        """Do it."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Give the request to the server behind, and its answer to the client.

    When the server behind is down the connection closes without an answer.
    """

    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        try:
            answer = exchange.forward(self.path, self.headers)
        except OSError:
            exchange.close()
        else:
            exchange.reply(answer)


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with a status and do not trouble the server behind.

    `early` answers before the body is read and closes, as proxies do with 413. A client
    that is still sending may then see a reset in place of the answer, as with those.
    """

    code: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    early: bool = False

    @property
    def reads(self) -> float:
        return 0.0 if self.early else 1.0

    def play(self, exchange: Exchange) -> None:
        answer = HttpAnswer(self.code, dict(self.headers), self.body)
        exchange.reply(answer, last=self.early)


@dataclass(frozen=True, slots=True)
class Unheard:
    """Let the server behind take the request, then close without its answer."""

    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        exchange.forward("", {})
        exchange.close()


@dataclass(frozen=True, slots=True)
class CutRequest:
    """Read half of the request's body and close; the server behind sees nothing."""

    reads: ClassVar[float] = 0.5

    def play(self, exchange: Exchange) -> None:
        exchange.close()


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """Let the server behind take the request, and close half-way through an answer."""

    answer: HttpAnswer
    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        exchange.forward("", {})
        exchange.reply(self.answer, sent_share=0.5, last=True)


@dataclass(frozen=True, slots=True)
class Hang:
    """Take the request and say nothing until the client leaves, or a limit."""

    limit_s: float = 60.0
    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        exchange.wait(self.limit_s)
        exchange.close()


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait, and then give another answer, unless the client has left by then."""

    delay_s: float
    then: Answer = field(default_factory=Pass)

    @property
    def reads(self) -> float:
        return self.then.reads

    def play(self, exchange: Exchange) -> None:
        if exchange.wait(self.delay_s):
            self.then.play(exchange)


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection after the request's head."""

    reads: ClassVar[float] = 0.0

    def play(self, exchange: Exchange) -> None:
        exchange.reset()


def refused(code: int, message: str = "refused by the test") -> Status:
    """Answer with an error in InfluxDB's own form."""
    body = f'{{"code":"{HTTPStatus(code).phrase.lower()}","message":"{message}"}}'
    return Status(code, body.encode(), {"Content-Type": "application/json"})


def throttled(retry_after: str = "1", code: int = 429) -> Status:
    """Answer 429 (or 503) with Retry-After, in seconds or as an HTTP date."""
    return Status(code, b"", {"Retry-After": retry_after})


def portal_page() -> Status:
    """Answer 200 with a captive portal's page in place of 204."""
    page = b"<!doctype html><title>Login</title><form>Welcome to the hotspot</form>"
    return Status(200, page, {"Content-Type": "text/html"})


def portal_redirect(location: str = "/login") -> Status:
    """Redirect to a captive portal; by default a path of the front itself."""
    return Status(302, b"", {"Location": location})
