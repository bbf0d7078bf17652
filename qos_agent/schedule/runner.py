"""Runs a due slot: checks pause, link lock and allowance, then the envelope.

If a check fails, the result is a skipped reading with the reason. Every slot leaves
a reading.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from qos_agent.model import Link, Probe, Reading, Target, Task
from qos_agent.model.errors import ProbeError, StorageError
from qos_agent.probes.envelope import Envelope, skipped
from qos_agent.schedule.allowance_account import AllowanceAccount, Grant, Refusal
from qos_agent.system.link_lock import LinkLock
from qos_agent.system.network import InterfaceCount, interface_count, interface_of

_log = logging.getLogger(__name__)

# A train lasts a few seconds. A task that loads the link waits for the trains under
# way, but not so long that it reaches the next slot of the same task.
_WAIT_S = 20.0


class Runner:
    """Runs tasks and returns their readings."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        envelope: Envelope,
        link_lock: LinkLock,
        account: AllowanceAccount,
        paused: Callable[[str], bool],
        count_bytes: Callable[[Link], InterfaceCount | None],
        wait_s: float = _WAIT_S,
        paused_by_centre: Callable[[str, Link | None], bool] = lambda _, __: False,
    ) -> None:
        self._probes = probes
        self._envelope = envelope
        self._link_lock = link_lock
        self._account = account
        self._paused = paused
        self._count_bytes = count_bytes
        self._wait_s = wait_s
        self._paused_by_centre = paused_by_centre

    def run(
        self,
        probe_name: str,
        link: Link | None,
        target: Target | None,
        due_boot_ns: int,
    ) -> Reading:
        """Return the reading of one slot, measured or skipped."""
        probe = self._probes[probe_name]
        task = Task(probe_name, due_boot_ns, link, target)
        if self._paused(probe_name):
            return skipped(probe, task, "paused")
        if self._paused_by_centre(probe_name, link):
            return skipped(probe, task, "paused_by_centre")
        with self._locked(probe, link) as acquired:
            if not acquired:
                return skipped(probe, task, "link_busy")
            return self._within_allowance(probe, task)

    @contextmanager
    def _locked(self, probe: Probe, link: Link | None) -> Iterator[bool]:
        if link is None:
            yield True
            return
        lock = self._link_lock.exclusive if probe.loads_link else self._link_lock.shared
        with lock(link.name, self._wait_s) as acquired:
            yield acquired

    def _within_allowance(self, probe: Probe, task: Task) -> Reading:
        worst_case_bytes = probe.worst_case_bytes()
        if task.link is None or worst_case_bytes == 0:
            return self._envelope.run(probe, task)
        match self._account.reserve(task.link, task.probe, worst_case_bytes):
            case Refusal(reason):
                return skipped(probe, task, reason)
            case Grant() as grant:
                limited = replace(task, byte_limit=worst_case_bytes)
                return self._run_granted(probe, limited, task.link, grant)

    def _run_granted(
        self, probe: Probe, task: Task, link: Link, grant: Grant
    ) -> Reading:
        before = self._count_bytes(link)
        reading = self._envelope.run(probe, task)
        counted = _difference(before, self._count_bytes(link))
        spent = counted if probe.loads_link else _reported_bytes(reading)
        spent_bytes = grant.size_bytes if spent is None else spent
        try:
            self._account.settle(grant, spent_bytes)
        except StorageError as error:
            # The worst case stays counted, and the reading is not lost.
            _log.warning("allowance: cannot settle %s: %s", task.probe, error)
        return reading


def _difference(
    before: InterfaceCount | None, after: InterfaceCount | None
) -> int | None:
    """Return the bytes between two counts, or None if the counter was lost or reset."""
    if before is None or after is None:
        return None
    return after.since(before)


def _reported_bytes(reading: Reading) -> int | None:
    """Return the bytes that the probe reports to have moved.

    Probes that share the link cannot use the interface counter: it counts them all.
    """
    values = [sample.fields.get("data_bytes") for sample in reading.samples]
    counted = [int(value) for value in values if value is not None]
    return sum(counted) if counted else None


def link_count(link: Link) -> InterfaceCount | None:
    """Return the counters of the link's interface, or None without an interface.

    A task that loads the link is settled by this counter and not by the probe's own
    count, because the operator bills other traffic too.
    """
    interface = interface_of(link)
    try:
        return interface_count(interface) if interface else None
    except ProbeError:
        return None
