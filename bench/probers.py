"""Those who measure delay and loss: ours over ICMP and STAMP, and three peers.

Each gives its round trips by sequence number, so that every one of them can be laid
beside the same packet's on the wire.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qos_agent.model import Link
from qos_agent.probes.latency import stamp_packets
from qos_agent.probes.latency.icmp import open_icmp
from qos_agent.probes.latency.stamp_sender import open_stamp
from qos_agent.probes.latency.train import Train, TrainRecord, TrainSpec
from qos_agent.probes.latency.transport import Transport
from tests.lab.capture import Packet, round_trips_ns
from tests.lab.network import SERVER, Lab
from tests.probes.time_left import TimeLeft

Trips = dict[int, float]
"""Round trips in microseconds by sequence number; the unanswered are not in it."""

LINK = Link("main", "unknown", "eth0")
_ICMPLIB = """
import icmplib, json, sys
h = icmplib.ping(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
print(json.dumps([h.packets_sent, h.rtts]))
"""


@dataclass(frozen=True, slots=True)
class Count:
    """What a prober is asked for."""

    probes: int
    spacing_s: float
    wait_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a prober says: how many it sent and got, and each round trip."""

    sent: int
    received: int
    trips: Trips
    wakes_lost: int = 0


Prober = Callable[[Lab, Count], Answer]


def ours_raw(lab: Lab, count: Count) -> Answer:
    """The agent, where only raw sockets are allowed."""
    return _ours_icmp(lab, count, "1 0")


def ours_ping(lab: Lab, count: Count) -> Answer:
    """The agent, by a ping socket."""
    return _ours_icmp(lab, count, "0 2147483647")


def _ours_icmp(lab: Lab, count: Count, groups: str) -> Answer:
    lab.run(["sysctl", "-qw", f"net.ipv4.ping_group_range={groups}"])

    def run() -> TrainRecord:
        with open_icmp(SERVER, LINK) as transport:
            return _train(count, transport)

    return _ours(lab.call("client", run))


def ours_stamp(lab: Lab, count: Count) -> Answer:
    """The agent over STAMP, to its own reflector."""

    def run() -> TrainRecord:
        with open_stamp(SERVER, stamp_packets.PORT, LINK, None) as transport:
            return _train(count, transport)

    return _ours(lab.call("client", run))


def _train(count: Count, transport: Transport) -> TrainRecord:
    plan = TrainSpec(count.probes, count.spacing_s, count.wait_s)
    limit_s = count.probes * count.spacing_s + 60
    return Train(plan, transport, TimeLeft(limit_s)).run()


def _ours(record: TrainRecord) -> Answer:
    assert record.kernel_stamped()
    took = zip(record.trips, record.round_trips_ns(), strict=True)
    trips = {number: ns / 1e3 for number, ns in took if ns is not None}
    wakes_lost = int(record.wake_ns() is None)
    return Answer(len(record.trips), len(trips), trips, wakes_lost)


def ping(lab: Lab, count: Count) -> Answer:
    """iputils' ping."""
    words = f"ping -n -c {count.probes} -i {count.spacing_s} -W {count.wait_s} {SERVER}"
    said = lab.run(words.split(), check=False, timeout_s=300).stdout
    found = re.findall(r"icmp_seq=(\d+) .*time=([\d.]+) ms", said)
    trips = {int(number): float(ms) * 1e3 for number, ms in found}
    sent = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    assert sent is not None, said
    return Answer(int(sent[1]), int(sent[2]), trips)


def fping(lab: Lab, count: Count) -> Answer:
    """fping, with a timeout of its own so that it does not count in vain."""
    words = f"fping -q -C {count.probes} -p {count.spacing_s * 1e3:.0f}"
    words += f" -t {count.wait_s * 1e3:.0f} {SERVER}"
    said = lab.run(words.split(), check=False, timeout_s=300).stderr
    listed = said.strip().splitlines()[-1].partition(" : ")[2].split()
    trips = {n: float(ms) * 1e3 for n, ms in enumerate(listed) if ms != "-"}
    return Answer(len(listed), len(trips), trips)


def icmplib(lab: Lab, count: Count) -> Answer:
    """icmplib's ping, which waits for each answer before it sends the next."""
    numbers = [count.probes, count.spacing_s, count.wait_s]
    argv = [sys.executable, "-c", _ICMPLIB, SERVER, *map(str, numbers)]
    sent, took_ms = json.loads(lab.run(argv, timeout_s=600).stdout)
    # It does not say which were lost; without loss they are in order.
    trips = {number: ms * 1e3 for number, ms in enumerate(took_ms)}
    return Answer(int(sent), len(took_ms), trips)


PROBERS: dict[str, Prober] = {
    "ours, ping socket": ours_ping,
    "ours, raw socket": ours_raw,
    "ours, STAMP": ours_stamp,
    "ping": ping,
    "fping": fping,
    "icmplib": icmplib,
}


@contextmanager
def reflector(lab: Lab) -> Iterator[None]:
    """Our reflector on the laboratory's server, as the command runs it."""
    code = (
        "import typer; from qos_agent.cli.reflector import reflector as r; typer.run(r)"
    )
    argv = [sys.executable, "-c", code]
    process = lab.popen(argv, "server", stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield
    process.terminate()
    process.wait(5)


def on_the_wire(packets: list[Packet]) -> Trips:
    """The wire's own round trips, of echoes and of STAMP's packets."""
    echoes = {echo.sequence: ns / 1e3 for echo, ns in round_trips_ns(packets).items()}
    return echoes or _stamp_trips(packets)


def _stamp_trips(packets: list[Packet]) -> Trips:
    sent: dict[int, int] = {}
    took: Trips = {}
    for packet in packets:
        if packet.frame[23] != 17:
            continue
        source, target = struct.unpack_from("!HH", packet.frame, 34)
        if target == stamp_packets.PORT:
            sent[struct.unpack_from("!I", packet.frame, 42)[0]] = packet.at_ns
        elif source == stamp_packets.PORT:
            number = struct.unpack_from("!I", packet.frame, 42 + 24)[0]
            took.setdefault(number, (packet.at_ns - sent[number]) / 1e3)
    return took
