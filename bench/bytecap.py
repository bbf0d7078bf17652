"""The byte cap: how far the interface counter passes it, beside one round trip's worth.

`python -m bench.bytecap [--ours] [--busy N] [--direction down|up]`: caps too small for
precision, on links of several speeds; `--busy` keeps every core busy with N loops.
The counter is read by the laboratory, from outside the client, after all has ended.
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
# Caps as seconds of the link's rate, and runs of each.
_CAPS_S = {"http": (0.4, 1.5), "iperf3": (1.5,)}
_RUNS = {"http": 3, "iperf3": 1}
_BUFFER_MS = 50.0


@dataclass(frozen=True, slots=True)
class Row:
    """One test and what it moved beyond its cap; the bound is a loaded round trip."""

    backend: str
    rate_mbps: float
    delay_ms: float
    direction: str
    cap_bytes: int
    over_bytes: int
    stop: str

    @property
    def flight_bytes(self) -> float:
        """What one round trip through the full buffer holds."""
        return self.rate_mbps * 1e6 / 8 * (self.delay_ms + _BUFFER_MS) / 1e3


def main(arguments: Sequence[str] = ()) -> int:
    """Measure and print each, and the worst."""
    given = _arguments(arguments)
    print("backend   Mbit/s   ms dir      cap B     over B  flight B  stop")
    rows: list[Row] = []
    with busy(given.busy * (os.cpu_count() or 1)):
        for rate_mbps, delay_ms in _LINKS:
            shape = Shape(rate_mbps=rate_mbps, delay_ms=delay_ms, ipv6=False)
            with Lab(shape) as lab, target(lab) as url:
                servers = (
                    {"http": url} if given.ours else {"http": url, "iperf3": SERVER}
                )
                for row in _rows(lab, shape, servers, given.direction):
                    _print(row)
                    rows.append(row)
    for backend, direction in product(_CAPS_S, ("down", "up")):
        group = [r for r in rows if (r.backend, r.direction) == (backend, direction)]
        if not group:
            continue
        worst = max(r.over_bytes / r.flight_bytes for r in group)
        least = min(1 + r.over_bytes / r.cap_bytes for r in group)
        passed = sum(r.over_bytes > r.flight_bytes for r in group)
        print(
            f"{backend:8} {direction:4}: worst {worst:+.2f} of a round trip's worth,"
            f" {passed} of {len(group)} passed it, {least:.0%} used at least"
        )
    return 0


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.bytecap")
    parser.add_argument("--ours", action="store_true", help="leave out iperf3")
    parser.add_argument("--busy", type=int, default=0, help="loops on each core")
    parser.add_argument("--direction", nargs="+", default=("down", "up"))
    return parser.parse_args(arguments)


def _rows(
    lab: Lab, shape: Shape, servers: dict[str, str], directions: Sequence[str]
) -> Iterator[Row]:
    rate_mbps = shape.rate_mbps or 0.0
    for backend, server in servers.items():
        for direction, cap_s in product(directions, _CAPS_S[backend]):
            cap_bytes = int(rate_mbps * 1e6 / 8 * cap_s)
            for _ in range(_RUNS[backend]):
                found = _row(lab, backend, server, direction, cap_bytes)
                yield Row(backend, rate_mbps, shape.delay_ms, *found)


def _row(
    lab: Lab, backend: str, server: str, direction: str, cap_bytes: int
) -> tuple[str, int, int, str]:
    order = {
        "backend": backend,
        "interface": "eth0",
        "server": server,
        "limits": {direction: cap_bytes},
        "time_limit_s": 30,
        "tolerance": 1e-6,
    }
    before = _moved(lab)
    argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
    answer = json.loads(lab.run(argv).stdout)[direction]
    time.sleep(0.5)
    over = _moved(lab) - before - cap_bytes
    return direction, cap_bytes, over, answer.get("stop") or answer["cause"]


def _moved(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def _print(row: Row) -> None:
    print(
        f"{row.backend:8} {row.rate_mbps:7g} {row.delay_ms:4g} {row.direction:4}"
        f" {row.cap_bytes:9} {row.over_bytes:+10} {row.flight_bytes:9.0f}  {row.stop}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
