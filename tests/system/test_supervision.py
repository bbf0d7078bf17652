"""An exception ends no part of a process for good."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from qos_agent.model.errors import StorageError
from qos_agent.system import supervision
from qos_agent.system.supervision import Supervisor, Trouble


class Stand:
    """A supervisor with a clock that the test sets, and the troubles it reports."""

    def __init__(self) -> None:
        self.time_s = 1000.0
        self.troubles: list[Trouble] = []
        self.supervisor = Supervisor(
            report=self.troubles.append, now_s=lambda: self.time_s
        )

    def fail(self, error: Exception | None = None) -> None:
        """Call an action that raises."""
        error = error or TypeError("bad")
        assert self.supervisor.call("part", _raising(error)) is error


def _raising(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


@pytest.fixture
def stand() -> Stand:
    """Return a supervisor on a bench."""
    return Stand()


@pytest.mark.parametrize(
    "error", [TypeError("bad"), RecursionError(), MemoryError(), SystemExit(3)]
)
def test_a_thread_runs_again_after_any_exception(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The body is called until it returns, and the first exception is reported."""
    monkeypatch.setattr(supervision, "_FIRST_WAIT_S", 0.0)
    rest: list[BaseException] = [error, error]

    def body() -> None:
        if rest:
            raise rest.pop()

    thread = stand.supervisor.start("uplink", body)
    thread.join(20)
    assert not thread.is_alive()
    assert rest == []
    (trouble,) = stand.troubles
    assert (trouble.part, trouble.count) == ("uplink", 1)
    assert trouble.error.startswith(type(error).__name__)


def test_a_stop_ends_the_restarts(stand: Stand) -> None:
    """A thread that waits for its restart ends at once when the process stops."""
    raised = threading.Event()

    def body() -> None:
        raised.set()
        raise TypeError

    thread = stand.supervisor.start("uplink", body)
    assert raised.wait(20)
    stand.supervisor.stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_an_action_that_raises_is_reported_at_most_every_15_minutes(
    stand: Stand,
) -> None:
    """The second report has the number of exceptions since the first."""
    for _ in range(5):
        stand.fail()
    stand.time_s += 901
    stand.fail()
    assert [trouble.count for trouble in stand.troubles] == [1, 5]
    assert str(stand.troubles[1]) == "part: TypeError: bad (5 times)"


def test_a_part_that_fails_for_minutes_is_unhealthy_until_it_succeeds(
    stand: Stand,
) -> None:
    """Three exceptions over more than five minutes are too many; a success ends it."""
    stand.fail()
    stand.fail()
    stand.time_s += 301
    assert stand.supervisor.unhealthy() == []
    stand.fail()
    assert stand.supervisor.unhealthy() == ["part"]
    assert stand.supervisor.call("part", lambda: None) is None
    assert stand.supervisor.unhealthy() == []


def test_a_full_disk_is_no_reason_for_a_restart(stand: Stand) -> None:
    """An error of the storage is neither reported nor counted."""
    for _ in range(5):
        stand.time_s += 100
        stand.fail(StorageError("cannot write", "journal", "full"))
    assert stand.supervisor.unhealthy() == []
    assert stand.troubles == []


def test_a_thread_that_hangs_is_unhealthy(stand: Stand) -> None:
    """A thread must show a sign of life within its limit."""
    ended = threading.Event()
    stand.supervisor.start("schedule", lambda: ended.wait(60), silent_s=120)
    stand.time_s += 119
    stand.supervisor.alive("schedule")
    stand.time_s += 119
    assert stand.supervisor.unhealthy() == []
    stand.time_s += 2
    assert stand.supervisor.unhealthy() == ["schedule"]
    ended.set()


def test_a_thread_that_runs_again_for_a_minute_is_healthy(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart that helped ends the trouble without another exception."""
    monkeypatch.setattr(supervision, "_FIRST_WAIT_S", 0.0)
    running, ended = threading.Event(), threading.Event()
    failures: list[float] = []

    def body() -> None:
        if len(failures) < 3:
            failures.append(stand.time_s)
            stand.time_s += 200
            raise TypeError
        running.set()
        ended.wait(60)

    monkeypatch.setattr(supervision, "_RECOVERED_S", 1000)
    stand.supervisor.start("uplink", body)
    assert running.wait(20)
    assert stand.supervisor.unhealthy() == ["uplink"]
    stand.time_s += 1001
    assert stand.supervisor.unhealthy() == []
    ended.set()
