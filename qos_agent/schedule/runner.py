"""From a due slot to a reading: pause, link, allowance, envelope, in that order.

Whatever stands in the way gives a skipped reading with its reason; a slot never
vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from qos_agent.model import Link, Probe, Reading, Target, Task
from qos_agent.model.errors import ProbeError
from qos_agent.probes.envelope import Envelope, skipped
from qos_agent.system.link_lock import LinkLock
from qos_agent.system.network import interface_bytes, interface_of

# A train lasts some seconds; a loader waits for those under way, no longer, so
# that the next slot of the same task is never touched.
_WAIT_S = 20.0


class Purse(Protocol):
    """What the runner needs of the data allowance."""

    def ask(
        self, link: Link, probe: str, worst_case_bytes: int, due_boot_ns: int
    ) -> int | str:
        """A grant's number, or the reason why not."""
        ...

    def settle(self, grant: int, spent_bytes: int) -> None:
        """What the task really moved."""
        ...


class Runner:
    """Runs tasks and hands their readings on."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        envelope: Envelope,
        link_lock: LinkLock,
        purse: Purse,
        paused: Callable[[str], bool],
        meter: Callable[[Link], int | None],
        wait_s: float = _WAIT_S,
    ) -> None:
        self._probes = probes
        self._envelope = envelope
        self._link_lock = link_lock
        self._purse = purse
        self._paused = paused
        self._meter = meter
        self._wait_s = wait_s

    def run(
        self,
        probe_name: str,
        link: Link | None,
        target: Target | None,
        due_boot_ns: int,
    ) -> Reading:
        """The reading of one slot, measured or skipped."""
        probe = self._probes[probe_name]
        task = Task(probe_name, due_boot_ns, link, target)
        if self._paused(probe_name):
            return skipped(probe, task, "paused")
        with self._entered(probe, link) as entered:
            if not entered:
                return skipped(probe, task, "link_busy")
            return self._within_allowance(probe, task)

    @contextmanager
    def _entered(self, probe: Probe, link: Link | None) -> Iterator[bool]:
        if link is None:
            yield True
            return
        use = self._link_lock.exclusive if probe.loads_link else self._link_lock.shared
        with use(link.name, self._wait_s) as entered:
            yield entered

    def _within_allowance(self, probe: Probe, task: Task) -> Reading:
        worst_case_bytes = probe.worst_case_bytes()
        if task.link is None or worst_case_bytes == 0:
            return self._envelope.run(probe, task)
        granted = self._purse.ask(
            task.link, task.probe, worst_case_bytes, task.due_boot_ns
        )
        if isinstance(granted, str):
            return skipped(probe, task, granted)
        limited = Task(
            task.probe, task.due_boot_ns, task.link, task.target, worst_case_bytes
        )
        before = self._meter(task.link)
        reading = self._envelope.run(probe, limited)
        counted = _between(before, self._meter(task.link))
        spent = counted if probe.loads_link else _told(reading)
        self._purse.settle(granted, worst_case_bytes if spent is None else spent)
        return reading


def _between(before: int | None, after: int | None) -> int | None:
    """Bytes between two counts; None where the counter was lost or reset."""
    if before is None or after is None or after < before:
        return None
    return after - before


def _told(reading: Reading) -> int | None:
    """What the probe says it moved: beside others, the interface counts them all."""
    told = [sample.fields.get("data_bytes") for sample in reading.samples]
    counted = [int(value) for value in told if value is not None]
    return sum(counted) if counted else None


def link_bytes(link: Link) -> int | None:
    """All bytes the link's interface has moved; None while it has none.

    The allowance is settled by the interface and not by what the probe says: the
    operator bills the other traffic too.
    """
    interface = interface_of(link)
    try:
        return sum(interface_bytes(interface)) if interface else None
    except ProbeError:
        return None
