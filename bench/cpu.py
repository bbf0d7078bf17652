"""Processor seconds per Gbit, ours and the peers', over an unshaped virtual cable.

`python -m bench.cpu`: rates here are limited by the processor, not by the link.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys

from bench.target import target
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape

_RUNS = 5
_RATE_MBPS = 500.0


def main() -> int:
    """Measure and print the medians."""
    print("who         dir    CPU s/Gbit   Mbit/s   runs")
    with Lab(Shape(rate_mbps=_RATE_MBPS, ipv6=False)) as lab, target(lab) as url:
        for who, server in (("http", url), ("iperf3", SERVER)):
            for direction in ("down", "up"):
                _row(lab, who, server, direction)
        _ten(lab, url)
    return 0


def _row(lab: Lab, who: str, server: str, direction: str) -> None:
    order = {
        "backend": who,
        "interface": "eth0",
        "server": server,
        "limits": {direction: 300_000_000},
        "time_limit_s": 14,
        "tolerance": 1e-6,
    }
    found = []
    for _ in range(_RUNS):
        argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
        fields = json.loads(lab.run(argv).stdout)[direction]
        cpu_s = fields["cpu_share"] * fields["measured_us"] / 1e6
        found.append((cpu_s / _gbit(fields["measured_bytes"]), fields["rate_bps"]))
    _print(who, direction, found)


def _ten(lab: Lab, url: str) -> None:
    """urllib, four threads, ten seconds: user and system time of the process."""
    found = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        argv = lab.argv([sys.executable, "-m", "bench.peers", "ten", url])
        ran = subprocess.run(argv, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rate_bps = json.loads(ran.stdout)["down"]
        found.append((cpu_s / (rate_bps * 10 / 1e9), rate_bps))
    _print("urllib", "down", found)


def _gbit(size_bytes: float) -> float:
    return size_bytes * 8 / 1e9


def _print(who: str, direction: str, found: list[tuple[float, float]]) -> None:
    cost = statistics.median(cost for cost, _ in found)
    rate = statistics.median(rate for _, rate in found) / 1e6
    print(
        f"{who:10}  {direction:4} {cost:12.3f} {rate:8.0f} {len(found):6}", flush=True
    )


if __name__ == "__main__":
    raise SystemExit(main())
