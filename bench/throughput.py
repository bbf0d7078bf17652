"""Throughput on constant links: the agent's test and others, compared with the truth.

`nice -n -15 python -m bench.throughput [--ours] [--held-out] [--keep FILE]
[RATE,DELAY,CC ...]` takes links as Mbit/s, ms of round trip, and cubic or bbr.
`--held-out` uses links that were not used for tuning. `--ours` leaves out the other
programs. With `--keep`, each finished cell is stored in FILE, and cells in FILE are not
measured again.

The truth is the shaped Ethernet rate x 1448/1514, TCP payload over IPv4 with time
stamps. Data is the traffic of the interface in both directions, in per cent of that of
the ten-second test of the same cell. With `--ours` it is in per cent of the shaped rate
times ten seconds. Other traffic, of which there is none here, is what the agent would
report of it, in per cent of its own data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from bench.target import target
from tests.lab.network import SERVER, Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape

_RUNS = 5
_SECONDS = 10
_GRID = [
    *product((2.0, 10.0, 50.0), (0.0, 40.0, 100.0), ("cubic", "bbr")),
    (1.0, 40.0, "cubic"),
    (1.0, 100.0, "cubic"),
]
_HELD_OUT = list(product((5.0, 20.0, 30.0), (20.0, 60.0, 80.0), ("cubic",)))
_DIRECTIONS = ("down", "up")
# Groups of cells, by round trip in ms, that have goals of their own.
_GROUPS = ((0, 40, "up to 40 ms"), (41, 99, "60, 80 ms"), (100, 100, "100 ms"))


@dataclass(frozen=True, slots=True)
class Cell:
    """One link."""

    rate_mbps: float
    delay_ms: float
    congestion_control: str

    @property
    def truth_bps(self) -> float:
        """Return the TCP payload rate of the link."""
        return self.rate_mbps * 1e6 * TCP_PAYLOAD_SHARE

    @property
    def limit_bytes(self) -> int:
        """Return the bytes of ten seconds at the rate of the link."""
        return int(self.rate_mbps * 1e6 / 8 * _SECONDS)


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one direction. `moved_bytes` counts both ways."""

    cell: Cell
    who: str
    direction: str
    rate_bps: float
    moved_bytes: int | None = None
    stop: str = ""
    covers: bool = False
    others_bytes: int = 0

    @property
    def error(self) -> float:
        """Return the error in per cent of the truth."""
        return (self.rate_bps / self.cell.truth_bps - 1) * 100


Samples = list[Sample]


def main(argv: list[str] | None = None) -> int:
    """Measure every cell, print each of them and a summary."""
    options = _arguments(argv or [])
    samples = _stored(options.keep)
    print(f"{'Mbit/s':>6} {'ms':>4} cc     program    dir   error %  data %  runs")
    for cell in options.cells or _cells(_HELD_OUT if options.held_out else _GRID):
        of_cell = [s for s in samples if s.cell == cell]
        if not of_cell:
            of_cell = list(_measured(cell, peers=not options.ours))
            samples += of_cell
            _store(options.keep, of_cell)
        _print_cell(of_cell)
    _print_all(samples)
    return 0


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.throughput")
    parser.add_argument("--ours", action="store_true", help="Leave out other programs.")
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="Use links that were not used for tuning.",
    )
    parser.add_argument("--keep", type=Path, help="Store finished cells here.")
    parser.add_argument("cells", nargs="*", type=_cell, help="Links: RATE,DELAY,CC.")
    return parser.parse_args(argv)


def _cell(text: str) -> Cell:
    rate, delay, control = text.split(",")
    return Cell(float(rate), float(delay), control)


def _cells(links: list[tuple[float, float, str]]) -> list[Cell]:
    return [Cell(*link) for link in links]


def _stored(path: Path | None) -> Samples:
    if path is None or not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [Sample(**{**line, "cell": Cell(**line["cell"])}) for line in lines]


def _store(path: Path | None, samples: Samples) -> None:
    if path is not None:
        with path.open("a") as file:
            file.writelines(json.dumps(asdict(s)) + "\n" for s in samples)


def _measured(cell: Cell, *, peers: bool) -> Iterator[Sample]:
    shape = Shape(rate_mbps=cell.rate_mbps, delay_ms=cell.delay_ms, ipv6=False)
    with Lab(shape) as lab, target(lab, cell.congestion_control) as url:
        _even_out(lab, cell)
        for _ in range(_RUNS):
            yield from _ours(lab, url, cell)
        if peers:
            yield from _iperf3(lab, cell)
            yield from _peer(lab, url, cell, "ten")
            yield from _peer(lab, url, cell, "speedtest")


def _even_out(lab: Lab, cell: Cell) -> None:
    """Give the shaper a larger burst.

    So a pause of 10 ms does not lower the rate.
    """
    rate_bps = round(cell.rate_mbps * 1e6)
    burst_bytes = max(3028, rate_bps // 800)
    for device in ("client", "server"):
        limit = f"tbf rate {rate_bps}bit burst {burst_bytes} latency 50ms"
        command = ["tc", "qdisc", "replace", "dev", device, "root", *limit.split()]
        lab.run(command, "router")


def _ours(lab: Lab, url: str, cell: Cell) -> Iterator[Sample]:
    order = {
        "backend": "http",
        "interface": "eth0",
        "server": url,
        "limits": dict.fromkeys(_DIRECTIONS, cell.limit_bytes),
        "time_limit_s": 30,
    }
    argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
    for direction, fields in json.loads(lab.run(argv).stdout).items():
        if "cause" in fields:
            print("FAILED", cell, direction, fields)
            continue
        low = fields.get("rate_low_bps", cell.truth_bps + 1)
        high = fields.get("rate_high_bps", 0.0)
        yield Sample(
            cell,
            "ours",
            direction,
            fields["rate_bps"],
            fields["data_bytes"],
            fields["stop"],
            low <= cell.truth_bps <= high,
            fields["cross_bytes"],
        )


def _iperf3(lab: Lab, cell: Cell) -> Iterator[Sample]:
    for direction, options in (("down", ["-R"]), ("up", [])):
        before = _moved(lab)
        argv = ["iperf3", "-J", "-c", SERVER, "-t", str(_SECONDS), *options]
        report = json.loads(lab.run(argv, check=False).stdout)
        if "error" in report:
            print("FAILED iperf3", cell, report["error"])
            continue
        moved_bytes = _moved(lab) - before
        for end in ("received", "sent"):
            rate_bps = report["end"][f"sum_{end}"]["bits_per_second"]
            who = f"iperf3 {end[:4]}"
            yield Sample(cell, who, direction, rate_bps, moved_bytes)


def _peer(lab: Lab, url: str, cell: Cell, who: str) -> Iterator[Sample]:
    for direction in _DIRECTIONS:
        before = _moved(lab)
        argv = [sys.executable, "-m", "bench.peers", who, url, direction]
        try:
            ran = lab.run(argv, timeout_s=120)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
            print("FAILED", who, cell, failure)
            continue
        moved_bytes = _moved(lab) - before
        yield Sample(cell, who, direction, json.loads(ran.stdout), moved_bytes)


def _moved(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def _data(sample: Sample, among: Samples) -> float:
    """Return the data in per cent of the ten-second test of the same cell."""
    key = (sample.cell, sample.direction, "ten")
    of_ten = (s.moved_bytes for s in among if (s.cell, s.direction, s.who) == key)
    whole_bytes = next(of_ten, None) or sample.cell.limit_bytes
    return (sample.moved_bytes or 0) / whole_bytes * 100


def _print_cell(samples: Samples) -> None:
    groups: dict[tuple[str, str], Samples] = {}
    for sample in samples:
        groups.setdefault((sample.who, sample.direction), []).append(sample)
    for (who, direction), group in groups.items():
        cell = group[0].cell
        data = statistics.median(_data(s, samples) for s in group)
        errors = " ".join(f"{s.error:+.2f}" for s in group)
        error = statistics.median(s.error for s in group)
        print(
            f"{cell.rate_mbps:6g} {cell.delay_ms:4g} {cell.congestion_control:6}"
            f" {who:10} {direction:4} {error:+8.2f} {data:7.1f}  {errors}",
            flush=True,
        )


def _print_all(samples: Samples) -> None:
    print("\nall cells: |error| % (median, 95th percentile, worst),")
    print("data % (median of all cells, largest median of a cell), samples")
    for low, high, name in _GROUPS:
        chosen = [s for s in samples if low <= s.cell.delay_ms <= high]
        for who in sorted({s.who for s in chosen}):
            for direction in _DIRECTIONS:
                group = [s for s in chosen if (s.who, s.direction) == (who, direction)]
                if group:
                    _print_row(name, group, samples)


def _print_row(name: str, group: Samples, samples: Samples) -> None:
    who, direction = group[0].who, group[0].direction
    errors = sorted(abs(s.error) for s in group)
    p95 = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
    by_cell: dict[Cell, list[float]] = {}
    for sample in group:
        by_cell.setdefault(sample.cell, []).append(_data(sample, samples))
    data = statistics.median(value for cell in by_cell.values() for value in cell)
    most = max(statistics.median(cell) for cell in by_cell.values())
    ours = _only_ours(group) if who == "ours" else ""
    print(
        f"{name:12} {who:10} {direction:4} {statistics.median(errors):6.2f}"
        f" {p95:6.2f} {errors[-1]:6.2f}  {data:6.1f} {most:6.1f}"
        f"  n={len(group)}{ours}"
    )


def _only_ours(group: Samples) -> str:
    """Return the figures that only the agent's test reports."""
    covers = sum(s.covers for s in group)
    others = max(s.others_bytes / (s.moved_bytes or 1) * 100 for s in group)
    return f"  coverage {covers}/{len(group)}  other traffic at most {others:.2f} %"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
