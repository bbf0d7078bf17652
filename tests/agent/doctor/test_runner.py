"""All checks run at the same time, for a limited time, and are sorted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from qos_agent.agent.doctor import runner
from qos_agent.agent.doctor.check import Check, Health, Row, bad, ok, warn


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """Return an event for which checks wait until the end of the test."""
    end = threading.Event()
    yield end
    end.set()


def test_checks_that_hang_cost_the_limit_once(hang: threading.Event) -> None:
    """Twenty checks that never end have a result each, after one limit."""

    def wait() -> Check:
        hang.wait()
        return ok("late", "")

    rows = [Row(f"check {number}", wait) for number in range(20)]
    started_s = time.monotonic()
    checks = runner.run([*rows, Row("quick", lambda: ok("quick", "fine"))], 0.3)
    assert time.monotonic() - started_s < 3
    assert [check.health for check in checks] == [Health.BAD] * 20 + [Health.OK]
    assert "no result within" in checks[0].result
    assert checks[0].fix


def test_errors_come_first_and_causes_before_consequences() -> None:
    """The order is error, warning, ok; a consequence names its cause."""
    rows = [
        Row("fine", lambda: ok("fine", "")),
        Row("names", lambda: bad("names", "", "do this"), ("link",)),
        Row("hint", lambda: warn("hint", "", ""), ("link",)),
        Row("link", lambda: bad("link", "", "plug it in")),
    ]
    checks = runner.run(rows, 5)
    assert [check.name for check in checks] == ["link", "names", "hint", "fine"]
    assert [check.cause for check in checks] == [None, "link", None, None]


def test_an_exception_is_the_result_of_its_check() -> None:
    """A bug in one check hides no other check."""

    def fail() -> Check:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    rows = [Row("broken", fail), Row("fine", lambda: ok("fine", ""))]
    broken, fine = runner.run(rows, 5)
    assert "internal error (bug): UnicodeDecodeError" in broken.result
    assert fine.health is Health.OK
