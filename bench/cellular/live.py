"""Live tests on links that replay recorded capacity: ours and three other methods.

Each link has its own capacity in each direction, 25 ms of delay each way and a queue of
300 kB. The error is that against the capacity of the test's own span. A fast constant
link stands for fibre and 5G.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cellular.replay import LIMITS
from bench.cellular.traces import read_moments
from bench.target import target
from tests.lab.network import SERVER, Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Direction, Shape

_DELAY_MS = 50
_QUEUE_BYTES = 300_000
_SECONDS = 10
_SIDE_S = 30.0
# The queue drains before the next test.
_PAUSE_S = 3.0
# Each of the other methods runs this often, next to our first tests.
_PEER_RUNS = {True: 2, False: 1}
_OF_PACKET = 1448 / 1500
_BULK_BYTES = 3000
_WAYS: dict[str, Direction] = {"down": "back", "up": "forward"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the bench: two traces, or a constant rate in both directions."""

    name: str
    down: Path | None = None
    up: Path | None = None
    rate_mbps: float | None = None

    def shape(self) -> Shape:
        """Return the shape of the laboratory."""
        if self.rate_mbps is not None:
            return Shape(rate_mbps=self.rate_mbps, ipv6=False)
        return Shape(
            trace=read_moments(self.down) if self.down else None,
            trace_up=read_moments(self.up) if self.up else None,
            delay_ms=_DELAY_MS,
            trace_queue_bytes=_QUEUE_BYTES,
            ipv6=False,
        )

    def directions(self) -> list[str]:
        """Return the directions that have a capacity."""
        if self.rate_mbps is not None:
            return ["down", "up"]
        ends = {"down": self.down, "up": self.up}
        return [name for name, path in ends.items() if path is not None]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: its rate, the span it describes, and its cost."""

    who: str
    direction: str
    rate_bps: float
    from_s: float
    until_s: float
    moved_bytes: int
    took_s: float
    interval: tuple[float, float] | None = None
    stop: str = ""


@dataclass(slots=True)
class Run:
    """The samples of one link, and the truth about their spans."""

    link: Link
    truth_bps: Callable[[str, float, float], float]
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


LINKS = (Link("100 Mbit/s", rate_mbps=100), Link("300 Mbit/s", rate_mbps=300))


def links(files: Sequence[Path]) -> list[Link]:
    """Return the links of these trace files; NAME.down and NAME.up are one link."""
    names = sorted({path.stem for path in files})
    ends = {path.name: path for path in files}
    return [Link(n, ends.get(f"{n}.down"), ends.get(f"{n}.up")) for n in names]


def measure(link: Link, tests: int, *, peers: bool) -> Run:
    """Run our tests and those of each other method, in turn, on one link."""
    with Lab(link.shape()) as lab, target(lab, "cubic") as url:
        run = Run(link, _capacity(link, lab))
        past: dict[str, list[object]] = {"down": [], "up": []}
        for number in range(tests):
            for direction in link.directions():
                _ours(run, lab, url, direction, past)
                if peers and number < _PEER_RUNS[link.rate_mbps is None]:
                    _peers(run, lab, url, direction)
        # The minute around the last test must be over, too.
        time.sleep(0 if link.rate_mbps else _SIDE_S)
        return Run(link, _capacity(link, lab), run.samples, run.failures)


def _capacity(link: Link, lab: Lab) -> Callable[[str, float, float], float]:
    """Return the capacity of a span by direction, from the present log."""
    if link.rate_mbps is not None:
        constant_bps = link.rate_mbps * 1e6 * TCP_PAYLOAD_SHARE
        return lambda _direction, _from, _until: constant_bps
    logs = {d: lab.capacity(_WAYS[d]) for d in link.directions()}

    def capacity_bps(direction: str, from_s: float, until_s: float) -> float:
        offered_bytes = logs[direction].offered_bytes(from_s, until_s)
        return offered_bytes * 8 / (until_s - from_s) * _OF_PACKET

    return capacity_bps


def _ours(
    run: Run, lab: Lab, url: str, direction: str, past: dict[str, list[object]]
) -> None:
    order = {
        "backend": "http",
        "interface": "eth0",
        "server": url,
        "limits": {direction: LIMITS[direction]},
        "time_limit_s": 15,
        "past": past,
    }
    argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
    before = _moved(lab)
    fields = json.loads(lab.run(argv).stdout)[direction]
    time.sleep(_PAUSE_S)
    if "cause" in fields:
        run.failures.append(f"{direction}: {fields['cause']}, {fields['detail']}")
        return
    past[direction].append(fields["past"])
    from_s, span_s = fields["measured_start_s"], fields["measured_us"] / 1e6
    ends = fields.get("rate_low_bps"), fields.get("rate_high_bps")
    run.samples.append(
        Sample(
            "ours",
            direction,
            fields["rate_bps"],
            from_s,
            from_s + span_s,
            _moved(lab) - before,
            (fields.get("ramp_ms") or 0.0) / 1e3 + span_s,
            None if None in ends else ends,
            fields["stop"],
        )
    )


def _peers(run: Run, lab: Lab, url: str, direction: str) -> None:
    reverse = ["-R"] if direction == "down" else []
    seconds = ["-t", str(_SECONDS)]
    iperf3 = ["iperf3", "-J", "-c", SERVER, *seconds, *reverse]
    for who, argv in (
        ("ten", [sys.executable, "-m", "bench.peers", "ten", url, direction]),
        ("iperf3", iperf3),
        (
            "speedtest",
            [sys.executable, "-m", "bench.peers", "speedtest", url, direction],
        ),
    ):
        before, started_s = _moved(lab), time.monotonic()
        try:
            output = json.loads(lab.run(argv, timeout_s=120).stdout)
        except (subprocess.SubprocessError, ValueError) as error:
            run.failures.append(f"{who} {direction}: {error}"[:90])
            continue
        until_s = time.monotonic()
        time.sleep(_PAUSE_S)
        received = output["end"]["sum_received"] if who == "iperf3" else output
        rate_bps = received["bits_per_second"] if who == "iperf3" else received
        from_s = _first_bulk_s(run, lab, direction, started_s)
        run.samples.append(
            Sample(
                who,
                direction,
                rate_bps,
                from_s,
                min(until_s, from_s + _SECONDS),
                _moved(lab) - before,
                until_s - started_s,
            )
        )


def _first_bulk_s(run: Run, lab: Lab, direction: str, after_s: float) -> float:
    """Return the time at which the data of a transfer began to pass."""
    if run.link.rate_mbps is not None:
        return after_s
    lines = lab.capacity(_WAYS[direction]).lines
    return next(
        (
            line.at_s
            for line in lines
            if line.at_s >= after_s and line.carried_bytes >= _BULK_BYTES
        ),
        after_s,
    )


def _moved(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def report(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        "link                       dir  method     n  |error| %: median  p95  worst"
        "   data %   s on the link   minute held   half width %"
    )
    for run in runs:
        for direction in run.link.directions():
            for who in ("ours", "ten", "iperf3", "speedtest"):
                chosen = [
                    s for s in run.samples if (s.who, s.direction) == (who, direction)
                ]
                if chosen:
                    yield _row(run, direction, who, chosen)
        yield from (f"  failed: {text}" for text in run.failures)
    yield from _total(runs)


def errors(run: Run, samples: Sequence[Sample]) -> list[float]:
    """Return the amounts of the errors against the own spans, in per cent, sorted."""
    return sorted(
        abs(s.rate_bps / max(1.0, run.truth_bps(s.direction, s.from_s, s.until_s)) - 1)
        * 100
        for s in samples
    )


def _row(run: Run, direction: str, who: str, samples: Sequence[Sample]) -> str:
    values = errors(run, samples)
    ten = [
        s.moved_bytes for s in run.samples if (s.who, s.direction) == ("ten", direction)
    ]
    moved_bytes = statistics.fmean(s.moved_bytes for s in samples)
    mean_bps = run.truth_bps(direction, samples[0].from_s, samples[-1].until_s)
    whole_bytes = statistics.fmean(ten) if ten else mean_bps / 8 * _SECONDS
    took_s = statistics.median(s.took_s for s in samples)
    held, width = _minutes(run, samples)
    data = moved_bytes / whole_bytes * 100
    return (
        f"{run.link.name[:26]:26} {direction:4} {who:9} {len(samples):2}"
        f" {statistics.median(values):17.1f} {_p95(values):5.1f} {values[-1]:6.1f}"
        f" {data:8.1f} {took_s:15.1f}   {held:>11} {width:>14}"
    )


def _p95(ordered: Sequence[float]) -> float:
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def _minutes(run: Run, samples: Sequence[Sample]) -> tuple[str, str]:
    """Return how many intervals hold the minute, and their median half width."""
    held, widths = 0, []
    for sample in samples:
        if sample.interval is None:
            continue
        low, high = sample.interval
        truth_bps = run.truth_bps(
            sample.direction, sample.from_s - _SIDE_S, sample.until_s + _SIDE_S
        )
        held += low <= truth_bps <= high
        widths.append((high - low) / 2 / truth_bps * 100)
    if not widths:
        return "", ""
    return f"{held}/{len(widths)}", f"{statistics.median(widths):.0f}"


def _total(runs: Sequence[Run]) -> Iterator[str]:
    traced = [run for run in runs if run.link.rate_mbps is None]
    for who in ("ours", "ten", "iperf3", "speedtest"):
        values = sorted(
            value
            for run in traced
            for value in errors(run, [s for s in run.samples if s.who == who])
        )
        if values:
            yield (
                f"all traces, {who}: |error| median {statistics.median(values):.1f} %,"
                f" 95th percentile {_p95(values):.1f} %, n = {len(values)}"
            )
