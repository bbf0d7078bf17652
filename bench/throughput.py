"""Throughput on constant links, ours and the peers', beside the truth.

`python -m bench.throughput [--ours] [--held-out] [RATE,DELAY,CC ...]`: Mbit/s, ms round
trip, cubic or bbr. `--held-out` takes links that nothing was tuned on, `--ours` leaves
the peers out.
Truth is the shaped Ethernet rate x 1448/1514, TCP payload over IPv4 with time stamps.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from bench.target import target
from tests.lab.network import SERVER, Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape

_RUNS = 5
_TEN_SECONDS_S = 10
_GRID = [
    *product((2.0, 10.0, 50.0), (0.0, 40.0, 100.0), ("cubic", "bbr")),
    (1.0, 40.0, "cubic"),
    (1.0, 100.0, "cubic"),
]
_HELD_OUT = list(product((5.0, 20.0, 30.0), (20.0, 60.0, 80.0), ("cubic",)))
# The peers take a minute a cell; they are measured beside us with this one.
_WITH_PEERS = "cubic"


@dataclass(frozen=True, slots=True)
class Cell:
    """One link."""

    rate_mbps: float
    delay_ms: float
    congestion_control: str

    @property
    def truth_bps(self) -> float:
        """What TCP can carry."""
        return self.rate_mbps * 1e6 * TCP_PAYLOAD_SHARE

    @property
    def ten_seconds_bytes(self) -> float:
        """What a ten-second test moves."""
        return self.rate_mbps * 1e6 / 8 * _TEN_SECONDS_S


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one direction: error and data, in per cent."""

    cell: Cell
    who: str
    direction: str
    error: float
    data: float | None = None
    note: str = ""


def main() -> int:
    """Measure every cell, print each as it comes and all together at the end."""
    options = {text for text in sys.argv[1:] if text.startswith("--")}
    cells = [_cell(text) for text in sys.argv[1:] if text not in options]
    cells = cells or [
        Cell(*link) for link in (_HELD_OUT if "--held-out" in options else _GRID)
    ]
    samples: list[Sample] = []
    print(f"{'Mbit/s':>6} {'ms':>4} cc     who        dir   error %  data %  runs")
    for cell in cells:
        found = list(_measured(cell, peers="--ours" not in options))
        samples += found
        _print_cell(found)
    _print_all(samples)
    return 0


def _cell(text: str) -> Cell:
    rate, delay, control = text.split(",")
    return Cell(float(rate), float(delay), control)


def _measured(cell: Cell, *, peers: bool) -> Iterator[Sample]:
    shape = Shape(rate_mbps=cell.rate_mbps, delay_ms=cell.delay_ms, ipv6=False)
    with Lab(shape) as lab, target(lab, cell.congestion_control) as url:
        _even_out(lab, cell)
        for _ in range(_RUNS):
            yield from _ours(lab, url, cell)
        if not peers or cell.congestion_control != _WITH_PEERS:
            return
        for direction, options in (("down", ["-R"]), ("up", [])):
            yield from _iperf3(lab, cell, direction, options)
        for who in ("ten", "speedtest"):
            yield from _peer(lab, url, cell, who)


def _even_out(lab: Lab, cell: Cell) -> None:
    """Let the shaper make up for 10 ms without a processor: others share it."""
    rate_bps = round(cell.rate_mbps * 1e6)
    burst_bytes = max(3028, rate_bps // 800)
    for device in ("client", "server"):
        limit = f"tbf rate {rate_bps}bit burst {burst_bytes} latency 50ms"
        command = ["tc", "qdisc", "replace", "dev", device, "root", *limit.split()]
        lab.run(command, "router")


def _ours(lab: Lab, url: str, cell: Cell) -> Iterator[Sample]:
    limit = int(cell.ten_seconds_bytes)
    order = {
        "backend": "http",
        "interface": "eth0",
        "server": url,
        "limits": {"down": limit, "up": limit},
        "time_limit_s": 30,
    }
    argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
    for direction, fields in json.loads(lab.run(argv).stdout).items():
        if "cause" in fields:
            print("FAILED", cell, direction, fields)
            continue
        error = (fields["rate_bps"] / cell.truth_bps - 1) * 100
        data = fields["data_bytes"] / cell.ten_seconds_bytes * 100
        inside = fields.get("rate_low_bps", 0) <= cell.truth_bps
        inside = inside and cell.truth_bps <= fields.get("rate_high_bps", 0)
        note = f"{fields['stop']} {'covers' if inside else 'misses'}"
        yield Sample(cell, "ours", direction, error, data, note)


def _iperf3(
    lab: Lab, cell: Cell, direction: str, options: list[str]
) -> Iterator[Sample]:
    argv = ["iperf3", "-J", "-c", SERVER, "-t", str(_TEN_SECONDS_S), *options]
    answer = json.loads(lab.run(argv, check=False).stdout)
    if "error" in answer:
        print("FAILED iperf3", cell, answer["error"])
        return
    for end in ("received", "sent"):
        rate_bps = answer["end"][f"sum_{end}"]["bits_per_second"]
        error = (rate_bps / cell.truth_bps - 1) * 100
        yield Sample(cell, f"iperf3 {end[:4]}", direction, error, 100.0)


def _peer(lab: Lab, url: str, cell: Cell, who: str) -> Iterator[Sample]:
    try:
        ran = lab.run([sys.executable, "-m", "bench.peers", who, url], timeout_s=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
        print("FAILED", who, cell, failure)
        return
    for direction, rate_bps in json.loads(ran.stdout).items():
        error = (rate_bps / cell.truth_bps - 1) * 100
        yield Sample(cell, who, direction, error, 100.0)


def _print_cell(samples: Iterable[Sample]) -> None:
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.who, sample.direction), []).append(sample)
    for (who, direction), group in groups.items():
        cell = group[0].cell
        errors = [s.error for s in group]
        data = statistics.median(s.data or 0.0 for s in group)
        each = " ".join(f"{e:+.2f}" for e in errors)
        print(
            f"{cell.rate_mbps:6g} {cell.delay_ms:4g} {cell.congestion_control:6}"
            f" {who:10} {direction:4} {statistics.median(errors):+8.2f} {data:7.1f}"
            f"  {each}",
            flush=True,
        )


def _print_all(samples: list[Sample]) -> None:
    print(
        "\nall cells: |error| % median, 95th percentile, worst; data % median; samples"
    )
    for low, high, name in (
        (0, 40, "up to 40 ms"),
        (41, 99, "60, 80 ms"),
        (100, 100, "100 ms"),
    ):
        chosen = [s for s in samples if low <= s.cell.delay_ms <= high]
        for who in sorted({s.who for s in chosen}):
            for direction in ("down", "up"):
                _print_row(
                    name,
                    who,
                    [s for s in chosen if (s.who, s.direction) == (who, direction)],
                )


def _print_row(name: str, who: str, group: list[Sample]) -> None:
    if not group:
        return
    errors = sorted(abs(s.error) for s in group)
    p95 = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
    data = statistics.median(s.data or 0.0 for s in group)
    covers = sum("covers" in s.note for s in group)
    coverage = f"  interval covers {covers}/{len(group)}" if who == "ours" else ""
    print(
        f"{name:12} {who:10} {group[0].direction:4} {statistics.median(errors):6.2f}"
        f" {p95:6.2f} {errors[-1]:6.2f}  {data:6.1f}  n={len(group)}{coverage}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
