"""Backend `iperf3`: the program iperf3 against the regulator's iperf3 server.

There is one run per direction. iperf3 itself limits the bytes, and timeout(1) limits
the time: its SIGINT makes iperf3 print what it has measured so far.
"""

from __future__ import annotations

import math
import socket
from dataclasses import dataclass, replace
from typing import Any

from qos_agent.model import Deadline, Link, json_text
from qos_agent.model.addresses import split_host_port
from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.backend import (
    Direction,
    Order,
    Rate,
    Results,
    check_payload,
)
from qos_agent.probes.throughput.interface_counter import counter_of, guard
from qos_agent.system.child_process import ChildResult, Watch, program, run_child
from qos_agent.system.network import addresses_to_try, bind, look_up

_PORT = 5201
_TIME_LIMIT_S = 10.0
# A test ends with a few exchanges. After this time a hanging child is killed.
_GRACE_S = 4.0
_OUTPUT_LIMIT_BYTES = 2_000_000
# Headers and acknowledgements, and the data on the way when iperf3 stops counting.
_WIRE_PER_PAYLOAD: dict[Direction, float] = {
    "down": 1.1,
    # Several flows that start in a deep drop-tail queue send a part of their data
    # twice, and the interface counts both.
    "up": 1.35,
}
_IN_FLIGHT_BYTES = 100_000
# Parts of the messages in iperf3's source file iperf_error.c, and their causes.
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
# The causes for which the server's address of the other IP version is tried.
_UNREACHED = {"refused", "timeout", "unreachable", "no_route"}


@dataclass(frozen=True, slots=True)
class Iperf3:
    """TCP in both directions, with the figures of the receiver."""

    program: str = "iperf3"

    name = "iperf3"
    licence = "iperf3: BSD-3-Clause. You run the server"
    data_use = "The download and upload limits in full, however precise the rate is."
    byte_bound = (
        "iperf3 receives the byte limit as an option. What one round trip has in flight"
        " may exceed it. The process is killed when the interface counter exceeds the"
        " limit."
    )
    cannot_see = (
        "The start-up is part of the mean. An upload cut short by time counts what the"
        " kernel accepted, so it reads high. There is no interval and no round trip"
        " under load."
    )

    def run(self, order: Order, deadline: Deadline) -> Results:
        """Measure down, then up, each with one child process."""
        if order.server is None:
            raise ProbeError("name_not_resolved", "no server is configured")
        program(self.program)
        host, port = split_host_port(order.server)
        resolved = look_up(host, order.link, deadline)
        first: Results = {}
        for address in addresses_to_try(host, resolved.address, order.link, deadline):
            results = self._results(order, address, port or _PORT, deadline)
            first = first or results
            if not _unreached(results):
                first = results
                break
        return {
            direction: result
            if isinstance(result, ProbeError)
            else replace(result, resolved_outside=resolved.outside)
            for direction, result in first.items()
        }

    def _results(
        self, order: Order, address: str, port: int, deadline: Deadline
    ) -> Results:
        _check_binding(order.link, address)
        results: dict[Direction, Rate | ProbeError] = {}
        for direction in order.limits:
            argv = self._argv(direction, order, address, port)
            try:
                results[direction] = _measure(direction, order, argv, deadline)
            except ProbeError as error:
                results[direction] = error
        return results

    def _argv(
        self, direction: Direction, order: Order, address: str, port: int
    ) -> list[str]:
        room_bytes = max(order.limits[direction] - _IN_FLIGHT_BYTES, _IN_FLIGHT_BYTES)
        payload_bytes = int(room_bytes / _WIRE_PER_PAYLOAD[direction])
        share_s = order.time_limit_s / len(order.limits)
        cut_s = min(_TIME_LIMIT_S, max(share_s / 2, share_s - _GRACE_S))
        command = ["timeout", "--signal=INT", "--preserve-status", f"{cut_s:.1f}"]
        command += [program(self.program), "--json", f"--client={address}"]
        command += ["--port", str(port)]
        command += ["--parallel", str(order.connections), "--connect-timeout", "4000"]
        command += ["--bytes", str(payload_bytes)]
        if direction == "down":
            command.append("--reverse")
        return command + _binding(order.link)


def _check_binding(link: Link | None, address: str) -> None:
    """Raise ProbeError if the kernel does not bind a socket to the link."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        bind(sock, link, address)


def _unreached(results: Results) -> bool:
    """Return True if no direction reached the server."""
    return all(
        isinstance(result, ProbeError) and result.cause in _UNREACHED
        for result in results.values()
    )


def _binding(link: Link | None) -> list[str]:
    options = []
    if link is not None and link.interface is not None:
        options.append(f"--bind-dev={link.interface}")
    if link is not None and link.source_address is not None:
        options.append(f"--bind={link.source_address}")
    return options


def _measure(
    direction: Direction, order: Order, argv: list[str], deadline: Deadline
) -> Rate:
    with counter_of(order.interface) as counter:
        result = _run(argv, order, guard(counter, order.limits[direction], deadline))
        data_bytes = None if counter is None else counter.moved()
    return _rate(_report(result), str(order.server), data_bytes)


def _run(argv: list[str], order: Order, watch: Watch) -> ChildResult:
    return run_child(
        argv,
        timeout_s=order.time_limit_s / len(order.limits),
        output_limit_bytes=_OUTPUT_LIMIT_BYTES,
        watch=watch,
    )


def _report(result: ChildResult) -> dict[str, Any]:
    """Return the JSON that iperf3 printed; it reports errors in JSON and status 1."""
    failure = result.failure()
    if failure is not None and failure.cause != "child_exit":
        raise failure
    try:
        report = json_text.loads(result.stdout)
    except ValueError as error:
        raise failure or ProbeError("child_output", str(error)) from error
    if not isinstance(report, dict):
        raise ProbeError("child_output", "not a JSON object")
    return report


def _rate(report: dict[str, Any], server: str, data_bytes: int | None) -> Rate:
    message = str(report.get("error", ""))
    cut = "interrupt" in message
    if message and not cut:
        raise ProbeError(_cause(message), message[:200])
    try:
        end = report["end"]
        # Before both ends exchange results, only the sender's count is available.
        received = end["sum_received"]
        total = received if received["bytes"] else end["sum_sent"]
        moved, span_s = int(total["bytes"]), float(total["seconds"])
        check_payload(moved if span_s > 0 else 0, span_s)
        return Rate(
            rate_bps=moved * 8 / span_s,
            layer="application",
            stop="time" if cut else "bytes",
            measured_bytes=moved,
            measured_us=round(span_s * 1e6),
            connections=int(report["start"]["test_start"]["num_streams"]),
            server=server,
            congestion_control=_text(end.get("sender_tcp_congestion")),
            cpu_share=_share(end["cpu_utilization_percent"]["host_total"]),
            data_bytes=data_bytes,
        )
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise ProbeError("version", f"no {error} in the output of iperf3") from error


def _share(percent: float) -> float | None:
    """Return a percentage as a share; iperf3 prints NaN for a test of no length."""
    return percent / 100 if math.isfinite(percent) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _cause(message: str) -> str:
    lower = message.lower()
    return next((cause for part, cause in _CAUSES if part in lower), "bad_answer")
