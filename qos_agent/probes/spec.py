"""The description of a probe, which schedule, status, log and journal use.

Each probe module defines a `SPEC`, and `registry` lists them. The only other
list is in the help of `qos-agent pause`, and a test compares it with the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from qos_agent.config.settings import Settings
from qos_agent.model import Link, Phase, Probe, Target

NEVER = 0.0
USUAL_EVICTION_RANK = 3

Place = tuple[Link | None, Target | None]


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A probe, its place in the schedule, and how its readings are shown and kept.

    `name` is its name in `[schedule]`. `places` yields the links and targets that a
    configuration gives it. `intervals_s` has its default interval in each phase.
    """

    name: str
    make: Callable[[Settings], Probe]
    places: Callable[[Settings], Iterable[Place]]
    intervals_s: Mapping[Phase, float]
    # The first run comes this soon after the start, at a random time in this range.
    # Probes that load the link come last, so that the small ones are finished.
    first_delay_s: tuple[float, float] = (1.0, 10.0)
    # The task moves so much data that a shared cell is loaded if all devices of a
    # district start together. After a boot, or soon after the last run of the agent,
    # the first run waits for its random slot. This is not `Probe.loads_link`: a page
    # load may run while a latency train does.
    heavy: bool = False
    # Fields of its readings in the status file and in the log.
    status_fields: tuple[str, ...] = ()
    log_fields: tuple[str, ...] = ()
    # Undelivered points of a low rank are evicted first, from rank 0. Rank 2 is for
    # further targets of a layer, 4 and 5 are for verdicts and events.
    eviction_rank: int = USUAL_EVICTION_RANK


def intervals(
    usual_s: float, *, voting_s: float, counting_s: float
) -> Mapping[Phase, float]:
    """Return the default intervals of all phases; NEVER means that it does not run."""
    special = {Phase.VOTING: voting_s, Phase.COUNTING: counting_s}
    return {phase: special.get(phase, usual_s) for phase in Phase}


def on_device(_settings: Settings) -> Iterator[Place]:
    """Yield the place of a probe that uses no link."""
    yield None, None


def on_links(
    applies: Callable[[Settings, Link], bool] = lambda _settings, _link: True,
) -> Callable[[Settings], Iterator[Place]]:
    """Return the places of a probe that measures a link as a whole."""

    def places(settings: Settings) -> Iterator[Place]:
        for link in settings.link_list():
            if applies(settings, link):
                yield link, None

    return places


def on_targets(
    targets: Callable[[Settings], Sequence[Target]],
) -> Callable[[Settings], Iterator[Place]]:
    """Return the places of a probe that measures each target over each link."""

    def places(settings: Settings) -> Iterator[Place]:
        for link in settings.link_list():
            for target in targets(settings):
                yield link, target

    return places
