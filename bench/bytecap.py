"""The byte limit of throughput tests, compared with the interface counter.

`python -m bench.bytecap [--ours] [--busy N] [--direction down|up]` measures with limits
too small for precision, on links of several speeds. `--busy` keeps every core busy with
N loops. The laboratory reads the counter outside of the client, after the test. The
excess is compared with the bytes of one loaded round trip.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from bench.busy import busy
from bench.target import target
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape

_LINKS = tuple(product((2.0, 10.0, 50.0), (0.0, 40.0, 100.0)))
# Limits in seconds of the link's rate, and the number of runs.
_LIMITS_S = {"http": (0.4, 1.5), "iperf3": (1.5,)}
_RUNS = {"http": 3, "iperf3": 1}
_BUFFER_MS = 50.0


@dataclass(frozen=True, slots=True)
class Row:
    """One test and its excess over the limit. The bound is one loaded round trip."""

    backend: str
    rate_mbps: float
    delay_ms: float
    direction: str
    limit_bytes: int
    excess_bytes: int
    stop: str

    @property
    def flight_bytes(self) -> float:
        """Return the bytes in flight during a round trip with a full buffer."""
        return self.rate_mbps * 1e6 / 8 * (self.delay_ms + _BUFFER_MS) / 1e3


def main(arguments: Sequence[str] = ()) -> int:
    """Measure, print each test and then a summary."""
    options = _arguments(arguments)
    print("backend   Mbit/s   ms dir    limit B   excess B  flight B  stop")
    rows: list[Row] = []
    with busy(options.busy * (os.cpu_count() or 1)):
        for rate_mbps, delay_ms in _LINKS:
            shape = Shape(rate_mbps=rate_mbps, delay_ms=delay_ms, ipv6=False)
            with Lab(shape) as lab, target(lab) as url:
                servers = (
                    {"http": url} if options.ours else {"http": url, "iperf3": SERVER}
                )
                for row in _rows(lab, shape, servers, options.direction):
                    _print(row)
                    rows.append(row)
    for backend, direction in product(_LIMITS_S, ("down", "up")):
        group = [r for r in rows if (r.backend, r.direction) == (backend, direction)]
        if not group:
            continue
        worst = max(r.excess_bytes / r.flight_bytes for r in group)
        used = min(1 + r.excess_bytes / r.limit_bytes for r in group)
        exceeded = sum(r.excess_bytes > r.flight_bytes for r in group)
        print(
            f"{backend:8} {direction:4}: worst excess {worst:+.2f} round trips,"
            f" {exceeded} of {len(group)} above one, at least {used:.0%} used"
        )
    return 0


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.bytecap")
    parser.add_argument("--ours", action="store_true", help="Leave out iperf3.")
    parser.add_argument("--busy", type=int, default=0, help="Loops on each core.")
    parser.add_argument(
        "--direction", nargs="+", default=("down", "up"), help="Directions to measure."
    )
    return parser.parse_args(arguments)


def _rows(
    lab: Lab, shape: Shape, servers: dict[str, str], directions: Sequence[str]
) -> Iterator[Row]:
    rate_mbps = shape.rate_mbps or 0.0
    for backend, server in servers.items():
        for direction, limit_s in product(directions, _LIMITS_S[backend]):
            limit_bytes = int(rate_mbps * 1e6 / 8 * limit_s)
            for _ in range(_RUNS[backend]):
                values = _row(lab, backend, server, direction, limit_bytes)
                yield Row(backend, rate_mbps, shape.delay_ms, *values)


def _row(
    lab: Lab, backend: str, server: str, direction: str, limit_bytes: int
) -> tuple[str, int, int, str]:
    order = {
        "backend": backend,
        "interface": "eth0",
        "server": server,
        "limits": {direction: limit_bytes},
        "time_limit_s": 30,
        "tolerance": 1e-6,
    }
    before_bytes = _moved(lab)
    argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
    fields = json.loads(lab.run(argv).stdout)[direction]
    time.sleep(0.5)
    excess_bytes = _moved(lab) - before_bytes - limit_bytes
    return direction, limit_bytes, excess_bytes, fields.get("stop") or fields["cause"]


def _moved(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def _print(row: Row) -> None:
    print(
        f"{row.backend:8} {row.rate_mbps:7g} {row.delay_ms:4g} {row.direction:4}"
        f" {row.limit_bytes:9} {row.excess_bytes:+10} {row.flight_bytes:9.0f}"
        f"  {row.stop}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
