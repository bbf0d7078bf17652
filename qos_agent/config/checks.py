"""Faults of a configuration that no section can see alone: names across sections.

Tasks, points and allowances are told apart by names. Two targets of one name would be
one job, and a rule for a link that does not exist would silently hold for none.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from qos_agent.config import calendar_file
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.settings import Settings
from qos_agent.model import Phase
from qos_agent.model.errors import ConfigError, InvalidConfigError


def faults(settings: Settings, probes: Collection[str]) -> Iterator[ConfigError]:
    """All that does not fit together, and what is wrong with the calendar."""
    yield from _unknown_probes("schedule", settings.schedule, probes)
    for index, link in enumerate(settings.links):
        yield from _unknown_probes(f"links.{index}.schedule", link.schedule, probes)
    yield from _repeated("links", [link.name for link in settings.links])
    yield from _repeated("targets", [target.name for target in settings.targets])
    yield from _repeated("web.pages", [page.name for page in settings.web.pages])
    links = [link.name for link in settings.links]
    for key, named in _links_named(settings.model_dump(), ""):
        if named not in links:
            yield _unknown_link(key, named, links)
    yield from _calendar_faults(settings.election.calendar)


def _repeated(key: str, names: Sequence[str]) -> Iterator[ConfigError]:
    for index, name in enumerate(names):
        if name in names[:index]:
            place, allowed = f"{key}.{index}.name", "a name that no other one has"
            yield ConfigError(place, repr(name), allowed, f"edit {place}")


def _unknown_probes(
    key: str, schedule: ScheduleSection, probes: Collection[str]
) -> Iterator[ConfigError]:
    for phase in Phase:
        for name in sorted(schedule.profile(phase).keys() - set(probes)):
            near = difflib.get_close_matches(name, probes, n=1)
            fix = f"did you mean {near[0]}" if near else "remove it"
            problem = "is not a probe; the probes are " + ", ".join(sorted(probes))
            yield ConfigError(f"{key}.{phase}.{name}", None, problem, fix)


def _links_named(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every key `link` of the configuration, and the link it names."""
    rows = enumerate(value) if isinstance(value, tuple) else ()
    for name, inner in value.items() if isinstance(value, dict) else rows:
        place = f"{key}.{name}".strip(".")
        if name == "link" and inner is not None:
            yield place, inner
        else:
            yield from _links_named(inner, place)


def _unknown_link(key: str, named: str, links: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(named, links, n=1)
    mend = f"did you mean {near[0]}?" if near else "name one of [[links]]"
    return ConfigError(key, repr(named), ", ".join(links), mend)


def _calendar_faults(name: str | None) -> Iterator[ConfigError]:
    """A calendar with faults is refused now, and not on the day."""
    try:
        calendar_file.named(name)
    except InvalidConfigError as error:
        for fault in error.faults:
            if fault.key == str(calendar_file.find(str(name))):
                found, mend = f"{name} ({fault.found})", "edit election.calendar"
                yield ConfigError("election.calendar", found, fault.problem, mend)
            else:
                yield replace(fault, key=f"{name}: {fault.key}")
