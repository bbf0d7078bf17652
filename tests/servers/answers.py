"""The answers of the front to one request; tests put them into its script.

`reads` is the share of the request's body that the front reads before it plays the
answer: all (1.0), half, or none.
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
    """A request that the front received; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    received_mono: float
    raw_body: bytes = b""

    @property
    def body(self) -> bytes:
        """The uncompressed body; of an incomplete request, its received part."""
        if self.headers.get("content-encoding") != "gzip":
            return self.raw_body
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(self.raw_body)

    @property
    def lines(self) -> list[bytes]:
        """The points of the body, one per line."""
        return [line for line in self.body.splitlines() if line]


class Exchange(Protocol):
    """The actions of an answer on the connection of its request."""

    def forward(self, path: str, headers: Mapping[str, str]) -> HttpAnswer:
        """Forward the request to the target. Raises OSError if the target is down."""

    def reply(
        self, answer: HttpAnswer, sent_share: float = 1.0, *, last: bool = False
    ) -> None:
        """Send an answer, or the first part of its body."""

    def close(self) -> None:
        """Close the connection after all sent data."""

    def reset(self) -> None:
        """Close the connection with RST."""

    def wait(self, limit_s: float) -> bool:
        """Wait; return False if the client or the front ends the connection first."""


class Answer(Protocol):
    """An answer to one request."""

    @property
    def reads(self) -> float:
        """The share of the request's body to read before `play`."""

    def play(self, exchange: Exchange) -> None:
        """Send the answer."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Forward the request to the target and return its answer.

    If the target is down, the connection closes without an answer.
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
    """Answer with a status without forwarding the request.

    With `early` the front answers before it reads the body and closes, like a proxy
    that answers 413. A client that is still sending may then get a reset instead.
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
    """Forward the request to the target, then close without an answer."""

    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        exchange.forward("", {})
        exchange.close()


@dataclass(frozen=True, slots=True)
class CutRequest:
    """Read half of the request's body and close; the target receives nothing."""

    reads: ClassVar[float] = 0.5

    def play(self, exchange: Exchange) -> None:
        exchange.close()


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """Forward the request to the target, and close after half of an answer."""

    answer: HttpAnswer
    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        exchange.forward("", {})
        exchange.reply(self.answer, sent_share=0.5, last=True)


@dataclass(frozen=True, slots=True)
class Hang:
    """Read the request and send nothing until the client leaves or a time limit."""

    limit_s: float = 60.0
    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        exchange.wait(self.limit_s)
        exchange.close()


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait, then play another answer if the client is still connected."""

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
    """Answer with an error in the format of InfluxDB."""
    body = f'{{"code":"{HTTPStatus(code).phrase.lower()}","message":"{message}"}}'
    return Status(code, body.encode(), {"Content-Type": "application/json"})


def throttled(retry_after: str = "1", code: int = 429) -> Status:
    """Answer 429 (or 503) with Retry-After, in seconds or as an HTTP date."""
    return Status(code, b"", {"Retry-After": retry_after})


def portal_page() -> Status:
    """Answer 200 with the page of a captive portal instead of 204."""
    page = b"<!doctype html><title>Login</title><form>Welcome to the hotspot</form>"
    return Status(200, page, {"Content-Type": "text/html"})


def portal_redirect(location: str = "/login") -> Status:
    """Redirect to a captive portal, by default to a path of the front."""
    return Status(302, b"", {"Location": location})
