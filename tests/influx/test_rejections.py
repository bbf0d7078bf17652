"""Which answers may quarantine a point, and which are faults of a server."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from qos_agent.influx.rejections import POINT_FAULTS, names_point
from qos_agent.influx.responses import Action, Response, decide

JSON = {"content-type": "application/json"}
V1 = {**JSON, "x-influxdb-version": "1.8.10", "x-influxdb-build": "OSS"}
ECHO = 'event,kind=x detail="max-values-per-tag limit, Authorization header" 1'
LATENCY = "latency,province=31,station=S1 seq=7i,sent=20i 1700000000000000000"
CONFLICT = (
    'field type conflict: input field "sent" on measurement "latency" is type '
    "integer, already exists as type float"
)


def v1(message: str) -> str:
    """Return a body of 1.8."""
    return json.dumps({"error": message})


def v2(message: str, code: str = "invalid") -> str:
    """Return a body of 2.x, or of the v2 API of 3.x."""
    return json.dumps({"code": code, "message": message})


def v3(*errors: str, error: str = "partial write of line protocol occurred") -> str:
    """Return a body of 3.x with the errors of single lines."""
    data = [
        {"original_line": ECHO, "line_number": number, "error_message": text}
        for number, text in enumerate(errors, 1)
    ]
    return json.dumps({"error": error, "data": data})


NOT_OF_A_POINT = {
    "Kong": v2("no Route matched with those values"),
    "Kong 2": '{"message":"no Route matched with those values","request_id":"a1"}',
    "Envoy": '{"code":400,"message":"rpc error: code = InvalidArgument"}',
    "RFC 9457": '{"type":"about:blank","title":"Bad Request","status":400}',
    "error object": '{"error":{"message":"field type conflict","code":3}}',
    "organisation": v2('organization name "x" not found'),
    "no organisation": v2("Please provide either orgID or org"),
    "no database": v1("database is required"),
    "precision 1": v1('invalid precision "q" (use ns, us, ms or s)'),
    "precision 2": v2("invalid precision; valid precision units are ns, us, ms, and s"),
    "timeout": v1("timeout"),
    "hinted handoff": v1("write failed: hinted handoff queue not empty"),
    "cache": v1("engine: cache-max-memory-size exceeded: (1073741824/1073741824)"),
    "disk": v1("engine: write /var/lib/influxdb/wal: no space left on device"),
    "partial disk": v1("partial write: no space left on device dropped=0"),
    "closed": v2("failure writing points to database: engine is closed"),
    "disabled": v1("[shard 7] shard is disabled"),
    "deletion": v1("partial write: shard 7 is pending deletion dropped=20"),
    "consistency": v1("invalid consistency level"),
    "retention": v1("retention policy not found: x"),
    "gzip 1": v1("gzip: invalid header"),
    "gzip 2": v2("unable to read data: gzip: invalid checksum"),
    "gzip 3": v2("error decoding gzip stream: corrupt deflate stream"),
    "cut": v1("unexpected EOF"),
    "UTF-8": v2("body content is not valid utf8: invalid utf-8 sequence"),
    "database name": v2("error validating database name: invalid character"),
    "deleted": v2("write buffer error: cannot write to soft-deleted database 'x'"),
    "object store": v2(
        'write buffer error: catalog update error: object store error: "x"'
    ),
    "WAL": v2("write buffer error: error from wal: object store error"),
    "empty write": v2("write buffer error: incoming write was empty"),
    "parse": v2("unable to parse request body"),
    "parse token": v2("unable to parse 'Authorization' header"),
    "QuestDB": v2(
        "failed to parse line protocol:errors encountered on line(s):"
        "write error: m1, errno: 2, error: could not open read-write"
    ),
    "a list without errors": '{"error":"partial write of line protocol occurred"}',
    "no message": '{"error":"","message":null}',
    "no object": '["field type conflict"]',
    "text": "field type conflict",
    "page": "<html><body>unable to parse 'x y=1': bad timestamp</body></html>",
    "empty": "",
    "later": v1(f"cannot forward: {CONFLICT}"),
}


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("body", NOT_OF_A_POINT.values(), ids=NOT_OF_A_POINT)
@pytest.mark.parametrize("headers", [JSON, V1], ids=["gateway", "influxdb"])
def test_other_errors_keep_the_points(
    status: int, body: str, headers: dict[str, str]
) -> None:
    """A fault of a gateway, a setting or the server never blames a point."""
    assert decide(Response(status, headers, body)).action is Action.KEEP


def test_the_text_of_the_server_is_reported() -> None:
    """The message has the server's text, and a fix if one is known."""
    kong = decide(Response(400, JSON, NOT_OF_A_POINT["Kong 2"]))
    assert kong.message == (
        "HTTP 400: request refused: no Route matched with those values"
    )
    disk = decide(Response(422, JSON, NOT_OF_A_POINT["disk"])).message
    assert disk.endswith(
        "no space left on device. Fix: free space on the server's disk"
    )
    plain = decide(Response(400, {}, "no healthy upstream\n")).message
    assert plain == "HTTP 400: request refused: no healthy upstream"


OF_A_POINT = {
    "1.8 parse": v1(f"unable to parse '{LATENCY}': invalid number"),
    "1.8 some": v1(
        f"partial write: unable to parse '{ECHO}': missing fields dropped=0"
    ),
    "1.8 many": v1(f"unable to parse '{ECHO}': bad timestamp\nunable to parse 'x': y"),
    "1.8 name only": v1("unable to parse 'latency': missing fields"),
    "1.8 key": v1("max key length exceeded: 70000 > 65535"),
    "1.8 type": v1(f"partial write: {CONFLICT} dropped=1"),
    "1.8 type in a body": v1("field type conflict"),
    "1.8 retention": v1("partial write: points beyond retention policy dropped=1"),
    "1.8 time": v1('partial write: invalid tag key: input tag "time" on x dropped=1'),
    "1.12 retention": v1(
        "partial write: dropped 1 points outside retention policy of duration 1h0m0s "
        "- oldest point latency dropped=1 for database: qos for retention policy: a"
    ),
    "1.12 length": v1(
        'partial write: input field "detail" on measurement "x" is too long, 9'
    ),
    "2.x parse": v2(f"unable to parse '{ECHO}': missing field value"),
    "2.x type": v2(
        f"failure writing points to database: partial write: {CONFLICT} dropped=1",
        "unprocessable entity",
    ),
    "3.x v2 API": v2("write buffer error: line protocol parse failed: No fields"),
    "3.x list": v3("invalid column type for column 'sent', expected a, got b"),
    "3.x one": v3("No fields were provided", error="line protocol parsing error"),
    "3.x cloud": v2(
        "failed to parse line protocol: errors encountered on line(s):\n"
        "error parsing line 2 (1-based): Invalid measurement was provided"
    ),
}


@pytest.mark.parametrize("body", OF_A_POINT.values(), ids=OF_A_POINT)
@pytest.mark.parametrize("status", [400, 422, 500])
def test_known_faults_of_points_are_bisected(status: int, body: str) -> None:
    """Each text that a version prints for a point starts the search for it."""
    assert decide(Response(status, JSON, body)).action is Action.BISECT


@pytest.mark.parametrize("name", OF_A_POINT)
def test_a_cut_body_is_bisected_too(name: str) -> None:
    """1.8 and 2.x repeat every line, so the JSON of a large batch is cut."""
    cut = OF_A_POINT[name][:-2]
    assert decide(Response(400, V1, cut)).action is Action.BISECT


@pytest.mark.parametrize("status", [200, 401, 403, 404, 409, 413, 429, 502, 503])
def test_other_statuses_have_their_own_meaning(status: int) -> None:
    """A text about points does not change the meaning of the status."""
    for body in OF_A_POINT.values():
        action = decide(Response(status, JSON, body)).action
        assert action not in (Action.BISECT, Action.LIMIT)


LIMITS = {
    "values": (
        'max-values-per-tag limit exceeded (3/3): measurement="latency" '
        'tag="station" value="S1"'
    ),
    "series": "max-series-per-database limit exceeded: (4)",
    "columns": "Update to schema would exceed number of columns per table limit of 500",
    "tags": "Update to schema would exceed number of tag columns per table limit of 20",
    "tables": "Update to schema would exceed number of tables limit: already 2000",
    "fields": "Update to schema would exceed the field limit (9) for field family 'x'",
    "ids": "table 'x' in storage mode Y cannot allocate more legacy column IDs",
}
FORMS: dict[str, Callable[[str], str]] = {
    "1.8": lambda text: v1(f"partial write: {text} dropped=20"),
    "2.x": lambda text: v2(f"failure writing points to database: {text}"),
    "3.x": v1,
    "3.x v2 API": lambda text: v2(
        f"write buffer error: line protocol parse failed: {text}"
    ),
    "3.x catalog": lambda text: v2(f"write buffer error: catalog update error: {text}"),
    "3.x list": lambda text: v3("No fields were provided", text),
}


@pytest.mark.parametrize("text", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [400, 422])
def test_limits_of_capacity_are_named(status: int, form: str, text: str) -> None:
    """Every limit has the same action, whichever version reports it in which form."""
    decision = decide(Response(status, JSON, FORMS[form](text)))
    assert decision.action is Action.LIMIT
    if form != "3.x list":
        assert ". Fix: " in decision.message


@pytest.mark.parametrize("status", [400, 403, 422, 500])
def test_an_echoed_point_decides_nothing(status: int) -> None:
    """The texts of limits and tokens count only in the server's own words."""
    for body in (
        v1(f"unable to parse '{ECHO}': invalid field format"),
        v1(f"partial write: unable to parse '{ECHO}': missing fields dropped=0"),
        v2(f"unable to parse '{ECHO}"),
        v3("Could not parse entire line. Found trailing content: `max-values-per-tag`"),
        v2(f"blocked by rule 7: {ECHO}"),
    ):
        decision = decide(Response(status, JSON, body))
        kept = Action.RENEW_TOKEN if status == 403 else Action.BISECT
        expected = Action.KEEP if "blocked" in body and status != 403 else kept
        assert decision.action is expected, body
        assert "tsi1" not in decision.message


def test_the_number_of_dropped_points_is_not_read_from_a_point() -> None:
    """A point may have a field `dropped`; the server's number is at the end."""
    echo = "unable to parse 'loss,a=b dropped=7i x': bad timestamp"
    assert decide(Response(400, JSON, v1(echo))).dropped is None
    limit = f"partial write: {LIMITS['values']} dropped=20"
    assert decide(Response(400, JSON, v1(limit))).dropped == 20
    named = f"{limit} for database: qos for retention policy: autogen"
    assert decide(Response(400, JSON, v1(named))).dropped == 20
    assert decide(Response(422, JSON, v3(LIMITS["tables"], "x"))).dropped == 2


TOO_LARGE = [
    v1("http: request body too large"),
    "http: request body too large\n",
    v1("Request Entity Too Large"),
    v2("unable to read data: points batch is too large", "request too large"),
    v2("max request size (10485760 bytes) exceeded", "request too large"),
    "Payload Too Large",
]


@pytest.mark.parametrize("status", [400, 413, 500])
@pytest.mark.parametrize("body", TOO_LARGE)
def test_a_body_that_is_too_large_is_halved(status: int, body: str) -> None:
    """Some servers return 400 or 500 in place of 413."""
    assert decide(Response(status, {}, body)).action is Action.HALVE


def test_the_table_names_its_sources() -> None:
    """Each pattern has the versions and the file of InfluxDB that prints it."""
    assert all(": " in source and "/" in source for _, source in POINT_FAULTS)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (CONFLICT, True),
        (f"unable to parse '{LATENCY}': bad timestamp", True),
        ("invalid column type for column 'sent', expected a, got b", True),
        ("dropped 1 points - oldest point latency,province=31,station=S1 at x", True),
        ("field type conflict dropped=1", False),
        ("unable to parse 'cpu value=': missing field value", False),
        ("points beyond retention policy", False),
    ],
)
def test_a_message_names_a_point(message: str, named: bool) -> None:
    """A series, or a quoted name of the line, shows that the point was read."""
    assert names_point(message, [b"x y=1", LATENCY.encode()]) is named
