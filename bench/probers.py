"""Programs that measure delay and loss: the agent (ICMP, STAMP) and three others.

Each returns its round trips by sequence number, so that each can be compared with the
same packet on the wire.
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
"""Round trips in microseconds by sequence number, without unanswered packets."""

LINK = Link("main", "unknown", "eth0")
_ICMPLIB = """
import icmplib, json, sys
h = icmplib.ping(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
print(json.dumps([h.packets_sent, h.rtts]))
"""


@dataclass(frozen=True, slots=True)
class Count:
    """The parameters of a run."""

    probes: int
    spacing_s: float
    wait_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run: sent and received packets, and each round trip."""

    sent: int
    received: int
    trips: Trips
    wakes_lost: int = 0


Prober = Callable[[Lab, Count], Result]


def ours_raw(lab: Lab, count: Count) -> Result:
    """Run the agent with raw sockets only."""
    return _ours_icmp(lab, count, "1 0")


def ours_ping(lab: Lab, count: Count) -> Result:
    """Run the agent with a ping socket."""
    return _ours_icmp(lab, count, "0 2147483647")


def _ours_icmp(lab: Lab, count: Count, groups: str) -> Result:
    lab.run(["sysctl", "-qw", f"net.ipv4.ping_group_range={groups}"])

    def run() -> TrainRecord:
        with open_icmp(SERVER, LINK) as transport:
            return _train(count, transport)

    return _ours(lab.call("client", run))


def ours_stamp(lab: Lab, count: Count) -> Result:
    """Run the agent over STAMP with its own reflector."""

    def run() -> TrainRecord:
        with open_stamp(SERVER, stamp_packets.PORT, LINK, None) as transport:
            return _train(count, transport)

    return _ours(lab.call("client", run))


def _train(count: Count, transport: Transport) -> TrainRecord:
    spec = TrainSpec(count.probes, count.spacing_s, count.wait_s)
    limit_s = count.probes * count.spacing_s + 60
    return Train(spec, transport, TimeLeft(limit_s)).run()


def _ours(record: TrainRecord) -> Result:
    assert record.kernel_stamped()
    durations_ns = zip(record.trips, record.round_trips_ns(), strict=True)
    trips = {number: ns / 1e3 for number, ns in durations_ns if ns is not None}
    wakes_lost = int(record.wake_ns() is None)
    return Result(len(record.trips), len(trips), trips, wakes_lost)


def ping(lab: Lab, count: Count) -> Result:
    """Run ping of iputils."""
    command = (
        f"ping -n -c {count.probes} -i {count.spacing_s} -W {count.wait_s} {SERVER}"
    )
    output = lab.run(command.split(), check=False, timeout_s=300).stdout
    answered = re.findall(r"icmp_seq=(\d+) .*time=([\d.]+) ms", output)
    trips = {int(number): float(ms) * 1e3 for number, ms in answered}
    sent = re.search(r"(\d+) packets transmitted, (\d+) received", output)
    assert sent is not None, output
    return Result(int(sent[1]), int(sent[2]), trips)


def fping(lab: Lab, count: Count) -> Result:
    """Run fping with the same timeout."""
    command = f"fping -q -C {count.probes} -p {count.spacing_s * 1e3:.0f}"
    command += f" -t {count.wait_s * 1e3:.0f} {SERVER}"
    output = lab.run(command.split(), check=False, timeout_s=300).stderr
    listed = output.strip().splitlines()[-1].partition(" : ")[2].split()
    trips = {n: float(ms) * 1e3 for n, ms in enumerate(listed) if ms != "-"}
    return Result(len(listed), len(trips), trips)


def icmplib(lab: Lab, count: Count) -> Result:
    """Run ping of icmplib, which waits for an answer before it sends again."""
    numbers = [count.probes, count.spacing_s, count.wait_s]
    argv = [sys.executable, "-c", _ICMPLIB, SERVER, *map(str, numbers)]
    sent, durations_ms = json.loads(lab.run(argv, timeout_s=600).stdout)
    # icmplib does not name the lost packets. Without loss the list is in order.
    trips = {number: ms * 1e3 for number, ms in enumerate(durations_ms)}
    return Result(int(sent), len(durations_ms), trips)


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
    """Run the agent's reflector on the laboratory's server."""
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
    """Return the round trips on the wire, of echo or STAMP packets."""
    echoes = {echo.sequence: ns / 1e3 for echo, ns in round_trips_ns(packets).items()}
    return echoes or _stamp_trips(packets)


def _stamp_trips(packets: list[Packet]) -> Trips:
    sent: dict[int, int] = {}
    trips: Trips = {}
    for packet in packets:
        if packet.frame[23] != 17:
            continue
        source, target = struct.unpack_from("!HH", packet.frame, 34)
        if target == stamp_packets.PORT:
            sent[struct.unpack_from("!I", packet.frame, 42)[0]] = packet.at_ns
        elif source == stamp_packets.PORT:
            number = struct.unpack_from("!I", packet.frame, 42 + 24)[0]
            trips.setdefault(number, (packet.at_ns - sent[number]) / 1e3)
    return trips
