"""The one place that runs a probe: deadline, timing, provenance, outcome.

The envelope does not wait for a probe that hangs. The thread of the probe is a daemon,
and the slot gets a failed reading with cause `hung`. Later slots of that task are
skipped as `stuck` until the thread ends, so that one bad driver cannot use up the
device.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from qos_agent.model import Clock, Outcome, Probe, ProbeResult, Reading, Sample, Task
from qos_agent.model.errors import NotMeasuredError, ProbeError
from qos_agent.system.clock import TaskDeadline
from qos_agent.system.network import cause_of

_log = logging.getLogger(__name__)

# A probe watches its deadline itself. The grace leaves it time to return its samples.
_GRACE_S = 2.0


def skipped(
    probe: Probe, task: Task, reason: str, slots: int = 1, span_s: float | None = None
) -> Reading:
    """Return the reading of slots that were due and not measured."""
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


def failed(
    probe: Probe, task: Task, cause: str, data_bytes: int | None = None
) -> Reading:
    """Return the reading of a task that left none itself."""
    samples = [Sample(tags) for tags in _tags(probe, task)]
    if data_bytes is not None:
        samples[0] = Sample(samples[0].tags, {"data_bytes": data_bytes})
    return Reading(
        probe.measurement,
        Outcome.FAILED,
        task.due_boot_ns,
        tuple(samples),
        cause=cause,
    )


def killed(probe: Probe, task: Task, reserved_bytes: int) -> Reading:
    """Return the reading of a task that an end of the agent interrupted.

    The bytes that it moved are unknown, so its whole reservation counts as used.
    """
    return failed(probe, task, "killed", reserved_bytes)


def _tags(probe: Probe, task: Task) -> list[Mapping[str, str]]:
    """Return the tags of each point of the task, with its link and operator."""
    link = task.link
    link_tags = {"link": link.name, "operator": link.operator} if link else {}
    return [{**link_tags, **tags} for tags in probe.tags(task)]


@dataclass(slots=True)
class _ProbeRun:
    """A probe that runs in its thread; `result` is None until it ends."""

    result: ProbeResult | None = None
    thread: threading.Thread = field(default_factory=threading.Thread)


class Envelope:
    """Runs probes, each in its own thread, and returns a reading for every result."""

    def __init__(
        self, clock: Clock, stop: threading.Event, grace_s: float = _GRACE_S
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._grace_s = grace_s
        self._abandoned: dict[tuple[object, ...], threading.Thread] = {}

    def run(self, probe: Probe, task: Task) -> Reading:
        """Measure once. Returns at the latest one grace after the deadline."""
        key = (task.probe, task.link, task.target)
        if (old := self._abandoned.get(key)) is not None and old.is_alive():
            return skipped(probe, task, "stuck")
        started_ns = self._clock.boot_ns()
        end_ns = started_ns + int(probe.deadline_s * 1e9)
        deadline = TaskDeadline(self._clock, end_ns, self._stop)
        run = _start(probe, task, deadline)
        run.thread.join(probe.deadline_s + self._grace_s)
        if run.result is None:
            self._abandoned[key] = run.thread
            message = "%s: no result %.0f s after the start; the task is abandoned"
            _log.error(message, key, probe.deadline_s)
        result = run.result or ProbeResult((), "hung")
        return self._reading(probe, task, result, started_ns)

    def _reading(
        self, probe: Probe, task: Task, result: ProbeResult, started_ns: int
    ) -> Reading:
        if result.reason is not None:
            return skipped(probe, task, result.reason)
        failed = result.cause is not None
        if failed and self._stop.is_set():
            return skipped(probe, task, "stopping")
        return Reading(
            probe.measurement,
            Outcome.FAILED if failed else Outcome.OK,
            started_ns,
            _merged(_tags(probe, task), result),
            cause=result.cause,
            detail=result.detail,
            late_ms=(started_ns - task.due_boot_ns) / 1e6,
            duration_ms=(self._clock.boot_ns() - started_ns) / 1e6,
        )


def _start(probe: Probe, task: Task, deadline: TaskDeadline) -> _ProbeRun:
    run = _ProbeRun()

    def body() -> None:
        run.result = _measure(probe, task, deadline)

    run.thread = threading.Thread(target=body, name=task.probe, daemon=True)
    run.thread.start()
    return run


def _measure(probe: Probe, task: Task, deadline: TaskDeadline) -> ProbeResult:
    try:
        return probe.measure(task, deadline)
    except ProbeError as error:
        return ProbeResult((), error.cause, error.detail)
    except NotMeasuredError as error:
        _log.debug("%s: not measured: %s", task.probe, error)
        return ProbeResult((), reason=error.reason)
    except OSError as error:
        return ProbeResult((), cause_of(error), str(error))
    except BaseException as error:  # noqa: BLE001  every slot must have a reading
        _log.exception("%s: unexpected exception (bug)", task.probe)
        return ProbeResult((), "internal", f"{type(error).__name__}: {error}")


def _merged(tags: list[Mapping[str, str]], result: ProbeResult) -> tuple[Sample, ...]:
    """Return the samples with the task's tags, one for each point of the task.

    Samples are matched to points by position. A sample's tag replaces the task's tag,
    because some tags (the radio technology) are known only after the measurement.
    """
    samples = list(result.samples)
    samples += [Sample()] * (len(tags) - len(samples))
    tags = tags + [tags[-1]] * (len(samples) - len(tags))
    return tuple(
        Sample({**task_tags, **sample.tags}, sample.fields)
        for task_tags, sample in zip(tags, samples, strict=True)
    )
