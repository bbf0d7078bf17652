"""The databases of a centre: a real InfluxDB 1.8, and recorded answers of 2.x and 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.accounts import AccountError
from qos_agent.influx.databases import Access, Bucket, prepare
from tests.servers.database import Database
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import InfluxDB, QueryError, Settings

_BUCKETS = (Bucket("raw", 180, 1), Bucket("rolled", 728, 7))
_ACCESSES = (
    Access("census", "c1", reads=("raw", "rolled"), writes=("rolled",)),
    Access("grafana", "g1", reads=("raw", "rolled")),
)
_LINE = b"latency,station=1 rtt=1"


def _section(url: str, token: str) -> CollectorSection:
    table = {"url": url, "token": token, "bucket": "raw", "timeout": "5s"}
    return CollectorSection.model_validate(table)


@pytest.fixture
def server(make_influxdb: MakeInfluxDB) -> InfluxDB:
    """Return an InfluxDB 1.8 that requires a token."""
    return make_influxdb(Settings(auth=True))


def _as(server: InfluxDB, token: str, database: str) -> Database:
    return replace(server.view, token=token, database=database)


def test_services_have_the_rights_that_they_need(server: InfluxDB) -> None:
    """A second run changes nothing, and a lost password is set again."""
    server.query("CREATE USER census WITH PASSWORD 'lost'")
    for _ in range(2):
        tokens = prepare(_section(server.url, server.token), _BUCKETS, _ACCESSES)
    assert tokens == {"census": "census:c1", "grafana": "grafana:g1"}
    administrator = replace(server.view, database="raw")
    assert administrator.write(_LINE).status == 204
    for user, raw, rolled in (("census", 403, 204), ("grafana", 403, 403)):
        assert _as(server, tokens[user], "raw").write(_LINE).status == raw
        assert _as(server, tokens[user], "rolled").write(_LINE).status == rolled
        assert len(_as(server, tokens[user], "raw").rows("latency")) == 1
    (policy,) = server.query("SHOW RETENTION POLICIES ON raw")
    assert (policy["duration"], policy["shardGroupDuration"]) == (
        "4320h0m0s",
        "24h0m0s",
    )
    with pytest.raises(QueryError):
        _as(server, tokens["grafana"], "raw").query("DROP DATABASE raw")


def test_the_first_administrator_is_created(make_influxdb: MakeInfluxDB) -> None:
    """A new server accepts it once; afterwards the password counts."""
    new = make_influxdb(Settings(auth=True))
    new.query(f"DROP USER {new.token.partition(':')[0]}")
    prepare(_section(new.url, "boss:b1"), _BUCKETS, _ACCESSES)
    assert _as(new, "boss:b1", "raw").query("SHOW USERS")
    with pytest.raises(AccountError, match="admin_token_file"):
        prepare(_section(new.url, "boss:wrong"), _BUCKETS, _ACCESSES)


def test_2_gets_buckets_and_authorizations(recorded: Any) -> None:
    """The set-up runs once, and each service has a permission for each bucket."""
    bucket = {"id": "b1", "orgID": "o1", "name": "raw"}
    server = recorded(
        "v2.7.12",
        {
            "GET /ping": (204, None),
            "GET /api/v2/setup": (200, {"allowed": True}),
            "POST /api/v2/setup": (201, {"bucket": bucket}),
            "GET /api/v2/orgs": (200, {"orgs": [{"id": "o1", "name": "qos"}]}),
            "GET /api/v2/buckets": (200, {"buckets": [bucket]}),
            "POST /api/v2/authorizations": (201, {"id": "a1", "token": "secret=="}),
        },
    )
    tokens = prepare(_section(server.url, "admin"), _BUCKETS, _ACCESSES)
    assert tokens == {"census": "secret==", "grafana": "secret=="}
    bodies = dict(server.requests)
    assert bodies["POST /api/v2/setup"]["retentionPeriodSeconds"] == 180 * 86_400
    actions = [
        [p["action"] for p in body["permissions"]]
        for line, body in server.requests
        if line == "POST /api/v2/authorizations"
    ]
    assert actions == [["read", "read", "write"], ["read", "read"]]


def test_3_gets_databases_only(recorded: Any) -> None:
    """Each of its tokens may do everything, so all services have the same one."""
    server = recorded(
        "3.4.1",
        {
            "GET /ping": (200, {"version": "3.4.1"}),
            "POST /api/v3/configure/database": (200, None),
        },
    )
    tokens = prepare(_section(server.url, "admin"), _BUCKETS, _ACCESSES)
    assert tokens == {"census": "admin", "grafana": "admin"}
    names = [body["db"] for line, body in server.requests if line.startswith("POST")]
    assert names == ["raw", "rolled"]


def test_another_server_is_named(recorded: Any) -> None:
    """A page of a proxy is no set-up."""
    server = recorded("v2.7.12", {"GET /ping": (204, None)})
    with pytest.raises(AccountError, match="HTTP 404"):
        prepare(_section(server.url, "admin"), _BUCKETS, _ACCESSES)
