"""Processor seconds per Gbit, ours and the peers'.

`python -m bench.cpu`: over a virtual cable that carries single frames, as the
laboratory's do, and over one that joins them, as network cards do; then with TLS.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.target import certificate, target
from tests.lab.network import DEVICES, SERVER, WHERES, Lab
from tests.lab.shape import Shape

_RUNS = 5
_RATE_MBPS = 500.0
_LIMIT_BYTES = 300_000_000


def main() -> int:
    """Measure and print the medians."""
    print("cable     who         dir    CPU s/Gbit   Mbit/s   runs")
    with Lab(Shape(rate_mbps=_RATE_MBPS, ipv6=False)) as lab, target(lab) as url:
        _cable(lab, url, "frames")
    with (
        tempfile.TemporaryDirectory(prefix="qos-cpu-") as folder,
        Lab(Shape(ipv6=False)) as lab,
        target(lab, pem=certificate(Path(folder))) as url,
    ):
        for where in WHERES:
            for device in DEVICES[where]:
                join = f"ethtool -K {device} tso on gso on gro on"
                lab.run(join.split(), where)
        _cable(lab, url, "joined")
        for direction in ("down", "up"):
            order = _order("http", url.replace("http:", "https:"), direction)
            order["ca_file"] = f"{folder}/pem"
            _row(lab, "joined+TLS", "http", order)
    return 0


def _cable(lab: Lab, url: str, cable: str) -> None:
    for who, server in (("http", url), ("iperf3", SERVER)):
        for direction in ("down", "up"):
            _row(lab, cable, who, _order(who, server, direction))
    _ten(lab, cable, url)


def _order(who: str, server: str, direction: str) -> dict[str, object]:
    return {
        "backend": who,
        "interface": "eth0",
        "server": server,
        "limits": {direction: _LIMIT_BYTES},
        "time_limit_s": 14,
        "tolerance": 1e-6,
    }


def _row(lab: Lab, cable: str, who: str, order: dict[str, object]) -> None:
    found = []
    for _ in range(_RUNS):
        argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
        ((direction, fields),) = json.loads(lab.run(argv).stdout).items()
        if "cause" in fields:
            print("FAILED", cable, who, direction, fields)
            return
        cpu_s = fields["cpu_share"] * fields["measured_us"] / 1e6
        found.append((cpu_s / _gbit(fields["measured_bytes"]), fields["rate_bps"]))
    _print(cable, who, direction, found)


def _ten(lab: Lab, cable: str, url: str) -> None:
    """urllib, four threads, ten seconds: user and system time of the process."""
    found = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        argv = lab.argv([sys.executable, "-m", "bench.peers", "ten", url, "down"])
        ran = subprocess.run(argv, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rate_bps = json.loads(ran.stdout)
        found.append((cpu_s / (rate_bps * 10 / 1e9), rate_bps))
    _print(cable, "urllib", "down", found)


def _gbit(size_bytes: float) -> float:
    return size_bytes * 8 / 1e9


def _print(
    cable: str, who: str, direction: str, found: list[tuple[float, float]]
) -> None:
    cost = statistics.median(cost for cost, _ in found)
    rate = statistics.median(rate for _, rate in found) / 1e6
    print(
        f"{cable:10} {who:10}  {direction:4} {cost:12.3f} {rate:8.0f} {len(found):6}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
