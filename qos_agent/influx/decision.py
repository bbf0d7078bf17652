"""What every answer of a collector means for the points that were sent. Pure.

Only 204 to the write is an acknowledgement: captive portals answer 200 to anything.
What is not understood keeps the points; nothing but a point alone, refused as such
by a collector's own words, is set aside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from qos_agent.model.line_protocol import one_line

RETRY_AFTER_MAX_S = 3600.0


class Action(Enum):
    """What becomes of the points."""

    DELIVERED = "delivered"
    KEEP = "keep"
    BISECT = "bisect"
    HALVE = "halve"
    RENEW_TOKEN = "renew token"  # noqa: S105  the name of an action


@dataclass(frozen=True, slots=True)
class Answer:
    """What a collector, or something in its place, said. Header names lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer: a cause of the schema's closed list, and the words of the error."""

    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, when to come back at the earliest, and what to tell a person."""

    action: Action
    words: str = ""
    wait_s: float | None = None


# First row that fits: lowest status, highest status, action, what it means.
_TABLE: tuple[tuple[int, int, Action, str], ...] = (
    (204, 204, Action.DELIVERED, ""),
    (201, 201, Action.BISECT, "took some of the points"),
    (200, 299, Action.KEEP, "something answers in the collector's place"),
    (300, 399, Action.KEEP, "something on the way sends us elsewhere"),
    (400, 400, Action.BISECT, "refuses points"),
    (401, 401, Action.RENEW_TOKEN, "does not know the token; set collector.token"),
    (403, 403, Action.RENEW_TOKEN,
     "the token may not write here; give it write permission for the bucket"),
    (404, 404, Action.KEEP, "has no such bucket or organisation; create the bucket"),
    (407, 407, Action.KEEP, "a proxy wants a password"),
    (413, 413, Action.HALVE, "wants fewer points at once"),
    (422, 422, Action.BISECT, "refuses points"),
    (429, 429, Action.KEEP, "asks us to wait"),
    (503, 503, Action.KEEP, "asks us to wait"),
    (511, 511, Action.KEEP, "the network wants a login"),
    (500, 599, Action.KEEP, "has a fault"),
    (0, 999, Action.KEEP, "gave an answer that is not known"),
)  # fmt: skip
# Where the words say more than the status, as seen of 2.7 and 3.10: 500 for ever for a
# body in which two points disagree in a new field's type; 400, 422 of no point at all.
_BY_WORDS: tuple[tuple[int, int, str, Action, str], ...] = (
    (500, 500, "field type conflict", Action.BISECT, "refuses points"),
    (400, 400, "Authorization header", Action.RENEW_TOKEN,
     "cannot read the token; set collector.token"),
    (400, 422, "Adding a new database", Action.KEEP,
     "has no room for the bucket; drop another, or name one that is there"),
)  # fmt: skip
_SETS_POINTS_ASIDE = (Action.BISECT, Action.HALVE)


def decide(heard: Answer | Failure) -> Decision:
    """The decision for one answer, or for none."""
    if isinstance(heard, Failure):
        return Decision(Action.KEEP, f"{heard.cause}: {heard.detail}")
    action, meaning = next(_fitting(heard))
    if action is Action.BISECT and not _is_of_a_collector(heard):
        action, meaning = Action.KEEP, "something answers in the collector's place"
    said = " · ".join(part for part in (meaning, _said(heard)) if part)
    wait_s = None if action is Action.DELIVERED else retry_after_s(heard.headers)
    return Decision(action, one_line(f"{heard.status}: {said}"), wait_s)


def _fitting(heard: Answer) -> Iterator[tuple[Action, str]]:
    """What the table says, by the words first."""
    for low, high, words_of_it, action, meaning in _BY_WORDS:
        if low <= heard.status <= high and words_of_it in heard.body:
            yield action, meaning
    for low, high, action, meaning in _TABLE:
        if low <= heard.status <= high:
            yield action, meaning


def _is_of_a_collector(answer: Answer) -> bool:
    """Whether the words are InfluxDB's: JSON, or a header of its own.

    3.10 refuses points without either header: its words are JSON all the same.
    """
    own = any(name.startswith("x-influxdb") for name in answer.headers)
    is_json = "json" in answer.headers.get("content-type", "")
    return own or is_json or bool(_object(answer.body).keys() & {"message", "error"})


def _object(body: str) -> dict[str, object]:
    """A JSON object; an empty one where the body is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: Answer) -> str:
    """The collector's own words: `message` of 2.x and 3.x, `error` of 1.x and 3.x."""
    if 300 <= answer.status < 400:
        return f"to {answer.headers.get('location', 'nowhere')}"
    found = _object(answer.body)
    said = str(found.get("message") or found.get("error") or "")
    lines = found.get("data")
    first = lines[0] if isinstance(lines, list) and lines else None
    if isinstance(first, dict) and "error_message" in first:
        said += f" {first['error_message']}"
    return said or _title(answer.body)


def _title(body: str) -> str:
    """What a page calls itself."""
    found = re.search(r"<title>([^<]*)", body, re.IGNORECASE)
    return f'a page titled "{found[1].strip()}"' if found else ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds (RFC 9110 section 10.2.3), at most an hour.

    A date is held against the answer's own Date: our clock may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), RETRY_AFTER_MAX_S)
    at, now = date_of(text), date_of(headers.get("date", ""))
    if at is None or now is None:
        return None
    return min(max(0.0, (at - now).total_seconds()), RETRY_AFTER_MAX_S)


def date_of(text: str) -> datetime | None:
    """An HTTP date; None where it is none, or without a time zone."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
