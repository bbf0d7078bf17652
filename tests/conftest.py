"""Shared fixtures: the laboratory, the servers, a clock that tests set, and markers."""

from __future__ import annotations

import atexit
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings

from deploy.demo.grafana import VARIABLE
from tests.support.clocks import FakeClock

pytest_plugins = ["tests.lab.fixtures", "tests.servers.fixtures"]

# `make check-full` draws more examples from every hypothesis strategy.
settings.register_profile("full", max_examples=1000, deadline=None)
# A busy machine makes an example late, which is no error of the code.
settings.register_profile("default", deadline=None)
settings.load_profile(os.environ.get("QOS_HYPOTHESIS", "default"))

# A test belongs to the first kind whose fixtures it uses. A module that needs root or a
# server program without these fixtures names its kind in `pytestmark`.
FIXTURES_BY_KIND = {
    "lab": {"lab", "namespace"},
    "server": {"influxd_program", "influxdb_shared"},
}
KINDS = (*FIXTURES_BY_KIND, "unit")


# Child processes would inherit the traces of nohup(1), of a shell's background job, and
# of systemd: an ignored SIGHUP or SIGINT, and variables of the service. A handler,
# unlike SIG_IGN, is not inherited.
signal.signal(signal.SIGHUP, lambda *_: None)
signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in ("INVOCATION_ID", "NOTIFY_SOCKET", "JOURNAL_STREAM"):
    os.environ.pop(_name, None)


def pytest_report_header() -> str:
    """Print which Grafana this run uses; its test cannot run everywhere."""
    home = os.environ.get(VARIABLE)
    return f"Grafana: {home or f'none, its test does not run; {VARIABLE} names one'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test as `lab`, `server` or `unit`."""
    for item in items:
        if not any(item.get_closest_marker(kind) for kind in KINDS):
            item.add_marker(_kind(set(getattr(item, "fixturenames", ()))))


def pytest_unconfigure() -> None:
    """Discard what DuckDB's binding prints when the interpreter exits.

    nanobind lists every object that is alive then as leaked. pytest keeps test modules,
    and with them DuckDB's types, until after the exit handlers. Nothing else is written
    after this point, and a crash still shows in the exit status.
    """
    if "duckdb" in sys.modules:
        atexit.register(_discard_errors)


def _discard_errors() -> None:
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _kind(fixtures: set[str]) -> str:
    for kind, names in FIXTURES_BY_KIND.items():
        if fixtures & names:
            return kind
    return "unit"


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still until a test moves it."""
    return FakeClock()


@pytest.fixture(autouse=True)
def _close_databases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the databases that a test drops, as a crash does.

    Python 3.13 warns of them. Tests with `open_files` show that the package closes
    those that it opens.
    """
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def recorded(*place: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*place, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", recorded)
    yield
    for connection in connections:
        # A thread of the package has closed its own one.
        with suppress(sqlite3.ProgrammingError):
            connection.close()
