"""Decides for every response to a write request what to do with its points. Pure.

Only status 204 acknowledges a write, because captive portals return 200 to any
request. After an unknown response the points stay queued. A point is quarantined only
if it was sent alone and InfluxDB rejected it with a message for a fault of the point
(`rejections`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from qos_agent.influx import fixes
from qos_agent.influx.rejections import Kind, Refusal, own_text, refusal
from qos_agent.model.line_protocol import one_line

RETRY_AFTER_MAX_S = 3600.0
# A message is stored as the detail of an event.
_MESSAGE_MAX_CHARACTERS = 200


class Action(Enum):
    """The next step for the points of a request."""

    DELIVERED = "delivered"
    KEEP = "keep"
    BISECT = "bisect"
    HALVE = "halve"
    LIMIT = "limit"
    RENEW_TOKEN = "renew token"  # noqa: S105  the name of an action


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response with lower-case header names, perhaps not from the collector."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without a response: the cause and the error text.

    The cause is one of the schema's, or the key of a wrong setting, such as `token`.
    """

    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The next step, a message for a person, and the shortest wait before a retry.

    `dropped` is the number of points that the server did not store, if it reports it.
    `text` is the server's whole message, which may repeat points.
    """

    action: Action
    message: str = ""
    wait_s: float | None = None
    dropped: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The meaning of a response, and its fix if it is always the same."""

    action: Action
    text: str
    fix: str = ""


_KEEP = Action.KEEP
_LOGIN = "log in to the network, or check the URL"
_NOT_INFLUXDB = _Meaning(_KEEP, "this response is not from InfluxDB", _LOGIN)
_REJECTED = _Meaning(Action.BISECT, "points rejected")
_TOO_LARGE = _Meaning(Action.HALVE, "request too large")
_NO_TOKEN = _Meaning(Action.RENEW_TOKEN, "token not accepted", fixes.CREDENTIALS)
# InfluxDB returns these statuses for faults of points and of the server alike, so its
# message decides. 2.7 returns 500 if two points of a body disagree about a new field's
# type. It would return that for every retry.
_MESSAGE_DECIDES = (400, 422, 500)
_BY_KIND: Mapping[Kind, _Meaning] = {
    Kind.POINT: _REJECTED,
    Kind.CAPACITY: _Meaning(Action.LIMIT, "a limit of the server is reached"),
    Kind.SIZE: _TOO_LARGE,
    Kind.TOKEN: _Meaning(Action.RENEW_TOKEN, "token not readable", fixes.CREDENTIALS),
    Kind.DATABASES: _Meaning(
        _KEEP,
        "the server's limit of databases is reached",
        "delete a database, or set bucket to an existing one",
    ),
}
# The first range that contains the status counts.
_BY_STATUS = (
    (200, 299, _NOT_INFLUXDB),
    (300, 399, _Meaning(_KEEP, "redirected to another server", _LOGIN)),
    (400, 400, _Meaning(_KEEP, "request refused")),
    (401, 401, _NO_TOKEN),
    (
        403,
        403,
        _Meaning(
            Action.RENEW_TOKEN,
            "the token may not write",
            "give the token write permission for the bucket",
        ),
    ),
    (404, 404, _Meaning(_KEEP, "bucket or organisation not found", fixes.BUCKET)),
    (
        407,
        407,
        _Meaning(_KEEP, "a proxy requires a password", "use a URL without a proxy"),
    ),
    (413, 413, _TOO_LARGE),
    (422, 422, _Meaning(_KEEP, "request refused")),
    (429, 429, _Meaning(_KEEP, "too many requests")),
    (503, 503, _Meaning(_KEEP, "server not available")),
    (
        511,
        511,
        _Meaning(_KEEP, "the network requires a login", "log in to the network"),
    ),
    (500, 599, _Meaning(_KEEP, "server error")),
    (0, 999, _Meaning(_KEEP, "unknown response")),
)


def decide(result: Response | Failure) -> Decision:
    """Return the decision for a response, or for a request without one."""
    if isinstance(result, Failure):
        fix = fixes.for_cause(result.cause)
        return Decision(_KEEP, compose(result.cause, result.detail, fix))
    if result.status == 204:
        return Decision(Action.DELIVERED, "HTTP 204")
    refused = refusal(result.body)
    meaning = _meaning(result.status, refused)
    own = own_text(refused.message)
    known = refused.kind is not Kind.OTHER
    fix = meaning.fix or (fixes.for_message if known else fixes.for_refusal)(own)
    message = compose(
        f"HTTP {result.status}: {meaning.text}", _detail(result, own), fix
    )
    wait_s = retry_after_s(result.headers)
    return Decision(meaning.action, message, wait_s, refused.dropped, refused.message)


def _meaning(status: int, refused: Refusal) -> _Meaning:
    if status in _MESSAGE_DECIDES and refused.kind in _BY_KIND:
        return _BY_KIND[refused.kind]
    if status == 201 and refused.kind is Kind.POINT:
        return replace(_REJECTED, text="only some points stored")
    if status == 400 and not refused.message:
        return _NOT_INFLUXDB
    return next(meaning for low, high, meaning in _BY_STATUS if low <= status <= high)


def compose(head: str, detail: str, fix: str) -> str:
    """Return one line of limited length; only the detail is shortened."""
    tail = f". Fix: {fix}" if fix else ""
    text = one_line(f"{head}: {detail}" if detail else head)
    return text[: _MESSAGE_MAX_CHARACTERS - len(tail)] + tail


def _detail(response: Response, message: str) -> str:
    """Return the target of a redirect, the server's message, or a page's title."""
    if 300 <= response.status < 400:
        return response.headers.get("location", "")
    return message or _title(response.body)


def _title(body: str) -> str:
    match = re.search(r"<title>([^<]*)", body, re.IGNORECASE)
    return f'page "{match[1].strip()}"' if match else ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return Retry-After in seconds (RFC 9110 section 10.2.3), at most an hour.

    A date is compared with the response's own Date, because our clock may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), RETRY_AFTER_MAX_S)
    retry_at, sent_at = date_of(text), date_of(headers.get("date", ""))
    if retry_at is None or sent_at is None:
        return None
    return min(max(0.0, (retry_at - sent_at).total_seconds()), RETRY_AFTER_MAX_S)


def date_of(text: str) -> datetime | None:
    """Return an HTTP date, or None if the text is not a date with a time zone."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a year or a zone that is out of range
        return None
    return date if date.tzinfo else None
