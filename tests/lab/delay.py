"""The delay of the laboratory: packets take a detour through the router.

Policy routes send the packets of each direction over their own detour. After it they
follow the ordinary routes and the rate limit. The detour is a veth pair with netem if
the kernel has netem, else a TUN device served by `relay.c`. A variable capacity always
needs the relay. The detours are in the router, so that timestamps and captures in the
client include the whole delay.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab.namespace import LabError, Namespace, command
from tests.lab.shape import DIRECTIONS, Direction, Shape

SOURCE = Path(__file__).with_name("relay.c")
INCOMING: dict[Direction, str] = {"forward": "client", "back": "server"}
TABLES: dict[Direction, int] = {"forward": 101, "back": 102}
# More packets than 200 Mbit/s sends in half a second.
QUEUE_PACKETS = 20_000
# Addresses that only the static neighbours of the detours use.
NEXT_HOPS = {"-4": "169.254.77.1", "-6": "fe80::77:1"}

Families = Sequence[str]
Start = Callable[[Sequence[str]], subprocess.Popen[bytes]]


def has_netem(router: Namespace) -> bool:
    """Return True if this kernel can delay packets with netem."""
    try:
        command(router.argv(["tc", "qdisc", "add", "dev", "lo", "root", "netem"]))
    except LabError:
        return False
    command(router.argv(["tc", "qdisc", "del", "dev", "lo", "root"]))
    return True


def install(router: Namespace, shape: Shape, folder: Path, start: Start) -> None:
    """Build the detours of both directions; `start` runs the relays."""
    traced = any(map(shape.trace_of, DIRECTIONS))
    with_netem = not traced and has_netem(router)
    families = ("-4", "-6") if shape.ipv6 else ("-4",)
    for direction in DIRECTIONS:
        if with_netem:
            qdisc = f"netem delay {shape.delay_ms / 2}ms limit {QUEUE_PACKETS}"
            make_pair(router, direction, families, qdisc.split())
        else:
            device = _make_relay(router, direction, shape, folder, start)
            for family in families:
                _route(router, direction, family, f"default dev {device}")


def make_pair(
    router: Namespace, direction: Direction, families: Families, qdisc: Sequence[str]
) -> None:
    """Build a detour over a veth pair with `qdisc` at its entry."""
    way_in, way_out = f"in-{direction}", f"out-{direction}"
    end = f"02:00:00:00:77:{TABLES[direction]:02x}"
    router.ip(
        f"link add {way_in} type veth peer name {way_out} address {end}",
        f"link set {way_in} up",
        f"link set {way_out} up",
    )
    for device in (way_in, way_out):
        disable_offloads(router, device)
    command(router.argv(["tc", "qdisc", "add", "dev", way_in, "root", *qdisc]))
    for family in families:
        hop = f"{NEXT_HOPS[family]} dev {way_in}"
        router.ip(f"neigh add {hop} lladdr {end} nud permanent", family=family)
        _route(router, direction, family, f"default via {hop} onlink")


def disable_offloads(namespace: Namespace, device: str) -> None:
    """Disable offloads, so that tbf, loss and captures handle real frames."""
    features = ["tso", "off", "gso", "off", "gro", "off"]
    command(namespace.argv(["ethtool", "-K", device, *features]))
    _accept_any_path(namespace, device)


def relay_program() -> Path:
    """Compile the relay if this version of its source was not compiled before."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"qos-lab-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    program = folder / f"relay-{digest}"
    if not program.exists():
        temporary = folder / f"relay-{os.getpid()}-{os.urandom(3).hex()}"
        command(["cc", "-O2", "-o", str(temporary), str(SOURCE)])
        # Other test runs may compile it too; all results are equal.
        temporary.replace(program)
    return program


def has_compiler() -> bool:
    """Return True if the relay can be compiled."""
    return shutil.which("cc") is not None


def log_path(folder: Path, direction: Direction) -> Path:
    """Return the file in which the relay logs a direction's trace."""
    return folder / f"log-{direction}"


def _relay_arguments(shape: Shape, direction: Direction, folder: Path) -> list[str]:
    arguments = [str(round(shape.delay_ms * 1000 / 2))]
    moments = shape.trace_of(direction)
    if moments is None:
        return arguments
    trace, log = folder / f"trace-{direction}", log_path(folder, direction)
    trace.write_text("".join(f"{at_ms}\n" for at_ms in moments))
    return [*arguments, str(trace), str(shape.queue_bytes(direction)), str(log)]


def _make_relay(
    router: Namespace, direction: Direction, shape: Shape, folder: Path, start: Start
) -> str:
    device = f"tun-{direction}"
    arguments = _relay_arguments(shape, direction, folder)
    process = start(router.argv([str(relay_program()), device, *arguments]))
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        raise LabError(f"the relay of {device} did not start")
    router.ip(f"link set {device} up txqueuelen {QUEUE_PACKETS}")
    _accept_any_path(router, device)
    return device


def _route(router: Namespace, direction: Direction, family: str, route: str) -> None:
    table = TABLES[direction]
    router.ip(
        f"route add {route} table {table}",
        f"rule add iif {INCOMING[direction]} lookup {table}",
        family=family,
    )


def _accept_any_path(namespace: Namespace, device: str) -> None:
    """Accept packets with another return path, which every detour has."""
    namespace.write_sysctls({f"ipv4/conf/{device}/rp_filter": 0})
