"""An unexpected exception of any part ends neither the agent nor its measurements."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest

from qos_agent.agent.agent import Agent
from qos_agent.agent.metrics import Metrics
from qos_agent.agent.recorder import Recorder
from qos_agent.config.loading import Loaded
from qos_agent.config.settings import Settings
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model import Record
from qos_agent.model.errors import StorageError
from qos_agent.model.line_protocol import decode
from qos_agent.schedule.control import Pauses
from qos_agent.schedule.runner import Runner
from qos_agent.system import supervision
from qos_agent.system.clock import SystemClock
from qos_agent.uplink import Uplink
from qos_agent.verdict.monitor import LinkMonitor

pytestmark = pytest.mark.slow

WITHOUT = ("latency", "throughput", "web", "form", "signal")


class RunningAgent:
    """An agent that measures its own host every 0.2 s, in a thread."""

    def __init__(self, folder: Path) -> None:
        settings = Settings.model_validate(
            {
                "station": {"id": "S1", "province": "31"},
                "schedule": {"idle": {"host": "200ms"}},
                "journal": {
                    "folder": folder,
                    "commit_every": "200ms",
                    "disk_reserve": "0MB",
                },
                "runtime": {"folder": folder},
            }
        )
        self.folder = folder
        self.agent = Agent(Loaded(settings, {}), SystemClock(0), WITHOUT)
        self._thread = threading.Thread(target=self.agent.run)
        self._thread.start()

    def records(self) -> list[Record]:
        """Return the records on disk."""
        with reading(self.folder) as journal:
            return [decode(line) for line in journal.lines(EVERY_SEQ)]

    def wait(self, condition: Callable[[list[Record]], bool]) -> list[Record]:
        """Wait until the records on disk satisfy a condition."""
        pause = threading.Event()
        for _ in range(300):
            records = self.records()
            if condition(records):
                return records
            pause.wait(0.1)
        raise AssertionError(records)

    def end(self) -> None:
        """Stop the agent as a signal does."""
        self.agent.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RunningAgent]]:
    """Yield a function that starts an agent, which is stopped after the test."""
    monkeypatch.setattr(supervision, "_FIRST_WAIT_S", 0.05)
    running: list[RunningAgent] = []

    def begin() -> RunningAgent:
        running.append(RunningAgent(tmp_path))
        return running[-1]

    yield begin
    for started in running:
        started.end()


def _hosts(records: list[Record], outcome: str = "ok") -> int:
    return sum(r.measurement == "host" and bool(r.fields[outcome]) for r in records)


def _errors(records: list[Record]) -> list[str]:
    return [
        str(r.fields["detail"])
        for r in records
        if r.tags.get("kind") == "internal_error"
    ]


@pytest.mark.parametrize(
    ("owner", "name", "part"),
    [
        (Uplink, "run", "uplink"),
        (Pauses, "changes", "pauses"),
        (LinkMonitor, "cycle", "verdict"),
        (LinkMonitor, "observe", "observe"),
        (Metrics, "heartbeat_figures", "heartbeat"),
        (Metrics, "status", "status"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_part_that_fails_leaves_an_event_and_stops_no_other(
    start: Callable[[], RunningAgent],
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    part: str,
) -> None:
    """Measurements go on, and the event names the part and the exception."""
    for interval in ("_VERDICT_S", "_HEARTBEAT_S", "_STATUS_S"):
        monkeypatch.setattr(f"qos_agent.agent.agent.{interval}", 0.3)
    broken = mock.Mock(side_effect=RecursionError("too deep"))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, broken)
        running = start()
        running.wait(
            lambda records: (
                _hosts(records) >= 3
                and bool(_errors(records))
                and len(broken.mock_calls) >= 2
            )
        )
    running.end()
    assert _errors(running.records()) == [f"{part}: RecursionError: too deep"]


def test_a_failed_commit_is_repeated(
    start: Callable[[], RunningAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readings that met an exception in the commit are in the next one."""
    commit = Recorder.commit
    failures: list[str] = []

    def fail_twice(recorder: Recorder) -> int:
        if len(failures) in {1, 2}:
            failures.append("raised")
            raise ValueError("bad")
        failures.append("")
        return commit(recorder)

    monkeypatch.setattr(Recorder, "commit", fail_twice)
    records = start().wait(lambda records: _hosts(records) >= 3)
    assert _errors(records) == ["commit: ValueError: bad"]


@pytest.mark.parametrize(
    "error", [StorageError("cannot write", "journal", "full"), KeyError("grant")]
)
def test_a_task_without_a_reading_of_its_own_is_recorded_as_failed(
    start: Callable[[], RunningAgent], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Each slot leaves a reading, also if the runner itself raises."""
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "run", mock.Mock(side_effect=error))
        running = start()
        records = running.wait(lambda records: _hosts(records, "failed") >= 2)
    # A busy machine may also miss a slot, which is a skipped reading without a cause.
    failed = [r for r in records if r.measurement == "host" and "cause" in r.fields]
    assert {r.fields["cause"] for r in failed} == {"internal"}
    running.wait(lambda records: _hosts(records) >= 1)


def test_the_watchdog_is_not_fed_while_a_part_cannot_run(
    start: Callable[[], RunningAgent],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The watchdog proves all threads and periodic actions, not the main loop only."""
    monkeypatch.setattr(supervision, "_UNHEALTHY_S", 0.3)
    monkeypatch.setattr(supervision, "_LAST_WAIT_S", 0.05)
    monkeypatch.setattr(supervision, "_RECOVERED_S", 0.5)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        with monkeypatch.context() as patch:
            patch.setattr(Uplink, "run", mock.Mock(side_effect=TypeError("bad")))
            running = start()
            assert manager.recv(100) == b"READY=1"
            manager.settimeout(2)
            with pytest.raises(TimeoutError):
                _receive_for_ever(manager)
        manager.settimeout(10)
        assert manager.recv(100) == b"WATCHDOG=1"
        running.end()


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Uplink, "_send_round"), (Agent, "_check_clock"), (Recorder, "commit")],
    ids=["uplink", "schedule", "journal"],
)
def test_the_watchdog_is_not_fed_while_a_part_hangs(
    start: Callable[[], RunningAgent],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    owner: type,
    name: str,
) -> None:
    """Schedule, journal and uplink must each make progress."""
    monkeypatch.setattr("qos_agent.agent.agent._UPLINK_SILENT_S", -9.5)
    monkeypatch.setattr("qos_agent.schedule.scheduler._SILENT_S", 0.5)
    monkeypatch.setattr(
        "qos_agent.schedule.scheduler._MAX_SLEEP", timedelta(seconds=0.1)
    )
    monkeypatch.setattr("qos_agent.uplink.uplink._SLEEP_MAX_S", 0.1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    original, hang, released = (
        getattr(owner, name),
        threading.Event(),
        threading.Event(),
    )

    def hanging(*arguments: object) -> object:
        if hang.is_set():
            released.wait(30)
        return original(*arguments)

    monkeypatch.setattr(owner, name, hanging)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        start()
        assert manager.recv(100) == b"READY=1"
        assert [manager.recv(100) for _ in range(5)] == [b"WATCHDOG=1"] * 5
        hang.set()
        manager.settimeout(2)
        with pytest.raises(TimeoutError):
            _receive_for_ever(manager)
        released.set()
        manager.settimeout(10)
        assert manager.recv(100) == b"WATCHDOG=1"


def _receive_for_ever(manager: socket.socket) -> None:
    while True:
        assert manager.recv(100) == b"WATCHDOG=1"
