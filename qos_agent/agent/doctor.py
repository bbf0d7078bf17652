"""Checks of everything that measuring needs, each with the command that fixes it.

A check looks at one thing, takes about two seconds at most and changes nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from qos_agent.config.faults import masked
from qos_agent.config.settings import Settings
from qos_agent.evidence import keys
from qos_agent.model import Clock, Link
from qos_agent.model.addresses import host_in
from qos_agent.model.errors import ProbeError, SigningError
from qos_agent.model.units import size_text
from qos_agent.probes.throughput import BACKENDS
from qos_agent.system import network
from qos_agent.system.clock import SystemClock, TaskDeadline
from qos_agent.system.files import may_exist
from qos_agent.system.supervision import Supervisor

_MIN_FREE_BYTES = 200_000_000
_TIMEOUT_S = 2.0
# The root zone's name server resolves at every working resolver.
_KNOWN_NAME = "a.root-servers.net"


class Health(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    DEGRADED = "degraded"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its result, and the command that fixes or shows the problem.

    `text` is the English result. Its placeholders are filled in with `values`, so that
    it can be translated.
    """

    name: str
    health: Health
    text: str
    fix: str = ""
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """The result in English."""
        return self.text.format(**self.values) if self.values else self.text


def diagnose(settings: Settings, clock: SystemClock) -> Iterator[Check]:
    """Run all checks, one after the other.

    An unexpected exception of a check is its result, and the others run.
    """
    supervisor = Supervisor()
    for name, run in _checks(settings, clock):
        results: list[Check] = []
        error = supervisor.call(name, partial(_append, results, run))
        if error is not None:
            values = {"error": f"{type(error).__name__}: {error}"}
            text = "internal error (bug): {error}"
            results = [Check(name, Health.BAD, text, values=values)]
        yield from results


def _append(results: list[Check], run: Callable[[], Check]) -> None:
    results.append(run())


def _checks(
    settings: Settings, clock: SystemClock
) -> Iterator[tuple[str, Callable[[], Check]]]:
    """Yield the name and the function of each check."""
    station = _ok("configuration", "station {station}", station=settings.station.id)
    yield "configuration", lambda: station
    yield "probes", _probes
    for link in settings.link_list():
        yield f"binding {link.name}", partial(_binding, link)
        yield f"gateway {link.name}", partial(_gateway, link)
        yield f"names {link.name}", partial(_names, link, clock)
        yield f"throughput {link.name}", partial(_throughput, link, settings)
    yield "clock", partial(_clock, clock)
    yield "collector", partial(_collector, settings)
    yield "seal", partial(_seal, settings.journal.folder)
    yield "disk", partial(_disk, settings.journal.folder)


def _ok(name: str, text: str, **values: object) -> Check:
    return Check(name, Health.OK, text, values=values)


def _probes() -> Check:
    """Check that a ping socket or a raw socket can be opened, see icmp(7)."""
    ping, raw = _opens_icmp(socket.SOCK_DGRAM), _opens_icmp(socket.SOCK_RAW)
    if ping and raw:
        return _ok("probes", "ICMP over a ping socket or a raw socket")
    if ping:
        return _ok("probes", "ICMP over a ping socket")
    if raw:
        return _ok("probes", "ICMP over a raw socket")
    fix = "sudo sysctl -w net.ipv4.ping_group_range='0 2147483647'"
    return Check("probes", Health.BAD, "neither a ping nor a raw socket", fix)


def _opens_icmp(kind: int) -> bool:
    try:
        socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


def _binding(link: Link) -> Check:
    name = f"binding {link.name}"
    interface = network.interface_of(link)
    if interface is None:
        return Check(name, Health.BAD, "no interface", "ip link; ip route")
    try:
        _bind(link)
        network.interface_count(interface)
    except ProbeError as error:
        return Check(name, Health.BAD, str(error), f"ip link show {interface}")
    return Check(name, Health.OK, interface)


def _bind(link: Link) -> None:
    """Bind a socket as a probe does, in an IP version that the link has a route for."""
    version = (*network.routed_versions(link), 4)[0]
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        network.bind(sock, link, network.BEYOND[version])


def _gateway(link: Link) -> Check:
    name = f"gateway {link.name}"
    route = network.default_route(network.interface_of(link))
    if route is None:
        return Check(name, Health.BAD, "no default route", "ip route")
    if not route.gateway:
        return _ok(name, "point-to-point on {interface}", interface=route.interface)
    text = "{gateway} through {interface}"
    return _ok(name, text, gateway=route.gateway, interface=route.interface)


def _names(link: Link, clock: Clock) -> Check:
    """Check that the resolvers return an address for a name that always exists.

    The result names the resolvers of the link, and the file or command they are from.
    """
    name = f"names {link.name}"
    known = network.resolvers_of(link)
    if not known.servers:
        return Check(name, Health.BAD, "no resolver", "cat /etc/resolv.conf")
    resolvers = f"{', '.join(known.servers)} ({known.source})"
    end_ns = clock.boot_ns() + int(_TIMEOUT_S * 1e9)
    deadline = TaskDeadline(clock, end_ns, threading.Event())
    try:
        address = network.resolve(_KNOWN_NAME, link, deadline)
    except ProbeError as error:
        text = "{error}; resolvers: {resolvers}"
        values = {"error": error, "resolvers": resolvers}
        return Check(name, Health.BAD, text, "resolvectl status", values)
    values = {"resolvers": resolvers, "address": address}
    if not known.outside:
        return _ok(name, "{resolvers} returned {address}", **values)
    text = (
        "{resolvers} returned {address}; this forwarder is on the device, so it is not "
        "measured"
    )
    fix = f"resolvectl dns {network.interface_of(link)}; cat /etc/resolv.conf"
    return Check(name, Health.DEGRADED, text, fix, values)


def _throughput(link: Link, settings: Settings) -> Check:
    """Name the backends and their licences, and check that iperf3 is installed."""
    name = f"throughput {link.name}"
    order = settings.throughput_of(link.name).order()
    backends = ", ".join(
        f"{backend} ({BACKENDS[backend].licence})" for backend in order
    )
    if "iperf3" not in order or shutil.which("iperf3") is not None:
        return Check(name, Health.OK, backends)
    health = Health.DEGRADED if len(order) > 1 else Health.BAD
    text, fix = "{backends}; iperf3 is not installed", "sudo apt-get install iperf3"
    return Check(name, health, text, fix, {"backends": backends})


def _clock(clock: SystemClock) -> Check:
    state = clock.state()
    fix = "timedatectl set-ntp true"
    if (reason := clock.doubt()) is not None:
        return Check("clock", Health.BAD, reason, fix)
    if not state.synced:
        text = "the clock is not synchronised to a time server"
        return Check("clock", Health.DEGRADED, text, fix)
    error_ms = f"{state.error_ms:.0f}"
    return _ok("clock", "synchronised, within {error_ms} ms", error_ms=error_ms)


def _collector(settings: Settings) -> Check:
    url = settings.collector.url
    if url is None:
        fix = "qos-agent config init; then set collector.url"
        return Check("collector", Health.DEGRADED, "none configured", fix)
    if settings.collector.exposes_token():
        return _exposed(settings.collector.insecure)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host_in(url), port), timeout=_TIMEOUT_S).close()
    except OSError as error:
        shown = masked(url)
        fix = f"curl -v {shown}/ping"
        return Check("collector", Health.BAD, f"{shown}: {error}", fix)
    return _ok("collector", "{url} accepts connections", url=masked(url))


def _exposed(insecure: bool) -> Check:
    """Report a token that plain HTTP would show to the network."""
    fix = "set collector.url to https://..., or collector.insecure = true"
    if not insecure:
        text = "delivery waits: the token is not sent over plain HTTP"
        return Check("collector", Health.BAD, text, fix)
    text = "collector.insecure: the token is sent over plain HTTP"
    return Check("collector", Health.DEGRADED, text, "set collector.url to https://...")


def _seal(folder: Path) -> Check:
    """Check that the device key can sign, which needs openssl."""
    try:
        signer = keys.load_signer(keys.key_path(folder, os.environ))
        if signer is None:
            text = "not sealed: there is no device key"
            return Check("seal", Health.DEGRADED, text, "qos-agent enrol --self")
        signer.sign(b"qos-agent doctor\n")
    except SigningError as error:
        problem, _, fix = str(error).partition(" Fix: ")
        values = {"reason": problem}
        return Check("seal", Health.BAD, "not sealed: {reason}", fix, values)
    return _ok("seal", "sealed with key {key}", key=signer.public_key.fingerprint)


def _disk(folder: Path) -> Check:
    existing = next(p for p in (folder, *folder.absolute().parents) if may_exist(p))
    if not os.access(existing, os.W_OK):
        fix = f"sudo chown {os.getuid()} {existing}"
        path = {"path": existing}
        return Check("disk", Health.BAD, "{path} is not writable", fix, path)
    try:
        free_bytes = shutil.disk_usage(existing).free
    except OSError as error:
        return Check("disk", Health.BAD, f"{folder}: {error}", f"ls -ld {existing}")
    text = "{folder}: {size} free"
    values = {"folder": folder, "size": size_text(free_bytes)}
    if free_bytes < _MIN_FREE_BYTES:
        return Check("disk", Health.DEGRADED, text, f"df -h {existing}", values)
    return _ok("disk", text, **values)
