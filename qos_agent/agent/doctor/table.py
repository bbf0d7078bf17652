"""The list of all checks, in the order in which a problem explains a later one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from qos_agent.agent.doctor import (
    clock,
    collector,
    journal,
    link,
    modem,
    plan,
    runner,
    servers,
    service,
    software,
    storage,
)
from qos_agent.agent.doctor.check import Check, Row, bad, ok
from qos_agent.agent.doctor.collector import Delivery
from qos_agent.agent.doctor.subject import Subject
from qos_agent.model import Link


def diagnose(examined: Subject, limit_s: float = runner.LIMIT_S) -> list[Check]:
    """Run all checks and return their results, problems first.

    If the configuration has faults, what it would name is not checked.
    """
    return runner.run([*rows(examined)], limit_s)


def rows(s: Subject) -> Iterator[Row]:
    """Yield every check. `needs` names the checks that explain its failure."""
    delivery = Delivery(s.collector())
    storage_rows = ("disk", "card", "permissions")
    yield Row("configuration", partial(_configuration, s))
    yield Row("package", partial(software.package, s))
    yield Row("version", partial(software.version, s), ("package",))
    yield Row("disk", partial(storage.disk, s))
    yield Row("card", partial(storage.card, s))
    yield Row("permissions", partial(service.permissions, s))
    yield Row("journal", partial(journal.journal, s), storage_rows)
    yield Row("service", partial(service.state, s), ("configuration", "package"))
    yield Row("watchdog", partial(service.watchdog, s), ("service", *storage_rows))
    yield Row("probes", partial(service.probes, s))
    for each in s.settings.link_list():
        yield from _of_link(each, s)
    first = s.settings.uplink_link()
    parts = ("binding", "gateway", "targets", "names")
    network = tuple(f"{part} {first}" for part in parts)
    yield Row("clock", partial(clock.clock, s, delivery))
    if s.faults:
        return
    needs = ("configuration", *network, "clock")
    yield Row(
        "collector", partial(collector.collector, "collector", delivery, s), needs
    )
    if s.settings.fallback.url is not None:
        second = Delivery(s.settings.fallback)
        check = partial(collector.collector, "fallback", second, s)
        yield Row("fallback", check, needs)
    yield Row("calendar", partial(plan.calendar, s), ("clock",))
    yield Row("seal", partial(plan.seal, s), ("permissions",))


def _of_link(each: Link, s: Subject) -> Iterator[Row]:
    """Yield the checks of one link, from the modem to the servers."""
    modems = [*modem.rows(each, s)]
    yield from modems
    radio = tuple(row.name for row in modems)
    name = each.name
    binding, gateway, names = f"binding {name}", f"gateway {name}", f"names {name}"
    yield Row(binding, partial(link.binding, each, s), radio)
    yield Row(gateway, partial(link.gateway, each, s), (*radio, binding))
    path, targets = (*radio, binding, gateway), f"targets {name}"
    methods = {target.method for target in s.settings.target_list()}
    if methods - {"stamp"} and not s.faults:
        yield Row(targets, partial(link.targets, each, s), ("probes", *path))
    yield Row(names, partial(link.names, each, s), (*path, targets))
    if s.faults:
        return
    reach = (*path, targets, names)
    if "stamp" in methods:
        yield Row(f"reflector {name}", partial(link.reflectors, each, s), reach)
    yield Row(f"throughput {name}", partial(servers.throughput, each, s), reach)
    yield Row(f"allowance {name}", partial(plan.allowance, name, s), ("clock",))


def _configuration(s: Subject) -> Check:
    if s.faults:
        first = s.faults[0]
        found = f" (found: {first.found})" if first.found is not None else ""
        problem = f"{first.key}: {first.problem}{found}"
        if len(s.faults) == 1:
            text = "{problem}"
        else:
            text = "{problem}; errors in total: {count}"
        values = {"problem": problem, "count": len(s.faults), "fix": first.fix}
        return bad("configuration", text, "{fix}", **values)
    return ok("configuration", "station {station}", station=s.settings.station.id)
