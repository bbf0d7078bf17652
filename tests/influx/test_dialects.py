"""Differences between InfluxDB 1.8, 2.x and 3.x: retention and overwriting."""

from __future__ import annotations

import json
import math

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx import dialects
from qos_agent.influx.dialects import go_duration_s, overwrites_points
from qos_agent.influx.query import QueryError, Server
from tests.servers.answers import Answer, CutRequest, Request, Status
from tests.servers.fixtures import MakeFront

JSON = {"Content-Type": "application/json"}
DAY_S = 86400.0


def _policies(duration: str) -> Status:
    """Return what 1.8 and 2.x return for SHOW RETENTION POLICIES."""
    columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"]
    values = [["autogen", duration, "168h0m0s", 1, True]]
    result = {"series": [{"columns": columns, "values": values}]}
    return Status(200, json.dumps({"results": [result]}).encode(), JSON)


def _bucket(*rules: dict[str, object]) -> Status:
    """Return what 2.x returns for the bucket."""
    bucket = {"id": "1", "orgID": "2", "name": "qos", "retentionRules": rules}
    return Status(200, json.dumps({"buckets": [bucket]}).encode(), JSON)


def _server(front: MakeFront, policies: Answer, bucket: Answer) -> Server:
    between = front()

    def respond(request: Request) -> Answer:
        if request.path.startswith("/api/v2/buckets"):
            assert "name=qos" in request.path
            return bucket
        return policies

    between.always(respond)
    section = {"url": between.url, "org": "kpu", "bucket": "qos", "token": "t"}
    return Server(CollectorSection.model_validate(section), timeout_s=5.0)


EXPIRE = {"type": "expire", "everySeconds": 30 * 86400}
NO_SUCH_PATH = Status(404, b'{"error":"not found"}', JSON)
ERROR = Status(503, b'{"code":"unavailable"}', JSON)


@pytest.mark.parametrize(
    ("duration", "bucket", "retention_s"),
    [
        ("48h0m0s", Status(500), 2 * DAY_S),
        ("0s", _bucket(EXPIRE), 30 * DAY_S),
        ("0s", _bucket({"type": "expire", "everySeconds": 0}), math.inf),
        ("0s", _bucket(), math.inf),
        ("0s", NO_SUCH_PATH, math.inf),
        ("0s", ERROR, None),
        ("0s", Status(200, b'{"buckets": []}', JSON), None),
        ("0s", Status(200, b"<html>login</html>", {"Content-Type": "text/html"}), None),
        ("0s", Status(200, b"<html>\xe9</html>"), None),
        ("0s", Status(302, b"", {"Location": "/login"}), None),
    ],
    ids=["1.8", "2.x", "zero", "no rule", "404", "503", "none", "page", "text", "302"],
)
def test_retention(
    front: MakeFront, duration: str, bucket: Answer, retention_s: float | None
) -> None:
    """1.8 reports it as a policy; 2.x has it in the bucket, and a page is no answer."""
    server = _server(front, _policies(duration), bucket)
    assert server.retention_s() == retention_s
    server.close()


def test_retention_without_a_response_is_an_error(front: MakeFront) -> None:
    """The connection ends during the request for the bucket."""
    server = _server(front, _policies("0s"), CutRequest())
    with pytest.raises(QueryError):
        server.retention_s()
    with pytest.raises(QueryError):
        server.version()
    server.close()


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("720h0m0s", 2_592_000.0),
        ("1h30m0s", 5400.0),
        ("0s", math.inf),
        ("", None),
        ("3d", None),
    ],
)
def test_durations_of_go(text: str, duration_s: float | None) -> None:
    """Zero means that points are kept permanently; other texts are unknown."""
    assert go_duration_s(text) == duration_s


@pytest.mark.parametrize(
    ("version", "overwrites"),
    [("1.8.10", True), ("2.7.11", True), ("3.4.1", False), ("", True)],
)
def test_only_3x_does_not_overwrite_points(version: str, overwrites: bool) -> None:
    """A server that does not report its version is treated as 1.8 or 2.x."""
    assert overwrites_points(version) is overwrites


@pytest.mark.parametrize("text", ["9" * 400 + "h", "9" * 5000 + "h", "1h" * 9])
def test_a_duration_of_any_length_is_read(text: str) -> None:
    """A number that Python cannot convert is no duration."""
    seconds = dialects.go_duration_s(text)
    assert seconds is None or seconds == 9 * 3600
