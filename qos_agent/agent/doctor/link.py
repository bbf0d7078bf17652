"""Checks of a link: interface, gateway, names and targets."""

from __future__ import annotations

import fcntl
import socket
import struct
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shlex import quote

from qos_agent.agent.doctor import runner
from qos_agent.agent.doctor.check import Check, Health, Row, bad, ok, warn
from qos_agent.agent.doctor.edit import replace_text
from qos_agent.agent.doctor.subject import Subject
from qos_agent.model import Layer, Link, Target, Task
from qos_agent.model.errors import NotMeasuredError, ProbeError
from qos_agent.probes.latency.probe import Latency
from qos_agent.probes.latency.train import TrainSpec
from qos_agent.system import network
from qos_agent.system.clock import SystemClock, TaskDeadline
from qos_agent.system.files import read_text
from qos_agent.system.machine import interface_addresses

ROOT = Path("/")
# netdevice(7): a structure of 40 bytes with the name, then the flags.
_SIOCGIFFLAGS, _IFREQ_BYTES, _IFF_UP = 0x8913, 40, 0x1
_RESOLVE_S = 8.0
_TARGET_S = 12.0
# The root zone's name server resolves at every working resolver.
_KNOWN_NAME = "a.root-servers.net"
_PUBLIC_RESOLVER = "1.1.1.1"
_NO_NAME = "name_not_resolved"
_PACKETS, _SPACING_S = 3, 0.2
_NO_INTERNET = (
    "check the balance and the APN of the SIM; the network may ask for a login"
)
_NO_INTERNET_BEYOND = (
    "check the connection of the router behind {interface}, and its SIM if it has one; "
    "the network may ask for a login"
)
# Names that the kernel and systemd.net-naming-scheme(7) give to modems.
_MODEM_NAMES = ("ww", "ppp", "rmnet", "cdc")
# A file that exists while a program configures the interfaces, and the command with
# which it configures one again. After a reboot the program does the same by itself.
_MANAGERS = (
    ("run/NetworkManager", "sudo nmcli device connect {interface}"),
    (
        "run/systemd/netif/links/{index}",
        "sudo networkctl up {interface} && sudo networkctl reconfigure {interface}",
    ),
    ("run/dhcpcd", "sudo systemctl restart dhcpcd"),
    ("run/network/ifstate", "sudo ifup --force {interface}"),
)


def deadline_after(clock: SystemClock, seconds: float) -> TaskDeadline:
    """Return the deadline of a check."""
    end_ns = clock.boot_ns() + int(seconds * 1e9)
    return TaskDeadline(clock, end_ns, threading.Event())


def has_modem(link: Link, subject: Subject) -> bool:
    """Return True if the settings or the interface's name show a modem."""
    named = {modem.link for modem in subject.settings.signal.modems}
    interface = network.interface_of(link) or ""
    return link.name in named or interface.startswith(_MODEM_NAMES)


def binding(link: Link, subject: Subject) -> Check:
    """Check that the interface exists, is up, and that sockets can be bound to it."""
    name = f"binding {link.name}"
    interface = network.interface_of(link)
    if interface is None:
        return bad(
            name, "no interface has a default route", "{fix}", fix=_plug_in(link)
        )
    if not _exists(interface):
        return _missing(name, interface, subject)
    if is_down(interface):
        text = "{interface} is down"
        fix = reconnect(interface)
        return bad(name, text, "{fix}", interface=interface, fix=fix)
    try:
        _bind(link)
        network.interface_count(interface)
    except ProbeError as error:
        fix = reconnect(interface)
        return bad(
            name,
            "{interface}: {error}",
            "{fix}",
            interface=interface,
            error=error,
            fix=fix,
        )
    return ok(name, "{interface}", interface=interface)


def _exists(interface: str) -> bool:
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True


def _missing(name: str, interface: str, subject: Subject) -> Check:
    """Name the interfaces that exist. If only one can replace it, the fix uses it."""
    others = [found for found in interface_addresses() if found != "lo"]
    values = {"interface": interface, "others": ", ".join(others) or "-"}
    text = "there is no interface {interface}; this device has: {others}"
    route = network.default_route()
    other = route.interface if route is not None else None
    if other is None and len(others) == 1:
        other = others[0]
    if other is None or subject.file is None:
        advice = "plug in the modem or the cable of {interface}"
        return bad(name, text, advice, **values)
    fix = replace_text(subject.file, interface, other)
    text += ". Plug in its modem or cable; if it has another name now, change the name"
    return bad(name, text, "{fix}", fix=fix, **values)


def _plug_in(link: Link) -> str:
    """Return the command that connects the interface again, if there is one."""
    names = [name for name in interface_addresses() if name != "lo"]
    interface = link.interface or (names[0] if len(names) == 1 else None)
    if interface is None:
        return "plug in the modem or the cable"
    return reconnect(interface)


def is_down(interface: str, root: Path = ROOT) -> bool:
    """Return True if the interface is switched off or has no carrier.

    The file `operstate` follows a change after up to a second, `carrier` at once.
    """
    request = interface.encode()[:15].ljust(_IFREQ_BYTES, b"\0")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, request)
    except OSError:
        return False
    (flags,) = struct.unpack_from("H", answer, 16)
    if not flags & _IFF_UP:
        return True
    return (read_text(root / f"sys/class/net/{interface}/carrier") or "").strip() == "0"


def reconnect(interface: str, root: Path = ROOT) -> str:
    """Return the command that lets the interface be configured again."""
    index = (read_text(root / f"sys/class/net/{interface}/ifindex") or "").strip()
    for path, command in _MANAGERS:
        if (root / path.format(index=index)).exists():
            return command.format(interface=quote(interface))
    file = quote(f"/etc/systemd/network/90-{interface}.network")
    return (
        f"printf '[Match]\\nName=%s\\n[Network]\\nDHCP=yes\\n' {quote(interface)} | "
        f"sudo tee {file} && sudo systemctl enable --now systemd-networkd"
    )


def _bind(link: Link) -> None:
    """Bind a socket as a probe does, in an IP version that the link has a route for."""
    version = (*network.routed_versions(link), 4)[0]
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        network.bind(sock, link, network.BEYOND[version])


def gateway(link: Link, subject: Subject) -> Check:
    """Check that the link has a default route."""
    name = f"gateway {link.name}"
    interface = network.interface_of(link)
    route = network.default_route(interface)
    if route is None:
        text = "no default route: no address from the network"
        if has_modem(link, subject):
            text += ", or no data package"
        return bad(name, text, "{fix}", fix=_plug_in(link))
    if not route.gateway:
        return ok(name, "point-to-point on {interface}", interface=route.interface)
    text = "{gateway} through {interface}"
    return ok(name, text, gateway=route.gateway, interface=route.interface)


def names(link: Link, subject: Subject) -> Check:
    """Check that the resolvers return an address for a name that always exists.

    The result names the resolvers of the link, and the file or command they are from.
    """
    name = f"names {link.name}"
    known = network.resolvers_of(link)
    if not known.servers:
        return bad(name, "no resolver", "{fix}", fix=resolver_fix())
    resolvers = f"{', '.join(known.servers)} ({known.source})"
    try:
        deadline = deadline_after(subject.clock, _RESOLVE_S)
        address = network.resolve(_KNOWN_NAME, link, deadline)
    except ProbeError as error:
        text = "{error}; resolvers: {resolvers}"
        fix = resolver_fix()
        return bad(name, text, "{fix}", error=error, resolvers=resolvers, fix=fix)
    values = {"resolvers": resolvers, "address": address}
    if not known.outside:
        return ok(name, "{resolvers} returned {address}", **values)
    text = (
        "{resolvers} returned {address}; this forwarder is on the device, so it is not "
        "measured"
    )
    interface = network.interface_of(link) or "-"
    advice = "name the resolvers of {interface} in the program that configures it"
    return warn(name, text, advice, interface=interface, **values)


def resolver_fix(root: Path = ROOT) -> str:
    """Return the command that sets a public resolver until someone changes it."""
    if (root / "run/systemd/resolve").exists():
        folder = "/etc/systemd/resolved.conf.d"
        return (
            f"sudo mkdir -p {folder} && printf '[Resolve]\\nDNS={_PUBLIC_RESOLVER}\\n' "
            f"| sudo tee {folder}/qos-agent.conf && sudo systemctl restart "
            "systemd-resolved"
        )
    if (root / "run/NetworkManager").exists():
        return (
            f"printf '[global-dns-domain-*]\\nservers={_PUBLIC_RESOLVER}\\n' | "
            "sudo tee /etc/NetworkManager/conf.d/qos-agent.conf && "
            "sudo systemctl reload NetworkManager"
        )
    return f"echo 'nameserver {_PUBLIC_RESOLVER}' | sudo tee /etc/resolv.conf"


def targets(link: Link, subject: Subject) -> Check:
    """Check that the targets answer. Reflectors have a check of their own."""
    found = [t for t in subject.settings.target_list() if t.method != "stamp"]
    return _answers(f"targets {link.name}", found, link, subject)


def reflectors(link: Link, subject: Subject) -> Check:
    """Check that the STAMP reflectors answer, with the key of this device."""
    found = [t for t in subject.settings.target_list() if t.method == "stamp"]
    return _answers(f"reflector {link.name}", found, link, subject)


def _answers(
    name: str, wanted: Sequence[Target], link: Link, subject: Subject
) -> Check:
    rows = [Row(t.name, partial(_answer, t, link, subject)) for t in wanted]
    actions = {row.name: partial(runner.checked, row) for row in rows}
    checks = dict(runner.results(actions, _TARGET_S))
    silent = [t for t in wanted if not _is_ok(checks.get(t.name))]
    values = {
        "answered": _listed(wanted, checks, Health.OK),
        "silent": _listed(silent, checks, Health.BAD),
    }
    if not silent:
        return ok(name, "{answered}", **values)
    if wanted[0].method == "stamp":
        advice = "start the reflector: systemctl enable --now qos-agent-reflector"
        return bad(name, "no answer: {silent}", advice, **values)
    if all(_cause(checks, target) == _NO_NAME for target in silent):
        advice = "fix the DNS first, or name the targets by address"
        return warn(name, "no answer: {silent}", advice, **values)
    if all(target.layer is Layer.GATEWAY for target in wanted if target not in silent):
        if has_modem(link, subject):
            return bad(name, "no answer: {silent}", _NO_INTERNET, **values)
        values["interface"] = network.interface_of(link) or "-"
        return bad(name, "no answer: {silent}", _NO_INTERNET_BEYOND, **values)
    advice = "nothing on this device: other targets answer"
    return warn(name, "no answer: {silent}; answered: {answered}", advice, **values)


def _cause(checks: dict[str, Check], target: Target) -> str:
    return checks[target.name].result if target.name in checks else "timeout"


def _is_ok(check: Check | None) -> bool:
    return check is not None and check.health is Health.OK


def _listed(wanted: Sequence[Target], checks: dict[str, Check], health: Health) -> str:
    """Return the targets of one health, each with its result."""
    parts = [
        f"{target.name} {_cause(checks, target)}".strip()
        for target in wanted
        if _is_ok(checks.get(target.name)) is (health is Health.OK)
    ]
    return ", ".join(parts) or "-"


def _answer(target: Target, link: Link, subject: Subject) -> Check:
    """Measure one short train to a target."""
    key = subject.settings.latency.stamp_key_file
    probe = Latency(TrainSpec(_PACKETS, _SPACING_S), key)
    task = Task("latency", subject.clock.boot_ns(), link, target)
    try:
        result = probe.measure(task, deadline_after(subject.clock, _TARGET_S))
    except NotMeasuredError:
        return ok(target.name, "")
    except ProbeError as error:
        return bad(target.name, "{error}", "", error=error.cause)
    fields = result.samples[0].fields
    rtt_ms = fields.get("rtt_p50_ms", fields.get("tcp_rtt_p50_ms"))
    if result.cause is not None or rtt_ms is None:
        return bad(target.name, "{error}", "", error=result.cause or "timeout")
    return ok(target.name, "{rtt} ms", rtt=f"{float(rtt_ms):.1f}")
