"""A probe with a scripted result, for tests of the envelope and the runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.model import Deadline, ProbeResult, Sample, Task


def _measured(task: Task, deadline: Deadline) -> ProbeResult:
    return ProbeResult((Sample({}, {"sent": 20, "received": 20}),))


@dataclass
class ScriptedProbe:
    """A latency probe whose `measure` calls a function of the test."""

    body: Callable[[Task, Deadline], ProbeResult] = _measured
    measurement: str = "latency"
    loads_link: bool = False
    deadline_s: float = 5.0
    bytes_at_most: int = 0
    ran: list[Task] = field(default_factory=list)

    def worst_case_bytes(self) -> int:
        """Return the value that the test set."""
        return self.bytes_at_most

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """Return the tags of the target."""
        return ({"target": "gateway", "layer": "gateway"},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Record the task and call the function of the test."""
        self.ran.append(task)
        return self.body(task, deadline)
