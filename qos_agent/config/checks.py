"""Checks that need more than one section: names and values across sections.

Tasks, points and allowances are identified by names. Two targets with one name would
be one job, and a value for a link that does not exist would apply to nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from qos_agent.config import calendar_file, zones
from qos_agent.config.allowance import AllowanceSection
from qos_agent.config.faults import PlaceOf, unknown_key
from qos_agent.config.links import LinkSection
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.settings import Settings
from qos_agent.config.station import StationSection
from qos_agent.config.throughput import ThroughputSection
from qos_agent.model import Phase
from qos_agent.model.errors import ConfigError, InvalidConfigError
from qos_agent.model.units import size_text


def faults(
    settings: Settings, probes: Collection[str], place_of: PlaceOf
) -> Iterator[ConfigError]:
    """Yield every error across sections and every error of the calendar.

    `place_of` returns the source of a key; the fix of an error names it.
    """
    for fault in _across_sections(settings, probes):
        yield replace(fault, fix=f"{fault.fix} in {place_of(fault.key)}")
    yield from _calendar(settings.election.calendar)


def _across_sections(
    settings: Settings, probes: Collection[str]
) -> Iterator[ConfigError]:
    yield from _repeated("links", [link.name for link in settings.links])
    yield from _shared_interfaces(settings.links)
    yield from _repeated("targets", [target.name for target in settings.targets])
    yield from _repeated("web.pages", [page.name for page in settings.web.pages])
    links = [link.name for link in settings.links]
    for key, name in _links_named(settings.model_dump(), ""):
        if name not in links:
            yield _unknown_link(key, name, links)
    yield from unknown_probes("schedule", settings.schedule, probes)
    yield from _allowance("allowance", settings.allowance)
    yield from _throughput("throughput", settings.throughput)
    for index, link in enumerate(settings.links):
        key = f"links.{index}"
        yield from unknown_probes(f"{key}.schedule", link.schedule, probes)
        if link.allowance.model_fields_set:
            yield from _allowance(f"{key}.allowance", settings.allowance_of(link.name))
        if link.throughput.model_fields_set:
            section = settings.throughput_of(link.name)
            yield from _throughput(f"{key}.throughput", section)
    yield from _regency(settings.station)
    yield from zones.faults(settings)


def _regency(station: StationSection) -> Iterator[ConfigError]:
    """Compare the regency with the province, if both are given."""
    unset = station.province == "00" or station.regency == "0000"
    if not unset and not station.regency.startswith(station.province):
        problem = f"is not in province {station.province}"
        fix = "correct station.regency or station.province"
        yield ConfigError("station.regency", repr(station.regency), problem, fix)


def _repeated(key: str, names: Sequence[str]) -> Iterator[ConfigError]:
    for index, name in enumerate(names):
        if name in names[:index]:
            place = f"{key}.{index}.name"
            problem = f"is the name of more than one entry of {key}"
            yield ConfigError(place, repr(name), problem, f"edit {place}")


def _shared_interfaces(links: Sequence[LinkSection]) -> Iterator[ConfigError]:
    """Yield an error for a link that goes the same way out as an earlier one.

    Their loads and data volumes would be counted twice. Links with different source
    addresses on one interface are different ways out.
    """
    used: dict[tuple[str, str | None], str] = {}
    for index, link in enumerate(links):
        if link.interface is None:
            continue
        other = used.setdefault((link.interface, link.source_address), link.name)
        if other != link.name:
            place = f"links.{index}.interface"
            problem = f"is the interface of link {other}"
            yield ConfigError(place, repr(link.interface), problem, f"edit {place}")


def _links_named(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield every key `link` of the configuration and the link it names."""
    rows = enumerate(value) if isinstance(value, tuple) else ()
    for name, inner in value.items() if isinstance(value, dict) else rows:
        place = f"{key}.{name}".strip(".")
        if name == "link" and inner is not None:
            yield place, inner
        else:
            yield from _links_named(inner, place)


def _unknown_link(key: str, name: str, links: Sequence[str]) -> ConfigError:
    near = difflib.get_close_matches(name, links, n=1)
    fix = f"write {near[0]}" if near else "name one of them, or add it to [[links]]"
    problem = f"must be the name of a link: {', '.join(links)}"
    return ConfigError(key, repr(name), problem, fix)


def unknown_probes(
    key: str, schedule: ScheduleSection, probes: Collection[str]
) -> Iterator[ConfigError]:
    """Yield an error for each name in a schedule that is not one of `probes`."""
    for phase in Phase:
        for name in sorted(schedule.profile(phase).keys() - set(probes)):
            yield unknown_key(f"{key}.{phase}.{name}", probes)


def _allowance(key: str, section: AllowanceSection) -> Iterator[ConfigError]:
    """Compare the reserve for voting hours with the limits that it is part of."""
    reserve, key = section.voting_reserve, f"{key}.voting_reserve"
    found, fix = size_text(reserve), f"edit {key}"
    if reserve and section.monthly is None:
        yield ConfigError(key, found, "needs a monthly limit", "set monthly as well")
    for name in ("monthly", "daily"):
        limit = getattr(section, name)
        if limit is not None and reserve > limit:
            problem = f"must be at most {name}, which is {size_text(limit)}"
            yield ConfigError(key, found, problem, fix)


def _throughput(key: str, section: ThroughputSection) -> Iterator[ConfigError]:
    for backend, name in (("http", "server"), ("iperf3", "iperf3_server")):
        if backend in section.order() and section.server_of(backend) is None:
            problem = f"is missing, but backends contains {backend}"
            fix = f"set {name}, or remove {backend} from backends"
            yield ConfigError(f"{key}.{name}", None, problem, fix)


def _calendar(name: str | None) -> Iterator[ConfigError]:
    """Check the calendar now, so that no error appears on the voting day."""
    try:
        calendar_file.named(name)
    except InvalidConfigError as error:
        for fault in error.faults:
            if fault.key == str(calendar_file.find(str(name))):
                key = "election.calendar"
                yield ConfigError(key, repr(name), fault.problem, fault.fix)
            else:
                yield replace(fault, key=f"{name}: {fault.key}")
