"""The servers as pytest fixtures.

The root conftest takes them by `pytest_plugins = ["tests.servers.fixtures"]`, which
also puts the choice of server into the header of the run.
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
    """Starts servers that end with the test."""

    def __call__(
        self,
        settings: Settings = ...,
        *,
        namespace: str | None = None,
        address: str = "127.0.0.1",
    ) -> InfluxDB: ...


class MakeFront(Protocol):
    """Starts fronts that end with the test."""

    def __call__(
        self,
        target: str | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        namespace: str | None = None,
        address: str = "127.0.0.1",
    ) -> Front: ...


def pytest_report_header() -> str:
    """Name the InfluxDB of this run."""
    return influxd.plan()


@pytest.fixture(scope="session")
def influxd_program() -> Influxd:
    """The server program; the first use may build it."""
    program = influxd.find()
    require(program is not None, influxd.MISSING, influxd.MEND)
    assert program is not None
    return program


@pytest.fixture(scope="session")
def influxdb_shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The server all tests share: the one named by the environment, or our own."""
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
    """A fresh database on the shared server."""
    database = influxdb_shared.fresh()
    yield database
    database.drop()


@pytest.fixture
def make_influxdb(
    influxd_program: Influxd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeInfluxDB]:
    """A factory of servers of the test's own, with settings or in a namespace."""
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
    """A server of the test's own, to be killed and restarted."""
    return make_influxdb()


@pytest.fixture
def front(request: pytest.FixtureRequest) -> Iterator[MakeFront]:
    """A factory of fronts; without a target they stand before `influxdb`."""
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
        made = Front(target, address=address, tls=tls, namespace=namespace)
        fronts.append(made)
        return made.start()

    yield make
    for made in fronts:
        made.stop()
    assert [error for made in fronts for error in made.errors] == []


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that nobody trusts but the test."""
    return Authority(tmp_path_factory.mktemp("authority"))
