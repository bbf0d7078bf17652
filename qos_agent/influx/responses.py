"""Decides for every response to a write request what to do with its points. Pure.

Only status 204 acknowledges a write, because captive portals return 200 to any
request. After an unknown response the points stay queued. A point is quarantined only
if it was sent alone and InfluxDB itself rejected it for a fault of the point. A limit
of the server's capacity is no fault of a point.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from qos_agent.influx import dialects, fixes
from qos_agent.model import json_text
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
    """

    action: Action
    message: str = ""
    wait_s: float | None = None
    dropped: int | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """The meaning of a range of statuses; with `text`, only if the body contains it."""

    low: int
    high: int
    action: Action
    meaning: str
    fix: str = ""
    text: str = ""

    def applies_to(self, response: Response) -> bool:
        return self.low <= response.status <= self.high and self.text in response.body


_KEEP = Action.KEEP
_NOT_INFLUXDB = "this response is not from InfluxDB"
_LOGIN = "log in to the network, or check the URL"
# The first rule that applies counts.
_RULES = (
    # 2.7 returns 500 for a body in which two points disagree about a new field's type.
    # It would return that for every retry.
    _Rule(500, 500, Action.BISECT, "points rejected", text="field type conflict"),
    # 3.10 returns 400 and 422 also for errors that no point caused.
    _Rule(
        400,
        400,
        Action.RENEW_TOKEN,
        "token not readable",
        fixes.CREDENTIALS,
        text="Authorization header",
    ),
    _Rule(
        400,
        422,
        _KEEP,
        "the server's limit of databases is reached",
        "delete a database, or set bucket to an existing one",
        text="Adding a new database",
    ),
    *(
        _Rule(400, 599, Action.LIMIT, "a limit of the server is reached", text=limit)
        for limit in fixes.CAPACITY_LIMITS
    ),
    _Rule(204, 204, Action.DELIVERED, ""),
    _Rule(201, 201, Action.BISECT, "only some points stored"),
    _Rule(200, 299, _KEEP, _NOT_INFLUXDB, _LOGIN),
    _Rule(300, 399, _KEEP, "redirected to another server", _LOGIN),
    _Rule(400, 400, Action.BISECT, "points rejected"),
    _Rule(401, 401, Action.RENEW_TOKEN, "token not accepted", fixes.CREDENTIALS),
    _Rule(
        403,
        403,
        Action.RENEW_TOKEN,
        "the token may not write",
        "give the token write permission for the bucket",
    ),
    _Rule(404, 404, _KEEP, "bucket or organisation not found", fixes.BUCKET),
    _Rule(407, 407, _KEEP, "a proxy requires a password", "use a URL without a proxy"),
    _Rule(413, 413, Action.HALVE, "request too large"),
    _Rule(422, 422, Action.BISECT, "points rejected"),
    _Rule(429, 429, _KEEP, "too many requests"),
    _Rule(503, 503, _KEEP, "server not available"),
    _Rule(511, 511, _KEEP, "the network requires a login", "log in to the network"),
    _Rule(500, 599, _KEEP, "server error"),
    _Rule(0, 999, _KEEP, "unknown response"),
)


def decide(result: Response | Failure) -> Decision:
    """Return the decision for a response, or for a request without one."""
    if isinstance(result, Failure):
        fix = fixes.for_cause(result.cause)
        return Decision(Action.KEEP, compose(result.cause, result.detail, fix))
    rule = next(rule for rule in _RULES if rule.applies_to(result))
    if rule.action is Action.DELIVERED:
        return Decision(rule.action, f"HTTP {result.status}")
    from_server = (Action.BISECT, Action.LIMIT)
    if rule.action in from_server and not _is_from_influxdb(result):
        rule = _Rule(0, 999, Action.KEEP, _NOT_INFLUXDB, _LOGIN)
    detail = _detail(result)
    fix = fixes.for_message(detail) or rule.fix
    message = compose(f"HTTP {result.status}: {rule.meaning}", detail, fix)
    wait_s = retry_after_s(result.headers)
    return Decision(rule.action, message, wait_s, _dropped(result.body))


def compose(head: str, detail: str, fix: str) -> str:
    """Return one line of limited length; only the detail is shortened."""
    tail = f". Fix: {fix}" if fix else ""
    text = one_line(f"{head}: {detail}" if detail else head)
    return text[: _MESSAGE_MAX_CHARACTERS - len(tail)] + tail


def _is_from_influxdb(response: Response) -> bool:
    """Return True if InfluxDB sent this: JSON, or one of its own headers.

    3.10 rejects points without its header and without a content type, but as JSON.
    """
    has_header = any(name.startswith("x-influxdb") for name in response.headers)
    is_json = "json" in response.headers.get("content-type", "")
    has_error = bool(_object(response.body).keys() & {"message", "error"})
    return has_header or is_json or has_error


def _object(body: str) -> dict[str, object]:
    """Return a JSON object, or an empty one if the body is something else."""
    try:
        content = json_text.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _detail(response: Response) -> str:
    """Return the target of a redirect, the server's message, or a page's title."""
    if 300 <= response.status < 400:
        return response.headers.get("location", "")
    return dialects.error_message(_object(response.body)) or _title(response.body)


def _dropped(body: str) -> int | None:
    """Return the number of points that 1.8 and 2.x report as not stored."""
    match = re.search(r"\bdropped=(\d{1,9})\b", body)
    return int(match[1]) if match else None


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
