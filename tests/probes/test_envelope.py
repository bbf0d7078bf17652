"""Every slot has one reading, whatever its probe does."""

from __future__ import annotations

import threading

import pytest

from qos_agent.model import Deadline, Link, Outcome, ProbeResult, Sample, Task
from qos_agent.model.errors import ProbeError
from qos_agent.probes.envelope import Envelope, skipped
from tests.support.clocks import FakeClock
from tests.support.probes import ScriptedProbe

LINK = Link("main", "telkomsel")


@pytest.fixture
def stop() -> threading.Event:
    """Return the stop event of the agent."""
    return threading.Event()


@pytest.fixture
def task(clock: FakeClock) -> Task:
    """Return a task that was due 250 ms ago."""
    return Task("latency", clock.boot_ns() - 250_000_000, LINK)


def test_a_clean_probe_gives_an_ok_reading(
    clock: FakeClock, stop: threading.Event, task: Task
) -> None:
    """The envelope sets outcome, tags of link and task, lateness and duration."""

    def measure(task: Task, deadline: Deadline) -> ProbeResult:
        clock.advance(3)
        return ProbeResult((Sample({}, {"sent": 20}),))

    reading = Envelope(clock, stop).run(ScriptedProbe(measure), task)
    assert reading.outcome == Outcome.OK
    assert reading.late_ms == 250
    assert reading.duration_ms == 3000
    (sample,) = reading.samples
    assert sample.tags == {
        "link": "main",
        "operator": "telkomsel",
        "target": "gateway",
        "layer": "gateway",
    }


@pytest.mark.parametrize(
    ("error", "cause", "detail"),
    [
        (ProbeError("refused", "port 9"), "refused", "port 9"),
        (ConnectionResetError(104, "reset by peer"), "reset", "reset by peer"),
        (TimeoutError(), "timeout", ""),
        (ZeroDivisionError("a bug"), "internal", "ZeroDivisionError: a bug"),
        (SystemExit(3), "internal", "SystemExit: 3"),
    ],
)
def test_an_error_becomes_a_failed_reading_with_its_cause(
    clock: FakeClock,
    stop: threading.Event,
    task: Task,
    error: BaseException,
    cause: str,
    detail: str,
) -> None:
    """The envelope raises nothing, and each kind of exception has its own cause."""

    def measure(task: Task, deadline: Deadline) -> ProbeResult:
        raise error

    reading = Envelope(clock, stop).run(ScriptedProbe(measure), task)
    assert (reading.outcome, reading.cause) == (Outcome.FAILED, cause)
    assert detail in reading.detail
    assert reading.samples[0].tags["target"] == "gateway"


def test_samples_of_a_failed_probe_are_kept(
    clock: FakeClock, stop: threading.Event, task: Task
) -> None:
    """A train without a reply still reports how many packets it sent."""
    result = ProbeResult((Sample({}, {"sent": 20, "received": 0}),), "timeout")
    reading = Envelope(clock, stop).run(ScriptedProbe(lambda *_: result), task)
    assert reading.cause == "timeout"
    assert reading.samples[0].fields == {"sent": 20, "received": 0}


def test_a_hung_probe_is_abandoned_and_its_next_slots_are_skipped(
    clock: FakeClock, stop: threading.Event, task: Task
) -> None:
    """A probe that ignores its deadline delays its own task only."""
    release = threading.Event()

    def hang(task: Task, deadline: Deadline) -> ProbeResult:
        release.wait(30)
        return ProbeResult(())

    envelope = Envelope(clock, stop, grace_s=0.05)
    probe = ScriptedProbe(hang, deadline_s=0.05)
    assert envelope.run(probe, task).cause == "hung"
    assert envelope.run(probe, task).reason == "stuck"
    other = Task("latency", task.due_boot_ns, Link("spare", "xl"))
    assert envelope.run(ScriptedProbe(), other).outcome == Outcome.OK
    release.set()
    for thread in threading.enumerate():
        if thread.name == task.probe:
            thread.join(5)
    assert envelope.run(ScriptedProbe(), task).outcome == Outcome.OK


def test_a_probe_cut_short_by_the_stop_is_skipped_not_failed(
    clock: FakeClock, stop: threading.Event, task: Task
) -> None:
    """A stop of the agent does not count as a failure of the network."""

    def measure(task: Task, deadline: Deadline) -> ProbeResult:
        stop.set()
        assert deadline.wait(10)
        return ProbeResult((), "timeout")

    reading = Envelope(clock, stop).run(ScriptedProbe(measure), task)
    assert (reading.outcome, reading.reason) == (Outcome.SKIPPED, "stopping")


def test_skipped_slots_keep_their_tags_and_number(task: Task) -> None:
    """Missed slots are one reading, with every point that the task would have."""
    reading = skipped(ScriptedProbe(), task, "missed", slots=7, span_s=420.0)
    assert (reading.slots, reading.reason) == (7, "missed")
    assert reading.samples[0].fields == {"span_s": 420.0}
    assert reading.samples[0].tags["operator"] == "telkomsel"
