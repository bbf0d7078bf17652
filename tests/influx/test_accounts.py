"""Accounts of devices: they may write to one database and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.accounts import AccountError, Accounts, accounts_of
from tests.servers.database import Database, Row
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import InfluxDB, QueryError, Settings

_LINE = b"latency,station=3171010001001 rtt=1"


def _section(url: str, token: str, **more: object) -> CollectorSection:
    table = {"url": url, "token": token, "bucket": "qos", "timeout": "5s", **more}
    return CollectorSection.model_validate(table)


@pytest.fixture
def server(make_influxdb: MakeInfluxDB) -> InfluxDB:
    """Return an InfluxDB 1.8 that requires a token."""
    return make_influxdb(Settings(auth=True))


@pytest.fixture
def accounts(server: InfluxDB) -> Accounts:
    """Return the accounts of that server."""
    return accounts_of(_section(server.url, server.token), 2)


def _rows(database: Database, statement: str) -> list[Row]:
    """Return the rows of a statement; none if the user may not run it."""
    try:
        return database.query(statement)
    except QueryError as error:
        if "authoriz" in str(error) or "privilege" in str(error):
            return []
        raise


def _as(server: InfluxDB, token: str, database: str = "qos") -> Database:
    return replace(server.view, token=token, database=database)


def test_an_account_can_write_only_and_only_here(
    server: InfluxDB, accounts: Accounts
) -> None:
    """It cannot read, change, list, or write to another database."""
    server.create_database("other")
    token = accounts.create("st-1", may_exist=False)
    own = _as(server, token)
    assert own.write(_LINE).status == 204
    assert server.count("latency", "rtt") == 1
    assert _as(server, token, "other").write(_LINE).status == 403
    for statement in (
        "SELECT * FROM latency",
        "SHOW SERIES",
        "SHOW USERS",
        "DROP MEASUREMENT latency",
        "DROP DATABASE qos",
        "CREATE DATABASE new",
        'GRANT ALL ON qos TO "st-1"',
        "CREATE USER me WITH PASSWORD 'x' WITH ALL PRIVILEGES",
    ):
        assert _rows(own, statement) == [], statement
    # The name of the database that it writes to is all that it sees.
    assert [row["name"] for row in own.query("SHOW DATABASES")] == ["qos"]
    assert server.count("latency", "rtt") == 1


def test_a_writer_of_1_8_can_delete(server: InfluxDB, accounts: Accounts) -> None:
    """The privilege WRITE of 1.8 includes DELETE and DROP SERIES in its database.

    The documents therefore let devices reach the path for writing only. If this test
    fails, the server has changed, and the documents must too.
    """
    token = accounts.create("st-1", may_exist=False)
    for statement in ("DELETE FROM latency", "DROP SERIES FROM latency"):
        assert server.write(_LINE).status == 204
        _as(server, token).query(statement)
        assert server.rows("latency") == []


def test_a_second_creation_replaces_the_password(
    server: InfluxDB, accounts: Accounts
) -> None:
    """The account of a killed command is taken over, and its old token is void."""
    old = accounts.create("st-1", may_exist=False)
    new = accounts.create("st-1", may_exist=True)
    assert _as(server, old).write(_LINE).status == 401
    assert _as(server, new).write(_LINE).status == 204
    assert len(server.query("SHOW USERS")) == 2


def test_a_removed_account_cannot_write(server: InfluxDB, accounts: Accounts) -> None:
    """Removing twice is no error."""
    token = accounts.create("st-1", may_exist=False)
    accounts.remove("st-1")
    accounts.remove("st-1")
    assert _as(server, token).write(_LINE).status == 401


def test_a_wrong_administrator_is_named_without_the_token(server: InfluxDB) -> None:
    """The error has the fix, is not repeated, and does not contain the token."""
    made = accounts_of(_section(server.url, "qos:wrong-secret"), 1)
    with pytest.raises(AccountError, match="admin_token_file") as caught:
        made.create("st-1", may_exist=False)
    assert not caught.value.is_passing
    assert "wrong-secret" not in str(caught.value)


def test_a_stopped_server_is_a_passing_error(server: InfluxDB) -> None:
    """A restart of the server does not end a run."""
    made = accounts_of(_section(server.url, server.token), 1)
    server.kill()
    with pytest.raises(AccountError, match="refused") as caught:
        made.create("st-1", may_exist=False)
    assert caught.value.is_passing


_BUCKETS = {
    "links": {"self": "/api/v2/buckets"},
    "buckets": [
        {"id": "b1", "orgID": "o1", "name": "qos", "type": "user", "retentionRules": []}
    ],
}
_AUTHORIZATION = {
    "id": "a1",
    "token": "device-token==",
    "status": "active",
    "description": "st-1",
    "orgID": "o1",
    "permissions": [
        {"action": "write", "resource": {"type": "buckets", "id": "b1", "orgID": "o1"}}
    ],
}
_OTHER = {"id": "a2", "description": "st-2"}
_TWO = {
    "GET /ping": (204, None),
    "GET /api/v2/buckets": (200, _BUCKETS),
    "GET /api/v2/authorizations": (
        200,
        {
            "authorizations": [
                _AUTHORIZATION,
                {**_AUTHORIZATION, "id": "a2", "description": "st-2"},
            ]
        },
    ),
    "POST /api/v2/authorizations": (201, _AUTHORIZATION),
    "DELETE /api/v2/authorizations/a1": (204, None),
}
_THREE_TOKEN = {
    "id": 1,
    "name": "st-1",
    "token": "apiv3_device",
    "hash": "00",
    "created_at": "2026-01-01T00:00:00Z",
}
_THREE = {
    "GET /ping": (200, {"version": "3.4.1"}),
    "POST /api/v3/enterprise/configure/token": (201, _THREE_TOKEN),
    "DELETE /api/v3/configure/token": (200, None),
}


def test_an_authorization_of_2_may_write_to_the_bucket_only(recorded: Any) -> None:
    """The request has one permission, and the account's name as description."""
    server = recorded("v2.7.12", _TWO)
    made = accounts_of(_section(server.url, "admin"), 1)
    assert made.create("st-1", may_exist=False) == "device-token=="
    line, body = server.requests[-1]
    assert line == "POST /api/v2/authorizations"
    assert (body["orgID"], body["description"]) == ("o1", "st-1")
    (permission,) = body["permissions"]
    assert permission["action"] == "write"
    assert permission["resource"] == {"type": "buckets", "id": "b1", "orgID": "o1"}


def test_an_authorization_of_a_killed_command_is_deleted_first(recorded: Any) -> None:
    """Only the authorization with the same description is deleted."""
    server = recorded("v2.7.12", _TWO)
    made = accounts_of(_section(server.url, "admin"), 1)
    made.create("st-1", may_exist=True)
    lines = [line.partition("?")[0] for line, _ in server.requests]
    assert lines[-2:] == [
        "DELETE /api/v2/authorizations/a1",
        "POST /api/v2/authorizations",
    ]


def test_a_token_of_3_may_write_to_the_database_only(recorded: Any) -> None:
    """The request has one permission; a token of a killed command is deleted first."""
    server = recorded("3.4.1", _THREE)
    made = accounts_of(_section(server.url, "admin"), 1)
    assert made.create("st-1", may_exist=True) == "apiv3_device"
    (deleted, _), (line, body) = server.requests[-2:]
    assert deleted == "DELETE /api/v3/configure/token?token_name=st-1"
    assert line == "POST /api/v3/enterprise/configure/token"
    assert body["permissions"] == [
        {"resource_type": "db", "resource_identifier": ["qos"], "actions": ["write"]}
    ]


def test_a_server_without_write_only_tokens_is_named(recorded: Any) -> None:
    """InfluxDB 3 Core gives no account, rather than one that may do everything."""
    server = recorded("3.4.1", {"GET /ping": (200, {})})
    made = accounts_of(_section(server.url, "admin"), 1)
    with pytest.raises(AccountError, match="InfluxDB 3 Core") as caught:
        made.create("st-1", may_exist=False)
    assert not caught.value.is_passing


@pytest.mark.parametrize(
    ("version", "path", "answer"),
    [
        ("v2.7.12", "POST /api/v2/authorizations", (201, {"id": "a1"})),
        ("v2.7.12", "POST /api/v2/authorizations", (201, ["x"])),
        ("v2.7.12", "POST /api/v2/authorizations", (401, {"message": "no admin"})),
        ("v2.7.12", "GET /api/v2/buckets", (200, {"buckets": []})),
        ("v2.7.12", "GET /api/v2/buckets", (200, {})),
        ("3.4.1", "POST /api/v3/enterprise/configure/token", (201, {"token": 7})),
        ("3.4.1", "POST /api/v3/enterprise/configure/token", (200, [])),
        ("3.4.1", "POST /api/v3/enterprise/configure/token", (503, {"error": "admin"})),
    ],
)
def test_a_wrong_answer_is_an_error_without_the_token(
    recorded: Any, version: str, path: str, answer: tuple[int, Any]
) -> None:
    """No answer of a server ends in a traceback, or in an account without a token."""
    answers = {**(_TWO if version.startswith("v2") else _THREE), path: answer}
    server = recorded(version, answers)
    made = accounts_of(_section(server.url, "admin-secret"), 1)
    with pytest.raises(AccountError) as caught:
        made.create("st-1", may_exist=False)
    assert "admin-secret" not in str(caught.value)
    assert caught.value.is_passing == (answer[0] == 503)


def test_another_server_is_refused(recorded: Any) -> None:
    """A web server without InfluxDB's version gets no request for an account."""
    server = recorded("", {"GET /ping": (200, {})})
    with pytest.raises(AccountError, match="not from InfluxDB"):
        accounts_of(_section(server.url, "admin"), 1)
