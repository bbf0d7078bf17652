"""Which tasks there are: each probe of the profile, on each link, at each target."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from qos_agent.config.settings import Settings
from qos_agent.model import Layer, Link, Phase, Target
from qos_agent.schedule.slots import Job


def jobs(
    settings: Settings, phase: Phase, without: Collection[str] = ()
) -> tuple[Job, ...]:
    """The jobs of a phase: those whose interval is not off, less those left out."""
    profile = settings.schedule.profile(phase)
    return tuple(
        Job(probe, link, target, interval_s)
        for probe in profile.probes()
        if probe not in without
        for link, target in _places(probe, settings)
        if (interval_s := profile.interval_s(probe, link.name if link else None))
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
