"""Every precondition of measuring, each with the command that mends it.

A check answers for one thing, in about two seconds at most, and changes nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from qos_agent.config.settings import Settings
from qos_agent.model import Clock, Link
from qos_agent.model.errors import ProbeError
from qos_agent.model.units import size_text
from qos_agent.probes.throughput import BACKENDS
from qos_agent.system import network
from qos_agent.system.clock import SystemClock, TaskDeadline

_LEAST_FREE_BYTES = 200_000_000
_LONGEST_S = 2.0


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    DEGRADED = "degraded"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One precondition: what was found, and the command that mends it."""

    name: str
    health: Health
    found: str
    mend: str = ""


def diagnose(settings: Settings, clock: SystemClock) -> Iterator[Check]:
    """All checks, one after the other."""
    yield Check("configuration", Health.OK, f"station {settings.station.id}")
    yield _probes()
    for link in settings.link_list():
        yield _binding(link)
        yield _gateway(link)
        yield _names(link, clock)
        yield _throughput(link, settings)
    yield _clock(clock)
    yield _collector(settings)
    yield _disk(settings.journal.folder)


def _probes() -> Check:
    """A ping socket, or a raw one: icmp(7)."""
    found = []
    for name, kind in (("ping socket", socket.SOCK_DGRAM), ("raw", socket.SOCK_RAW)):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
            found.append(name)
        except OSError:
            continue
    if found:
        return Check("probes", Health.OK, " and ".join(found))
    mend = "sudo sysctl -w net.ipv4.ping_group_range='0 2147483647'"
    return Check("probes", Health.BAD, "neither a ping nor a raw socket", mend)


def _binding(link: Link) -> Check:
    name = f"binding {link.name}"
    interface = network.interface_of(link)
    if interface is None:
        return Check(name, Health.BAD, "no interface", "ip link; ip route")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            network.bind(sock, link, "127.0.0.1")
        network.interface_bytes(interface)
    except ProbeError as error:
        return Check(name, Health.BAD, str(error), f"ip link show {interface}")
    return Check(name, Health.OK, interface)


def _gateway(link: Link) -> Check:
    name = f"gateway {link.name}"
    route = network.default_route(network.interface_of(link))
    if route is None:
        return Check(name, Health.BAD, "no default route", "ip route")
    return Check(
        name, Health.OK, f"{route.gateway or 'point to point'} by {route.interface}"
    )


def _names(link: Link, clock: Clock) -> Check:
    """A resolver that answers anything answers for the root's name servers."""
    name = f"names {link.name}"
    servers = network.resolvers()
    if not servers:
        return Check(name, Health.BAD, "no resolver", "cat /etc/resolv.conf")
    end_ns = clock.boot_ns() + int(_LONGEST_S * 1e9)
    deadline = TaskDeadline(clock, end_ns, threading.Event())
    try:
        found = network.resolve("a.root-servers.net", link, deadline)
    except ProbeError as error:
        return Check(name, Health.BAD, str(error), "resolvectl status")
    return Check(name, Health.OK, f"{', '.join(servers)} answered {found}")


def _throughput(link: Link, settings: Settings) -> Check:
    """By what it is measured, under which terms; iperf3 is a program of its own."""
    name = f"throughput {link.name}"
    servers = settings.throughput_of(link.name)
    order = servers.order()
    said = [f"{backend} ({BACKENDS[backend].licence})" for backend in order]
    found = ", then ".join(said)
    if "iperf3" not in order or shutil.which("iperf3") is not None:
        return Check(name, Health.OK, found)
    health = Health.DEGRADED if len(order) > 1 else Health.BAD
    mend = "sudo apt-get install iperf3"
    return Check(name, health, f"{found}; iperf3 is not installed", mend)


def _clock(clock: SystemClock) -> Check:
    state = clock.state()
    mend = "timedatectl set-ntp true"
    if not state.trusted:
        return Check("clock", Health.BAD, "the clock is in the past", mend)
    if not state.synced:
        return Check("clock", Health.DEGRADED, "nothing disciplines the clock", mend)
    return Check("clock", Health.OK, f"synchronised, within {state.error_ms:.0f} ms")


def _collector(settings: Settings) -> Check:
    url = settings.collector.url
    if url is None:
        mend = "qos-agent config init; then set collector.url"
        return Check("collector", Health.DEGRADED, "none configured", mend)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=_LONGEST_S).close()
    except OSError as error:
        return Check("collector", Health.BAD, f"{url}: {error}", f"curl -v {url}/ping")
    return Check("collector", Health.OK, f"{url} answers")


def _disk(folder: Path) -> Check:
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    found = f"{folder}: {size_text(free)} free"
    if not os.access(there, os.W_OK):
        mend = f"sudo chown {os.getuid()} {there}"
        return Check("disk", Health.BAD, f"{there} cannot be written", mend)
    if free < _LEAST_FREE_BYTES:
        return Check("disk", Health.DEGRADED, found, f"df -h {there}")
    return Check("disk", Health.OK, found)
