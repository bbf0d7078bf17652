"""The one place that runs a probe: deadline, timing, provenance, outcome.

A probe that hangs is abandoned, not waited for: its thread is a daemon, the slot
gets a failed reading with cause `hung`, and later slots of that task are skipped
as `stuck` until the thread ends, so that one bad driver cannot eat the device.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from qos_agent.model import Clock, Outcome, Probe, ProbeResult, Reading, Sample, Task
from qos_agent.model.errors import ProbeError
from qos_agent.system.clock import TaskDeadline
from qos_agent.system.network import cause_of

_log = logging.getLogger(__name__)

# A probe watches its own deadline; the grace lets it say what it learnt.
_GRACE_S = 2.0


def skipped(
    probe: Probe, task: Task, reason: str, slots: int = 1, span_s: float | None = None
) -> Reading:
    """The reading of slots that were due and not measured."""
    extra = {} if span_s is None else {"span_s": span_s}
    samples = tuple(Sample(tags, extra) for tags in _tags(probe, task))
    return Reading(
        probe.measurement,
        Outcome.SKIPPED,
        task.due_boot_ns,
        samples,
        reason=reason,
        slots=slots,
    )


def killed(probe: Probe, task: Task, reserved_bytes: int) -> Reading:
    """The reading of a task that the agent did not live to finish.

    How much it moved is unknown: its whole reservation counts as spent.
    """
    samples = [Sample(tags) for tags in _tags(probe, task)]
    samples[0] = Sample(samples[0].tags, {"data_bytes": reserved_bytes})
    return Reading(
        probe.measurement,
        Outcome.FAILED,
        task.due_boot_ns,
        tuple(samples),
        cause="killed",
    )


def _tags(probe: Probe, task: Task) -> list[Mapping[str, str]]:
    """The tags of each of the task's points, with its link and operator."""
    link = task.link
    of_link = {"link": link.name, "operator": link.operator} if link else {}
    return [{**of_link, **tags} for tags in probe.tags(task)]


@dataclass(slots=True)
class _Run:
    """A probe under way in its thread."""

    finding: ProbeResult | None = None
    thread: threading.Thread = field(default_factory=threading.Thread)


class Envelope:
    """Runs probes, one thread a task, and turns whatever happens into a reading."""

    def __init__(
        self, clock: Clock, stop: threading.Event, grace_s: float = _GRACE_S
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._grace_s = grace_s
        self._abandoned: dict[tuple[object, ...], threading.Thread] = {}

    def run(self, probe: Probe, task: Task) -> Reading:
        """Measure once; always returns, at the latest a grace after the deadline."""
        key = (task.probe, task.link, task.target)
        if (old := self._abandoned.get(key)) is not None and old.is_alive():
            return skipped(probe, task, "stuck")
        started_ns = self._clock.boot_ns()
        end_ns = started_ns + int(probe.deadline_s * 1e9)
        deadline = TaskDeadline(self._clock, end_ns, self._stop)
        run = _start(probe, task, deadline)
        run.thread.join(probe.deadline_s + self._grace_s)
        if run.finding is None:
            self._abandoned[key] = run.thread
            _log.error("%s: abandoned %.0f s after its start", key, probe.deadline_s)
        finding = run.finding or ProbeResult((), "hung")
        return self._reading(probe, task, finding, started_ns)

    def wait_for_abandoned(self, wait_s: float) -> None:
        """Give abandoned tasks a last chance to end; for tests and for the stop."""
        for thread in self._abandoned.values():
            thread.join(wait_s)

    def _reading(
        self, probe: Probe, task: Task, finding: ProbeResult, started_ns: int
    ) -> Reading:
        if finding.cause is not None and self._stop.is_set():
            return skipped(probe, task, "stopping")
        failed = finding.cause is not None
        return Reading(
            probe.measurement,
            Outcome.FAILED if failed else Outcome.OK,
            started_ns,
            _merged(_tags(probe, task), finding),
            cause=finding.cause,
            detail=finding.detail,
            late_ms=(started_ns - task.due_boot_ns) / 1e6,
            duration_ms=(self._clock.boot_ns() - started_ns) / 1e6,
        )


def _start(probe: Probe, task: Task, deadline: TaskDeadline) -> _Run:
    run = _Run()

    def body() -> None:
        run.finding = _measure(probe, task, deadline)

    run.thread = threading.Thread(target=body, name=task.probe, daemon=True)
    run.thread.start()
    return run


def _measure(probe: Probe, task: Task, deadline: TaskDeadline) -> ProbeResult:
    try:
        return probe.measure(task, deadline)
    except ProbeError as error:
        return ProbeResult((), error.cause, error.detail)
    except OSError as error:
        return ProbeResult((), cause_of(error), str(error))
    except Exception as error:  # noqa: BLE001  one of two: a slot always leaves a reading
        _log.exception("%s: a fault of our own", task.probe)
        return ProbeResult((), "internal", f"{type(error).__name__}: {error}")


def _merged(tags: list[Mapping[str, str]], finding: ProbeResult) -> tuple[Sample, ...]:
    """The probe's samples over the task's tags; a point for each even if it failed.

    Samples are matched to the task's points by position; a probe that learns a
    tag only while measuring (the radio technology) overrides it.
    """
    found = list(finding.samples) + [Sample()] * (len(tags) - len(finding.samples))
    base = tags + [tags[-1]] * (len(found) - len(tags))
    return tuple(
        Sample({**of_task, **sample.tags}, sample.fields)
        for of_task, sample in zip(base, found, strict=True)
    )
