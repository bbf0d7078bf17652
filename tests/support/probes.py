"""Probes that behave, hang, crash or learn little: what the envelope must bear."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.model import Deadline, ProbeResult, Sample, Task


def _measured(task: Task, deadline: Deadline) -> ProbeResult:
    return ProbeResult((Sample({}, {"sent": 20, "received": 20}),))


@dataclass
class ScriptedProbe:
    """A latency probe whose measuring is a function of the test's."""

    body: Callable[[Task, Deadline], ProbeResult] = _measured
    measurement: str = "latency"
    loads_link: bool = False
    deadline_s: float = 5.0
    bytes_at_most: int = 0
    ran: list[Task] = field(default_factory=list)

    def worst_case_bytes(self) -> int:
        """As the test says."""
        return self.bytes_at_most

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """The target's."""
        return ({"target": "gateway", "layer": "gateway"},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Whatever the test wants."""
        self.ran.append(task)
        return self.body(task, deadline)
