"""Which tasks there are: each probe of the profile, on each link, at each target."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from qos_agent.config.settings import Settings
from qos_agent.model import Layer, Link, Phase, Target
from qos_agent.schedule.slots import Job

_USUAL = {
    "latency": 300.0,
    "throughput": 21600.0,
    "web": 0.0,
    "form": 0.0,
    "signal": 300.0,
    "host": 300.0,
}
# While votes are cast: everything, often. While they are counted: uploads above all.
DEFAULT_INTERVALS: Mapping[Phase, Mapping[str, float]] = {
    Phase.IDLE: _USUAL,
    Phase.PRE: _USUAL,
    Phase.VOTING: {
        "latency": 60.0,
        "throughput": 3600.0,
        "web": 900.0,
        "form": 900.0,
        "signal": 60.0,
        "host": 60.0,
    },
    Phase.COUNTING: {
        "latency": 60.0,
        "throughput": 7200.0,
        "web": 1800.0,
        "form": 600.0,
        "signal": 60.0,
        "host": 60.0,
    },
    Phase.POST: _USUAL,
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
    """The jobs of a phase: those whose interval is not off, less those left out."""
    return tuple(
        Job(probe, link, target, interval_s)
        for probe in DEFAULT_INTERVALS[phase]
        if probe not in without
        for link, target in _places(probe, settings)
        if (interval_s := interval(settings, phase, probe, link))
    )


def _places(
    probe: str, settings: Settings
) -> Iterator[tuple[Link | None, Target | None]]:
    """Where a probe measures: nowhere (host), a link, or a target over a link."""
    if probe == "host":
        yield None, None
        return
    for link in settings.link_list():
        match probe:
            case "latency":
                yield from ((link, target) for target in settings.target_list())
            case "web":
                yield from ((link, page) for page in _pages(settings))
            case _ if _applies(probe, link, settings):
                yield link, None


def _applies(probe: str, link: Link, settings: Settings) -> bool:
    """Whether there is anything for a probe of the whole link to do."""
    match probe:
        case "form":
            return settings.form.url is not None
        case "signal":
            return any(modem.link == link.name for modem in settings.signal.modems)
        case _:
            return True


def _pages(settings: Settings) -> Iterator[Target]:
    for page in settings.web.pages:
        yield Target(page.name, page.url, Layer.APPLICATION)
