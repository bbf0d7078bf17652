"""What a stop or a kill left behind, written at the next start.

One skipped reading for each job and phase that passed meanwhile, with how many slots
and which span, so that nobody can say the device was looking away on purpose; and a
failed one for each task that the agent did not live to finish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from qos_agent.journal import Reservation
from qos_agent.model import Link, Phase, Probe, Reading, Task
from qos_agent.model.calendar import Timeline, phase_spans
from qos_agent.probes.envelope import killed, skipped
from qos_agent.schedule.slots import Job


def absences(
    gap_ns: tuple[int, int],
    offset_ns: int,
    timeline: Timeline,
    jobs_of: Callable[[Phase], Sequence[Job]],
    probes: Mapping[str, Probe],
) -> Iterator[Reading]:
    """Readings for the slots due within the gap, from and to in wall nanoseconds.

    `offset_ns` is wall less boot time now, so that the readings carry boot times.
    """
    for stretch in phase_spans(timeline, *gap_ns):
        length_ns = stretch.until_ns - stretch.from_ns
        for job in jobs_of(stretch.phase):
            slots = length_ns // int(job.interval_s * 1e9)
            if slots:
                due_ns = stretch.from_ns - offset_ns
                task = Task(job.probe, due_ns, job.link, job.target)
                probe = probes[job.probe]
                yield skipped(probe, task, "not_running", slots, length_ns / 1e9)


def cut_off(
    left: Sequence[Reservation],
    now_boot_ns: int,
    links: Sequence[Link],
    probes: Mapping[str, Probe],
) -> Iterator[Reading]:
    """Readings for tasks that were killed; what they reserved counts as moved.

    An advance that many small tasks drew on is no task and leaves no reading.
    """
    by_name = {link.name: link for link in links}
    for reservation in left:
        probe = probes.get(reservation.probe)
        if probe is not None:
            link = by_name.get(reservation.link)
            task = Task(reservation.probe, now_boot_ns, link)
            yield killed(probe, task, reservation.size_bytes)
