"""The decision table: one case for each row, and responses of real servers."""

from __future__ import annotations

import json

import pytest

from qos_agent.influx.responses import (
    Action,
    Failure,
    Response,
    decide,
    retry_after_s,
)

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
NOW = "Wed, 14 Feb 2024 00:00:00 GMT"
NOT_INFLUXDB = "not from InfluxDB"
NO_TOKEN = '{"message":"unauthorized access"}'
TOO_OLD = '{"message":"partial write: points beyond retention policy dropped=1"}'
NO_BUCKET = '{"error":"database not found: \\"qos\\""}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "action", "text"),
    [
        (204, {}, "", Action.DELIVERED, "204"),
        (200, HTML, "<title>Hotspot</title>", Action.KEEP, 'page "Hotspot"'),
        (200, JSON, '{"ok":1}', Action.KEEP, NOT_INFLUXDB),
        (202, {}, "", Action.KEEP, NOT_INFLUXDB),
        (201, JSON, TOO_OLD, Action.BISECT, "only some points stored"),
        (201, JSON, '{"id":"x"}', Action.KEEP, NOT_INFLUXDB),
        (302, {"location": "/login"}, "", Action.KEEP, ": /login"),
        (307, {}, "", Action.KEEP, "redirected"),
        (400, HTML, "<h1>Bad request</h1>", Action.KEEP, NOT_INFLUXDB),
        (401, JSON, NO_TOKEN, Action.RENEW_TOKEN, "Fix: set token or token_file"),
        (403, JSON, "", Action.RENEW_TOKEN, "write permission for the bucket"),
        (404, JSON, NO_BUCKET, Action.KEEP, "create the bucket"),
        (407, {}, "", Action.KEEP, "proxy"),
        (413, {}, "", Action.HALVE, "too large"),
        (422, JSON, TOO_OLD, Action.BISECT, "raise the retention"),
        (422, JSON, '{"message":"too old"}', Action.KEEP, "too old"),
        (429, {}, "", Action.KEEP, "too many requests"),
        (500, JSON, '{"error":"cache full"}', Action.KEEP, "cache full"),
        (502, {}, "", Action.KEEP, "server error"),
        (503, {}, "", Action.KEEP, "not available"),
        (504, {}, "", Action.KEEP, "server error"),
        (511, {}, "", Action.KEEP, "login"),
        (418, {}, "", Action.KEEP, "unknown"),
        (999, {}, "", Action.KEEP, "unknown"),
    ],
)
def test_row(
    status: int, headers: dict[str, str], body: str, action: Action, text: str
) -> None:
    """Each response has its action, and a message that a person can act on."""
    decision = decide(Response(status, headers, body))
    assert decision.action is action
    assert text in decision.message


PARTIAL_1 = """{"error":"partial write: field type conflict: \\"x\\" dropped=1"}"""
PARTIAL_2 = """{"code":"invalid","message":"unable to parse: bad timestamp"}"""
PARTIAL_3 = """{"error":"partial write of line protocol occurred","data":[
 {"error_message":"invalid column type","line_number":2,"original_line":"a b=1"}]}"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (PARTIAL_1, "field type conflict"),
        (PARTIAL_2, "bad timestamp"),
        (PARTIAL_3, "partial write of line protocol occurred invalid column type"),
    ],
    ids=["1.x", "2.x", "3.x"],
)
def test_partial_write_is_bisected(body: str, message: str) -> None:
    """The reports of 1.x, 2.x and 3.x all start the search for the rejected points."""
    decision = decide(Response(400, JSON, body))
    assert decision.action is Action.BISECT
    assert message in decision.message


def test_a_rejection_without_content_type_is_bisected() -> None:
    """3.10.0 returns this from /api/v2/write (recorded): JSON without the header."""
    message = "write buffer error: line protocol parse failed: No fields were provided"
    body = json.dumps({"code": "invalid", "message": message})
    decision = decide(Response(400, {"content-length": str(len(body))}, body))
    assert decision.action is Action.BISECT
    assert message in decision.message
    for other in ("<html>log in</html>", "[]", "{}", '"message"', ""):
        assert decide(Response(400, {}, other)).action is Action.KEEP


@pytest.mark.parametrize(
    ("status", "message", "action"),
    [
        (400, "Authorization header was malformed", Action.RENEW_TOKEN),
        (422, "Adding a new database would exceed limit of 5 databases", Action.KEEP),
        (422, "Update to schema would exceed number of columns", Action.LIMIT),
    ],
)
def test_a_rejected_token_or_bucket_quarantines_no_point(
    status: int, message: str, action: Action
) -> None:
    """3.10.0 returns the same statuses for the token, the bucket and the points."""
    body = json.dumps({"error": message})
    assert decide(Response(status, JSON, body)).action is action


def test_a_field_type_conflict_with_status_500_is_bisected() -> None:
    """2.7.11 returns 500 for it, and would reject the same body permanently."""
    message = "unexpected error writing points to database: field type conflict"
    body = json.dumps({"code": "internal error", "message": message})
    assert decide(Response(500, JSON, body)).action is Action.BISECT
    assert decide(Response(500, {}, f"<html>{message}</html>")).action is Action.KEEP
    other = json.dumps({"code": "internal error", "message": "engine is closed"})
    assert decide(Response(500, JSON, other)).action is Action.KEEP


@pytest.mark.parametrize(
    ("cause", "fix"),
    [
        ("timeout", ""),
        ("tls_expired", ". Fix: check this device's clock and the certificate's dates"),
        (
            "name_not_resolved",
            ". Fix: check the DNS server and the host name in the URL",
        ),
    ],
)
def test_a_request_without_response_keeps_the_points(cause: str, fix: str) -> None:
    """The message is the cause, the system's error text, and a fix if there is one."""
    decision = decide(Failure(cause, "error text"))
    assert decision.action is Action.KEEP
    assert decision.message == f"{cause}: error text{fix}"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 14 Feb 2024 00:01:30 GMT", "date": NOW}, 90.0),
        ({"retry-after": "Tue, 13 Feb 2024 00:00:00 GMT", "date": NOW}, 0.0),
        ({"retry-after": "Wed, 14 Feb 2024 00:01:30 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], wait_s: float | None) -> None:
    """Seconds, or a date compared with the response's own; at most an hour."""
    assert retry_after_s(headers) == wait_s


def test_the_message_is_one_line() -> None:
    """A server cannot write a line of its own into our log."""
    decision = decide(Response(500, JSON, '{"message":"a\\nERROR forged"}'))
    assert "\n" not in decision.message


def test_a_long_message_keeps_its_fix() -> None:
    """Only the server's text is shortened to the length of an event's detail."""
    body = json.dumps({"error": "x" * 300})
    message = decide(Response(401, JSON, body)).message
    assert len(message) == 200
    assert message.endswith("Fix: set token or token_file to a valid token")


@pytest.mark.parametrize("body", ["[" * 1100, '{"error":' * 1100, "[" * 4000])
def test_a_deeply_nested_body_keeps_the_points(body: str) -> None:
    """A body that Python cannot read as JSON is not from InfluxDB."""
    for status in (200, 400, 500):
        assert decide(Response(status, {}, body)).action is Action.KEEP
