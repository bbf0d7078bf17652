"""The servers as pytest fixtures.

The root conftest loads them with `pytest_plugins = ["tests.servers.fixtures"]`. The
header of the test run then contains the selected server.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from tests.servers import influxd
from tests.servers.certificates import Authority
from tests.servers.database import Database
from tests.servers.front import Front
from tests.servers.influxd import Influxd
from tests.servers.influxdb import InfluxDB, Settings
from tests.support.requirement import require


class MakeInfluxDB(Protocol):
    """A function that starts servers, which end with the test."""

    def __call__(
        self,
        settings: Settings = ...,
        *,
        namespace: str | None = None,
        address: str = "127.0.0.1",
    ) -> InfluxDB: ...


class MakeFront(Protocol):
    """A function that starts fronts, which end with the test."""

    def __call__(
        self,
        target: str | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        namespace: str | None = None,
        address: str = "127.0.0.1",
    ) -> Front: ...


def pytest_report_header() -> str:
    """Return the line about the InfluxDB of this run."""
    return influxd.describe()


@pytest.fixture(scope="session")
def influxd_program() -> Influxd:
    """Return the server program; the first use may build it."""
    program = influxd.find()
    require(program is not None, influxd.MISSING, influxd.INSTALL)
    assert program is not None
    return program


@pytest.fixture(scope="session")
def influxdb_shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Return the server of all tests: an external one if set, or a new process."""
    if url := os.environ.get("QOS_TEST_INFLUXDB_URL"):
        token = os.environ.get("QOS_TEST_INFLUXDB_TOKEN", "")
        org = os.environ.get("QOS_TEST_INFLUXDB_ORG", InfluxDB.org)
        yield Database(url.rstrip("/"), token, org, "")
        return
    program: Influxd = request.getfixturevalue("influxd_program")
    server = InfluxDB(program, tmp_path_factory.mktemp("influxdb")).start()
    yield server.view
    server.stop()


@pytest.fixture
def influxdb(influxdb_shared: Database) -> Iterator[Database]:
    """Return a new database on the shared server."""
    database = influxdb_shared.fresh()
    yield database
    database.drop()


@pytest.fixture
def make_influxdb(
    influxd_program: Influxd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeInfluxDB]:
    """Return a function that starts servers with settings or in a namespace."""
    with ExitStack() as started:

        def make(
            settings: Settings = Settings(),  # noqa: B008 - frozen
            *,
            namespace: str | None = None,
            address: str = "127.0.0.1",
        ) -> InfluxDB:
            folder = tmp_path_factory.mktemp("influxdb")
            server = InfluxDB(
                influxd_program,
                folder,
                settings,
                namespace=namespace,
                address=address,
            )
            started.callback(server.kill)
            return server.start()

        yield make


@pytest.fixture
def influxdb_process(make_influxdb: MakeInfluxDB) -> InfluxDB:
    """Return a server for one test, which may kill and restart it."""
    return make_influxdb()


@pytest.fixture
def front(request: pytest.FixtureRequest) -> Iterator[MakeFront]:
    """Return a function that starts fronts; the default target is `influxdb`."""
    fronts: list[Front] = []

    def make(
        target: str | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        namespace: str | None = None,
        address: str = "127.0.0.1",
    ) -> Front:
        if target is None:
            target = request.getfixturevalue("influxdb").url
        new = Front(target, address=address, tls=tls, namespace=namespace)
        fronts.append(new)
        return new.start()

    yield make
    for started in fronts:
        started.stop()
    assert [error for started in fronts for error in started.errors] == []


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority for the tests."""
    return Authority(tmp_path_factory.mktemp("authority"))
