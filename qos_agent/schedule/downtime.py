"""Readings for the time in which the agent did not run, written at the next start.

Each job and phase gets one skipped reading with the number of missed slots and their
span, so that a stop cannot hide measurements. Each task that was running when the
agent was killed gets a failed reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from qos_agent.journal import Reservation
from qos_agent.model import Link, Phase, Probe, Reading, Task
from qos_agent.model.calendar import Timeline, phase_spans
from qos_agent.probes.envelope import killed, skipped
from qos_agent.schedule.slots import Job


def missed_slots(
    span_ns: tuple[int, int],
    offset_ns: int,
    timeline: Timeline,
    jobs_of: Callable[[Phase], Sequence[Job]],
    probes: Mapping[str, Probe],
) -> Iterator[Reading]:
    """Yield readings for the slots due in a span of wall time, in nanoseconds.

    `offset_ns` is the wall time minus the boot time now; readings have boot times.
    """
    for span in phase_spans(timeline, *span_ns):
        length_ns = span.until_ns - span.from_ns
        for job in jobs_of(span.phase):
            slots = length_ns // int(job.interval_s * 1e9)
            if slots:
                due_ns = span.from_ns - offset_ns
                task = Task(job.probe, due_ns, job.link, job.target)
                probe = probes[job.probe]
                yield skipped(probe, task, "not_running", slots, length_ns / 1e9)


def killed_tasks(
    reservations: Sequence[Reservation],
    now_boot_ns: int,
    links: Sequence[Link],
    probes: Mapping[str, Probe],
) -> Iterator[Reading]:
    """Yield readings for tasks that were killed.

    All bytes that they reserved count as transferred. An advance that small
    tasks share is not a task and leaves no reading.
    """
    links_by_name = {link.name: link for link in links}
    for reservation in reservations:
        probe = probes.get(reservation.probe)
        if probe is not None:
            link = links_by_name.get(reservation.link)
            task = Task(reservation.probe, now_boot_ns, link)
            yield killed(probe, task, reservation.size_bytes)
