"""Slots that passed while the agent was not running, written at its next start.

One skipped reading for each job and phase, with how many slots and which span, so
that an operator cannot say the device was looking away on purpose. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from qos_agent.envelope import skipped
from qos_agent.model import Phase, Probe, Reading, Task
from qos_agent.slots import Job

# Phases change on whole minutes; a stop of years is walked in larger steps.
_STEP_NS = 60 * 10**9
_STEPS_MAX = 100_000


def absences(
    gap_ns: tuple[int, int],
    offset_ns: int,
    phase_at: Callable[[int], Phase],
    jobs_of: Callable[[Phase], Sequence[Job]],
    probes: Mapping[str, Probe],
) -> Iterator[Reading]:
    """Readings for the slots due within the gap, from and to in wall nanoseconds.

    `offset_ns` is wall less boot time now, so that the readings carry boot times.
    """
    for from_ns, to_ns, phase in _spans(gap_ns, phase_at):
        for job in jobs_of(phase):
            slots = (to_ns - from_ns) // int(job.interval_s * 1e9)
            if slots:
                task = Task(job.probe, from_ns - offset_ns, job.link, job.target)
                span_s = (to_ns - from_ns) / 1e9
                yield skipped(probes[job.probe], task, "not_running", slots, span_s)


def _spans(
    gap_ns: tuple[int, int], phase_at: Callable[[int], Phase]
) -> Iterator[tuple[int, int, Phase]]:
    """The gap cut where the phase changes, to the minute."""
    start, end = gap_ns
    step = max(_STEP_NS, (end - start) // _STEPS_MAX)
    phase = phase_at(start)
    # Steps on whole minutes of the clock, for that is where phases change.
    moment = start - start % step + step
    while moment < end:
        if phase_at(moment) != phase:
            yield start, moment, phase
            start, phase = moment, phase_at(moment)
        moment += step
    if start < end:
        yield start, end, phase
