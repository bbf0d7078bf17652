"""The watchdog of the census is fed by progress only."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.noc.service.watchdog import Watchdog
from qos_agent.system import supervision
from qos_agent.system.supervision import Supervisor
from qos_agent.system.systemd import Notifier
from tests.noc.service.test_unit import unit
from tests.servers.raw import raw_server, response


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a socket like that of systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def _states(manager: socket.socket) -> list[bytes]:
    states = []
    try:
        while True:
            states.append(manager.recv(100))
    except BlockingIOError:
        return states


def _notifier(manager: socket.socket) -> Notifier:
    path = manager.getsockname()
    return Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000000"})


def test_it_is_fed_at_most_every_75_seconds(manager: socket.socket) -> None:
    """A census sends thousands of queries in a minute."""
    seconds = iter([0.0, 10.0, 74.0, 76.0, 200.0])
    watchdog = Watchdog(Supervisor(), _notifier(manager), lambda: next(seconds))
    watchdog.ready()
    for _ in range(5):
        watchdog.feed()
    assert _states(manager) == [b"READY=1", *[b"WATCHDOG=1"] * 3]


def test_a_job_that_fails_for_minutes_stops_it(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop alone is no proof that stations are counted."""
    monkeypatch.setattr(supervision, "_UNHEALTHY_S", -1.0)
    supervisor = Supervisor()
    watchdog = Watchdog(supervisor, _notifier(manager))
    for _ in range(3):
        supervisor.call("census", mock.Mock(side_effect=KeyError("bug")))
    watchdog.feed()
    assert _states(manager) == []
    supervisor.call("census", lambda: None)
    watchdog.feed()
    assert _states(manager) == [b"WATCHDOG=1"]


def test_every_request_is_progress() -> None:
    """Queries and writes report it before they are sent, not while they hang."""
    alive = mock.Mock()
    with raw_server(response("500 No")) as server:
        section = CollectorSection.model_validate({"url": server.url})
        with pytest.raises(QueryError):
            list(Server(section, 5.0, alive).select("SELECT 1"))
        assert alive.call_count == 1
        with pytest.raises(WriteError):
            Writer(section, lambda _: None, alive).write([b"a b=1 1"])
        assert alive.call_count == 1 + len(server.heads) - 1


def test_the_unit_has_a_watchdog() -> None:
    """Its limit is longer than the longest request."""
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 2 * 60 + 60
