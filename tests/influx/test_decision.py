"""The decision table: one test a row, and what real servers say."""

from __future__ import annotations

import json

import pytest

from qos_agent.influx.decision import Action, Answer, Failure, decide, retry_after_s

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
NOW = "Wed, 14 Feb 2024 00:00:00 GMT"


@pytest.mark.parametrize(
    ("answer", "action", "part_of_words"),
    [
        (Answer(204), Action.DELIVERED, ""),
        (Answer(200, HTML, "<title>Hotspot</title>"), Action.KEEP, 'titled "Hotspot"'),
        (Answer(200, JSON, '{"ok":1}'), Action.KEEP, "in the collector's place"),
        (Answer(202), Action.KEEP, "in the collector's place"),
        (Answer(201, JSON, '{"message":"1 point refused"}'), Action.BISECT, "1 point"),
        (Answer(302, {"location": "/login"}), Action.KEEP, "to /login"),
        (Answer(307), Action.KEEP, "elsewhere"),
        (Answer(400, HTML, "<h1>Bad request</h1>"), Action.KEEP, "in the collector's"),
        (Answer(401, JSON, '{"message":"unauthorized access"}'), Action.RENEW_TOKEN,
         "set collector.token"),
        (Answer(403, JSON), Action.RENEW_TOKEN, "write permission for the bucket"),
        (Answer(404, JSON, '{"error":"database not found: \\"qos\\""}'), Action.KEEP,
         "create the bucket"),
        (Answer(407), Action.KEEP, "proxy"),
        (Answer(413), Action.HALVE, "fewer points"),
        (Answer(422, JSON, '{"message":"too old"}'), Action.BISECT, "too old"),
        (Answer(429), Action.KEEP, "wait"),
        (Answer(500, JSON, '{"error":"cache full"}'), Action.KEEP, "cache full"),
        (Answer(502), Action.KEEP, "fault"),
        (Answer(503), Action.KEEP, "wait"),
        (Answer(504), Action.KEEP, "fault"),
        (Answer(511), Action.KEEP, "login"),
        (Answer(418), Action.KEEP, "not known"),
        (Answer(999), Action.KEEP, "not known"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)  # fmt: skip
def test_row(answer: Answer, action: Action, part_of_words: str) -> None:
    """Each kind of answer has its action, and words a person can act on."""
    decision = decide(answer)
    assert decision.action is action
    assert part_of_words in decision.words


PARTIAL_1 = """{"error":"partial write: field type conflict: \\"x\\" dropped=1"}"""
PARTIAL_2 = """{"code":"invalid","message":"unable to parse: bad timestamp"}"""
PARTIAL_3 = """{"error":"partial write of line protocol occurred","data":[
 {"error_message":"invalid column type","line_number":2,"original_line":"a b=1"}]}"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PARTIAL_1, "field type conflict"),
        (PARTIAL_2, "bad timestamp"),
        (PARTIAL_3, "partial write of line protocol occurred invalid column type"),
    ],
    ids=["1.x", "2.x", "3.x"],
)
def test_partial_write_is_looked_into(body: str, said: str) -> None:
    """As 1.x, 2.x and 3.x report it: the refused points are to be found."""
    decision = decide(Answer(400, JSON, body))
    assert decision.action is Action.BISECT
    assert said in decision.words


def test_a_refusal_without_a_type_is_looked_into() -> None:
    """As 3.10.0 answers /api/v2/write, recorded: JSON, and no header that says so."""
    said = "write buffer error: line protocol parse failed: No fields were provided"
    body = json.dumps({"code": "invalid", "message": said})
    decision = decide(Answer(400, {"content-length": str(len(body))}, body))
    assert decision.action is Action.BISECT
    assert said in decision.words
    for other in ("<html>log in</html>", "[]", "{}", '"message"', ""):
        assert decide(Answer(400, {}, other)).action is Action.KEEP


@pytest.mark.parametrize(
    ("status", "said", "action"),
    [
        (400, "Authorization header was malformed", Action.RENEW_TOKEN),
        (422, "Adding a new database would exceed limit of 5 databases", Action.KEEP),
        (422, "Update to schema would exceed number of columns", Action.BISECT),
    ],
)
def test_a_refusal_of_no_point_sets_none_aside(
    status: int, said: str, action: Action
) -> None:
    """As 3.10.0 says it of a token or a bucket: the points are kept whole."""
    assert decide(Answer(status, JSON, json.dumps({"error": said}))).action is action


def test_points_that_disagree_are_looked_into_although_2x_calls_it_a_fault() -> None:
    """As 2.7.11 says it; kept whole, such a body would be refused for ever."""
    said = "unexpected error writing points to database: field type conflict"
    body = json.dumps({"code": "internal error", "message": said})
    assert decide(Answer(500, JSON, body)).action is Action.BISECT
    assert decide(Answer(500, {}, f"<html>{said}</html>")).action is Action.KEEP
    other = json.dumps({"code": "internal error", "message": "engine is closed"})
    assert decide(Answer(500, JSON, other)).action is Action.KEEP


@pytest.mark.parametrize("cause", ["timeout", "tls_expired", "name_not_resolved"])
def test_no_answer_keeps_the_points(cause: str) -> None:
    """A failure of any kind is no decision about the points."""
    decision = decide(Failure(cause, "as the system says"))
    assert (decision.action, decision.words) == (
        Action.KEEP, f"{cause}: as the system says",
    )  # fmt: skip


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
    """Seconds, or a date held against the answer's own date; an hour at most."""
    assert retry_after_s(headers) == wait_s


def test_words_are_one_line() -> None:
    """A server cannot write into our log what it likes."""
    decision = decide(Answer(500, JSON, '{"message":"a\\nERROR forged"}'))
    assert "\n" not in decision.words
