"""The jobs of a phase: each probe on its links and targets, at its interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from qos_agent.config.settings import Settings
from qos_agent.model import Link, Phase
from qos_agent.probes.registry import PROBES
from qos_agent.schedule.slots import Job

DEFAULT_INTERVALS: Mapping[Phase, Mapping[str, float]] = {
    phase: {name: spec.intervals_s[phase] for name, spec in PROBES.items()}
    for phase in Phase
}


def interval(
    settings: Settings, phase: Phase, probe: str, link: Link | None = None
) -> float:
    """Return how often a probe runs in a phase, in seconds; 0.0 is never."""
    configured_s = settings.interval_s(phase, probe, link.name if link else None)
    return DEFAULT_INTERVALS[phase][probe] if configured_s is None else configured_s


def jobs(
    settings: Settings, phase: Phase, without: Collection[str] = ()
) -> tuple[Job, ...]:
    """Return the jobs of a phase, except those of the probes in `without`."""
    return tuple(
        Job(name, link, target, interval_s)
        for name, spec in PROBES.items()
        if name not in without
        for link, target in spec.places(settings)
        if (interval_s := interval(settings, phase, name, link))
    )
