"""The shared server can be an external one, set in the environment."""

from __future__ import annotations

import pytest

from tests.servers.database import Database
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import Settings

pytest_plugins = ["pytester"]

INNER = """
pytest_plugins = ["tests.servers.fixtures"]

def test_fresh_database(influxdb):
    assert influxdb.database.startswith("test_")
    assert influxdb.write(b"m v=1i").status == 204
    assert influxdb.count("m", "v") == 1
"""


def test_named_server_is_used_and_left_clean(
    make_influxdb: MakeInfluxDB,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run against an external server uses its token and drops its data."""
    server = make_influxdb(Settings(auth=True))
    monkeypatch.setenv("QOS_TEST_INFLUXDB_URL", server.url)
    monkeypatch.setenv("QOS_TEST_INFLUXDB_TOKEN", server.token)
    pytester.makepyfile(INNER)
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    remaining = [row["name"] for row in server.query("SHOW DATABASES")]
    assert remaining == [server.database]


def test_each_test_gets_its_own_name(influxdb_shared: Database) -> None:
    """Two new databases of one server differ in name only."""
    first, second = influxdb_shared.fresh(), influxdb_shared.fresh()
    first.drop()
    second.drop()
    assert first.database != second.database
    assert first.url == second.url
