"""Backend `iperf3`: the regulator's iperf3 server, by the iperf3 program.

One run for each direction, bounded in bytes by iperf3 itself, in time by timeout(1),
whose interrupt makes iperf3 print what it has measured so far.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from qos_agent.model import Deadline, Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.backend import Direction, Order, Rate, Results
from qos_agent.probes.throughput.interface_counter import InterfaceCounter, guard
from qos_agent.system.child_process import ChildResult, Watch, run_child
from qos_agent.system.network import bind, resolve

_PORT = 5201
_TIME_LIMIT_S = 10.0
# The end of a test takes some exchanges; then a child that hangs is killed.
_GRACE_S = 4.0
_OUTPUT_LIMIT_BYTES = 2_000_000
# Headers and acknowledgements, and what is under way when iperf3 has counted enough.
_WIRE_PER_PAYLOAD = 1.1
_IN_FLIGHT_BYTES = 100_000
# iperf3's own words, in its source file iperf_error.c, and what they mean.
_CAUSES = (
    ("busy", "busy"),
    ("refused", "refused"),
    ("timed out", "timeout"),
    ("timeout", "timeout"),
    ("no route to host", "unreachable"),
    ("network is unreachable", "no_route"),
    ("permission", "permission"),
    ("not permitted", "permission"),
    ("reset by peer", "reset"),
    ("closed unexpectedly", "closed_early"),
    ("control message", "version"),
    ("parameters", "version"),
    ("cookie", "version"),
    ("results", "version"),
)


@dataclass(frozen=True, slots=True)
class Iperf3:
    """TCP in both directions, the receiver's figures."""

    program: str = "iperf3"

    name = "iperf3"
    licence = "iperf3: BSD-3-Clause; the server is one's own"
    data_use = "the download and upload limits in full, however sure the rate is"
    byte_bound = (
        "iperf3 is told the bytes; what one round trip has in flight may pass them;"
        " it is killed when the interface counter passes the limit"
    )
    cannot_see = (
        "the start-up is part of the mean; an upload cut short by time counts what"
        " the kernel took, so it reads high; no interval, no loaded round trip"
    )

    def run(self, order: Order, deadline: Deadline) -> Results:
        """Down, then up, each by a child of its own."""
        if order.server is None:
            raise ProbeError("name_not_resolved", "no server is configured")
        if shutil.which(self.program) is None:
            raise ProbeError("missing_tool", self.program)
        host, _, port = order.server.partition(":")
        address = resolve(host, order.link, deadline)
        _check_binding(order.link, address)
        results: dict[Direction, Rate | ProbeError] = {}
        for direction in order.limits:
            argv = self._argv(direction, order, address, int(port or _PORT))
            try:
                results[direction] = _measure(direction, order, argv, deadline)
            except ProbeError as error:
                results[direction] = error
        return results

    def _argv(
        self, direction: Direction, order: Order, address: str, port: int
    ) -> list[str]:
        room_bytes = max(order.limits[direction] - _IN_FLIGHT_BYTES, _IN_FLIGHT_BYTES)
        payload_bytes = int(room_bytes / _WIRE_PER_PAYLOAD)
        share_s = order.time_limit_s / len(order.limits)
        cut_s = min(_TIME_LIMIT_S, max(share_s / 2, share_s - _GRACE_S))
        command = ["timeout", "--signal=INT", "--preserve-status", f"{cut_s:.1f}"]
        command += [self.program, "--json", "--client", address, "--port", str(port)]
        command += ["--parallel", str(order.connections), "--connect-timeout", "4000"]
        command += ["--bytes", str(payload_bytes)]
        if direction == "down":
            command.append("--reverse")
        return command + _binding(order.link)


def _check_binding(link: Link | None, address: str) -> None:
    """Let the kernel say whether the link can be used, as for our own sockets."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        bind(sock, link, address)


def _binding(link: Link | None) -> list[str]:
    options = []
    if link is not None and link.interface is not None:
        options += ["--bind-dev", link.interface]
    if link is not None and link.source_address is not None:
        options += ["--bind", link.source_address]
    return options


def _measure(
    direction: Direction, order: Order, argv: list[str], deadline: Deadline
) -> Rate:
    with ExitStack() as stack:
        meter = None
        if order.interface is not None:
            meter = stack.enter_context(InterfaceCounter(order.interface))
        result = _run(argv, order, guard(meter, order.limits[direction], deadline))
        data_bytes = None if meter is None else meter.moved()
    return _rate(_answer(result), str(order.server), data_bytes)


def _run(argv: list[str], order: Order, watch: Watch) -> ChildResult:
    return run_child(
        argv,
        timeout_s=order.time_limit_s / len(order.limits),
        output_limit_bytes=_OUTPUT_LIMIT_BYTES,
        watch=watch,
        # A foreign program sees nothing of ours; its words must be English.
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )


def _answer(result: ChildResult) -> dict[str, Any]:
    """What it printed. iperf3 tells its errors in JSON and with status 1."""
    failure = result.failure()
    if failure is not None and failure.cause != "child_exit":
        raise failure
    try:
        answer = json.loads(result.stdout)
    except ValueError as error:
        raise failure or ProbeError("child_output", str(error)) from error
    if not isinstance(answer, dict):
        raise ProbeError("child_output", "not an object")
    return answer


def _rate(answer: dict[str, Any], server: str, data_bytes: int | None) -> Rate:
    said = str(answer.get("error", ""))
    cut = "interrupt" in said
    if said and not cut:
        raise ProbeError(_cause(said), said[:200])
    try:
        end = answer["end"]
        # Until both ends have compared notes only the sender's count is there.
        received = end["sum_received"]
        total = received if received["bytes"] else end["sum_sent"]
        moved, span_s = int(total["bytes"]), float(total["seconds"])
        if moved <= 0 or span_s <= 0:
            raise ProbeError("stalled", "iperf3 moved nothing")
        return Rate(
            rate_bps=moved * 8 / span_s,
            layer="application",
            stop="time" if cut else "bytes",
            measured_bytes=moved,
            measured_us=round(span_s * 1e6),
            connections=int(answer["start"]["test_start"]["num_streams"]),
            server=server,
            congestion_control=end.get("sender_tcp_congestion"),
            cpu_share=float(end["cpu_utilization_percent"]["host_total"]) / 100,
            data_bytes=data_bytes,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProbeError("version", f"no {error} in iperf3's answer") from error


def _cause(said: str) -> str:
    lower = said.lower()
    return next((cause for words, cause in _CAUSES if words in lower), "bad_answer")
