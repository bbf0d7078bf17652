"""Backend `speedtest`: speedtest-cli in a child process with limits from outside.

speedtest-cli chooses its own sizes and threads and cannot be interrupted. Therefore
this module chooses sizes and counts beforehand. It kills the child at the end of its
time, or when the interface has moved what the order allows.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from qos_agent.model import Deadline, json_text
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema.codes import CAUSES
from qos_agent.probes.throughput.backend import (
    Direction,
    Order,
    Rate,
    Results,
    check_payload,
)
from qos_agent.probes.throughput.interface_counter import counter_of, guard
from qos_agent.system.child_process import run_child

# The files of every speedtest server, random<width>x<width>.jpg, and their bytes.
_DOWNLOADS = {
    350: 245_388,
    500: 505_544,
    750: 1_118_012,
    1000: 1_986_284,
    1500: 4_468_241,
    2000: 7_907_740,
    2500: 12_407_926,
    3000: 17_816_816,
    3500: 24_262_167,
    4000: 31_625_365,
}
_UPLOADS = {size: size for size in (32_768, 65_536, 131_072, 262_144, 524_288)}
# The overhead of headers, acknowledgements and TLS. The list of servers is fetched
# before the download.
_WIRE_PER_PAYLOAD = 1.1
_LIST_BYTES = 500_000
_OUTPUT_LIMIT_BYTES = 20_000
# The choice of a server takes some requests. The directions share the remaining time.
_SETUP_S = 10.0
_MIN_LENGTH_S = 2.0


@dataclass(frozen=True, slots=True)
class SpeedtestSpec:
    """The parameters of the child, as JSON on its standard input."""

    server: str | None
    interface: str | None
    link: Mapping[str, str | None] | None
    download_widths: tuple[int, ...]
    upload_sizes: tuple[int, ...]
    payload_bytes: Mapping[Direction, int]
    length_s: float
    secure: bool


@dataclass(frozen=True, slots=True)
class Speedtest:
    """The servers of speedtest.net, or with `server` your own (Speedtest Mini).

    `child` is the command that measures, and `environment` its environment variables.
    With `secure`, requests to speedtest.net use TLS, because it sometimes refuses plain
    HTTP.
    """

    child: tuple[str, ...] = (
        sys.executable,
        "-m",
        "qos_agent.probes.throughput.speedtest_child",
    )
    environment: Mapping[str, str] | None = None
    secure: bool = True

    name = "speedtest"
    licence = "speedtest-cli: Apache-2.0. Ookla's servers: Ookla's terms of use"
    data_use = (
        "Up to the download and upload limits, including a list of servers (0.5 MB)."
    )
    byte_bound = (
        "File sizes and counts are chosen to fit the limits. The child process is"
        " killed when the interface counter exceeds them. The counter is checked every"
        " 50 ms."
    )
    cannot_see = (
        "The start-up is part of the mean. Uploads count what the kernel accepted, not"
        " what arrived, so slow uploads read high. There is no interval and no round"
        " trip under load. An upload that the server rejects or breaks off may count as"
        " sent."
    )

    def run(self, order: Order, deadline: Deadline) -> Results:
        """Measure both directions in one child, so that it fetches the list once."""
        spec = _spec(order, self.secure)
        with counter_of(order.interface) as counter:
            result = run_child(
                self.child,
                timeout_s=min(order.time_limit_s, deadline.remaining_s()),
                output_limit_bytes=_OUTPUT_LIMIT_BYTES,
                stdin=json.dumps(asdict(spec)).encode(),
                watch=guard(counter, order.byte_limit, deadline),
                env=self.environment,
            )
        if (failure := result.failure()) is not None:
            raise failure
        return _results(result.stdout, order)


def _spec(order: Order, secure: bool) -> SpeedtestSpec:
    link = order.link
    down = (order.limits.get("down", 0) - _LIST_BYTES) / _WIRE_PER_PAYLOAD
    up = order.limits.get("up", 0) / _WIRE_PER_PAYLOAD
    time_left_s = order.time_limit_s - _SETUP_S
    widths = _fitting(_DOWNLOADS, int(down), at_least=4)
    sizes = _fitting(_UPLOADS, int(up), at_least=8)
    return SpeedtestSpec(
        server=order.server,
        interface=order.interface,
        link=asdict(link) if link is not None else None,
        download_widths=widths,
        upload_sizes=sizes,
        payload_bytes={"down": sum(_DOWNLOADS[w] for w in widths), "up": sum(sizes)},
        length_s=max(_MIN_LENGTH_S, time_left_s / max(1, len(order.limits))),
        secure=secure,
    )


def _fitting(
    sizes: Mapping[int, int], room_bytes: int, at_least: int
) -> tuple[int, ...]:
    """Return the largest size that fits `at_least` times, as often as it fits."""
    fitting = [name for name, size in sizes.items() if size * at_least <= room_bytes]
    chosen = max(fitting, default=min(sizes))
    return (chosen,) * (room_bytes // sizes[chosen])


def _results(text: bytes, order: Order) -> Results:
    """Return the results in the child's JSON.

    Raises ProbeError `child_output` for any other output.
    """
    try:
        report = json_text.loads(text)
        outside = bool(report.get("resolve_outside"))
        results = {d: _direction(report[d], report["server"]) for d in order.limits}
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
    ) as error:
        detail = f"{type(error).__name__}: {text[:100].decode(errors='replace')!r}"
        raise ProbeError("child_output", detail) from error
    return {
        direction: result
        if isinstance(result, ProbeError)
        else replace(result, resolved_outside=outside)
        for direction, result in results.items()
    }


def _direction(report: Mapping[str, object], server: object) -> Rate | ProbeError:
    if "cause" in report:
        cause = str(report["cause"])
        cause = cause if cause in CAUSES else "child_output"
        return ProbeError(cause, str(report.get("detail", ""))[:200])
    numbers = {name: float(str(report[name])) for name in _NUMBERS}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a number is not finite")
    try:
        check_payload(numbers["payload_bytes"], numbers["elapsed_s"])
    except ProbeError as error:
        return error
    data_bytes = report.get("data_bytes")
    return Rate(
        rate_bps=numbers["payload_bytes"] * 8 / numbers["elapsed_s"],
        layer="application",
        stop="time" if report["cut"] else "complete",
        measured_bytes=int(numbers["payload_bytes"]),
        measured_us=int(numbers["elapsed_s"] * 1e6),
        connections=int(numbers["threads"]),
        server=str(server),
        cpu_share=numbers["cpu_s"] / numbers["elapsed_s"],
        data_bytes=None if data_bytes is None else int(str(data_bytes)),
    )


_NUMBERS = ("payload_bytes", "elapsed_s", "threads", "cpu_s")
