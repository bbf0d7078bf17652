"""Messages with which InfluxDB refuses a write, and their kinds. Pure.

Only a message that InfluxDB is known to print for a fault of a point may quarantine
that point. A gateway answers with the same statuses, and so does InfluxDB itself for
its disk, its shards and its settings. Messages are compared from their beginning,
because the rest of them may repeat the refused point.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from qos_agent.influx import dialects
from qos_agent.model import json_text


class Kind(Enum):
    """The kind of a refusal."""

    POINT = "point"
    CAPACITY = "capacity"
    DATABASES = "databases"
    TOKEN = "token"  # noqa: S105  the name of a kind
    SIZE = "size"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The message in a response, and its kind.

    `message` is empty if the response has none. `dropped` is the number of points
    that the server did not store, if it reports it.
    """

    message: str
    kind: Kind
    dropped: int | None = None


# The versions put these texts before the reason.
_BEFORE_REASON = re.compile(
    r"(?:partial write: |failure writing points to database: "
    r"|unexpected error writing points to database: |write buffer error: "
    r"|catalog update error: |engine: |\[shard \d+\] )*"
)
_PARSER = (
    "missing measurement|missing fields|missing (?:tag|field) (?:key|value)"
    "|invalid (?:tag format|field format|number|float|boolean)|unbalanced quotes"
    "|duplicate tags|bad timestamp|point is invalid|time outside range"
    "|max key length exceeded|unable to parse (?:integer|unsigned)|strconv"
)
# (the beginning of a reason as a pattern, the files of InfluxDB that print it)
POINT_FAULTS = (
    # A message may be cut within the line that it repeats.
    (r"unable to parse '[^',= ]+[, ]", "1.8, 2.x: models/points.go"),
    (rf"unable to parse(?: '.*')?: (?:{_PARSER})", "1.8, 2.x: models/points.go"),
    (r"max key length exceeded", "1.8, 2.x: models/points.go"),
    (r"point is invalid", "1.8, 2.x: models/points.go"),
    (r"point without fields is unsupported", "1.8, 2.x: models/points.go"),
    (r"invalid value: field-key=", "1.8, 2.x: models/points.go"),
    (r"time outside range -?\d", "1.8, 2.x: models/time.go"),
    (r"field type conflict", "1.8, 2.x: tsdb/shard.go, tsdb/field_validator.go"),
    (r"input field \".*\" is too long", "1.12, 2.x: tsdb/field_validator.go"),
    (r"invalid tag key: input tag ", "1.8, 2.x: tsdb/shard.go"),
    (r"invalid field name: input field ", "1.8, 2.x: tsdb/shard.go"),
    (r"key contains invalid unicode", "1.8, 2.x: tsdb/shard.go"),
    (r"points beyond retention policy", "1.8: coordinator/points_writer.go"),
    (
        r"dropped \d+ points outside retention policy",
        "1.12, 2.x: coordinator/points_writer.go",
    ),
    # A reason that follows is of one line: of the parser, or of its columns' types.
    (r"line protocol parse failed: ", "3.x: influxdb3_write/src/write_buffer/mod.rs"),
    (
        (
            r"(?:failed to parse line protocol: *|partial write has occurred, )?"
            r"errors encountered on line\(s\):\s*"
            r"(?:error (?:parsing|writing) line \d|timestamp overflows i64 on line \d)"
        ),
        "3.x in the cloud: core/mutable_batch_lp/src/lib.rs",
    ),
    (
        r'station "[^"]*" is not that of the sender',
        "our gateway: installation/files/station.lua",
    ),
    (r'series "[^"]*" is not canonical', "our gateway: installation/files/station.lua"),
)
# Limits of a server's capacity. The points are not wrong: with a higher limit the
# server accepts them. 1.8 checks the first two with inmem indexes only.
CAPACITY_LIMITS = (
    (r"max-values-per-tag limit", "1.8: tsdb/index/inmem/inmem.go"),
    (r"max-series-per-database limit", "1.8: tsdb/index/inmem/inmem.go"),
    (r"Update to schema would exceed ", "3.x: influxdb3_catalog/src/error.rs"),
    (
        r"table '.*' in storage mode \S+ cannot allocate ",
        "3.x: influxdb3_catalog/src/error.rs",
    ),
)
_SIZE = Kind.SIZE
_OTHER_KINDS = (
    (r"Adding a new database would exceed limit", Kind.DATABASES),
    (r"Authorization header was malformed", Kind.TOKEN),
    # Go's net/http, and gateways that print the name of status 413.
    (r"(?i:(?:http: )?(?:request )?(?:body|entity|payload) (?:is )?too large)", _SIZE),
    (r"(?:unable to read data: )?points batch is too large", _SIZE),
    (r"max request size \(\d+ bytes\) exceeded", _SIZE),
)
_KINDS = (
    *((pattern, Kind.CAPACITY) for pattern, _ in CAPACITY_LIMITS),
    *_OTHER_KINDS,
    *((pattern, Kind.POINT) for pattern, _ in POINT_FAULTS),
)
_LINE_WRAPPER = re.compile(r"line protocol parse failed: ")
# 3.x lists the errors of single lines with these messages.
_LISTS = ("partial write of line protocol occurred", "line protocol parsing error")
_LISTED = re.compile(r'"error_message"\s*:\s*"((?:[^"\\]|\\.)*)"')
# The beginning of JSON that was cut because of its length.
_CUT = re.compile(r'\{.{0,200}?"(?:error|message)"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)
_ECHO = re.compile(r"unable to parse '.*?(?:'(?=: [^']*$)|$)", re.MULTILINE)
_ECHO_3 = re.compile(r"`[^`]*`")
_QUOTED = re.compile(r"""["'`]([^"'`]{1,200})["'`]""")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def refusal(body: str) -> Refusal:
    """Return the message and the kind of a refusal."""
    content = _object(body)
    message = dialects.error_message(content) or _cut_message(body)
    if texts := _line_errors(content, message, body):
        kinds = {_kind(text) for text in texts}
        whole = (k for k in (Kind.CAPACITY, Kind.DATABASES) if k in kinds)
        dropped = len(texts) if content else None
        return Refusal(message, next(whole, Kind.POINT), dropped)
    if message:
        return Refusal(message, _kind(message), _dropped(message))
    # InfluxDB prints JSON. A gateway may print plain text if a request is too large.
    plain = _plain(body)
    return Refusal(plain, Kind.SIZE if _kind(plain) is Kind.SIZE else Kind.OTHER)


def own_text(message: str) -> str:
    """Return a message without the points that it repeats."""
    return _ECHO_3.sub("`...`", _ECHO.sub("unable to parse", message))


def names_point(message: str, lines: Iterable[bytes]) -> bool:
    """Return True if a message has a line's series, or a name or value of it in quotes.

    A server that prints the same text for every point names none of them.
    """
    quoted = set(_QUOTED.findall(message))
    for line in lines:
        text = line.decode("utf-8", "replace")
        if text.partition(" ")[0] in message or quoted & set(_NAME.findall(text)):
            return True
    return False


def is_retention(message: str) -> bool:
    """Return True if points are refused because of their age."""
    return "points beyond retention policy" in _reason(message)[:40]


def _reason(message: str) -> str:
    match = _BEFORE_REASON.match(message)
    return message[match.end() :] if match else message


def _kind(message: str) -> Kind:
    reason = _reason(message)
    inner = _LINE_WRAPPER.sub("", reason, count=1)
    for pattern, kind in _KINDS:
        if re.match(pattern, reason if kind is Kind.POINT else inner):
            return kind
    return Kind.OTHER


def _line_errors(content: dict[str, object], message: str, body: str) -> list[str]:
    """Return the errors of single lines, if 3.x lists them in a response."""
    if not message.startswith(_LISTS):
        return []
    if not content:
        return _LISTED.findall(body)
    data = content.get("data")
    entries = data if isinstance(data, list) else [data]
    texts = [e.get("error_message") for e in entries if isinstance(e, dict)]
    return [text for text in texts if isinstance(text, str)]


def _plain(body: str) -> str:
    """Return a body that is neither JSON, a page nor binary."""
    text = body.strip()
    return "" if "\0" in text or text.startswith(("<", "{", "[", '"')) else text


def _dropped(message: str) -> int | None:
    """Return the number of points that 1.8 and 2.x report as not stored, at the end."""
    match = re.search(r" dropped=(\d{1,9})(?: for database: [^=]*)?$", message)
    return int(match[1]) if match else None


def _object(body: str) -> dict[str, object]:
    """Return a JSON object, or an empty one if the body is something else."""
    try:
        content = json_text.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _cut_message(body: str) -> str:
    """Return the beginning of a message whose JSON was cut because of its length.

    1.8 and 2.x repeat each line of a request that they cannot parse.
    """
    match = _CUT.match(body.lstrip())
    if match is None:
        return ""
    try:
        return str(json_text.loads(f'"{match[1]}"'))
    except ValueError:
        return ""
