"""Varying links with the real test: several short tests compared with one long test.

`python -m bench.varying_live [LINKS]` replays two minutes of a capacity from
`bench.varying` on each link, again and again. In the first round short tests run at
random moments, one in each part. In the second round one test transfers as many bytes
as they did together. The truth is the mean of the two minutes. Several links are
measured at the same time, and none is shared.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.target import target
from bench.varying import capacity, interval
from qos_agent.probes.throughput.rates import BIN_S
from tests.lab.network import Lab
from tests.lab.shape import TRACE_OPPORTUNITY_BYTES, Shape

_LINKS, _AT_A_TIME = 20, 4
_PERIOD_S, _SLOW_S = 120.0, 20.0
_SPREAD = (0.5, 0.3)
_TESTS, _LONGEST_S = 5, 8.0
_DELAY_MS = 40.0
# About 4 Mbit/s, because the relay forwards at most one packet per millisecond.
_SCALE = 0.4
_PAYLOAD_BYTES = 1448


@dataclass(frozen=True, slots=True)
class Outcome:
    """One link: errors relative to the truth, and coverage of the intervals."""

    truth_bps: float
    many_error: float
    one_error: float
    many_covers: bool
    one_covers: bool
    bytes: int


def main(arguments: Sequence[str] = ()) -> int:
    """Measure the links, print each of them and a summary."""
    count = int(arguments[0]) if arguments else _LINKS
    print("link   truth Mbit/s   many: error %   one long: error %   MB each")
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        outcomes = list(pool.map(_measure_and_print, range(count)))
    many = statistics.median(abs(o.many_error) for o in outcomes) * 100
    one = statistics.median(abs(o.one_error) for o in outcomes) * 100
    print(
        f"median |error|: many {many:.1f} %, one long {one:.1f} %; interval of many"
        f" covers {sum(o.many_covers for o in outcomes)}/{count},"
        f" of one long {sum(o.one_covers for o in outcomes)}/{count}"
    )
    return 0


def _measure_and_print(number: int) -> Outcome:
    outcome = _measured(random.Random(number))
    print(
        f"{number:4} {outcome.truth_bps / 1e6:14.2f} {outcome.many_error * 100:+15.1f}"
        f" {outcome.one_error * 100:+19.1f} {outcome.bytes / 1e6:9.1f}",
        flush=True,
    )
    return outcome


def _measured(source: random.Random) -> Outcome:
    trace = _trace(capacity(source, *_SPREAD, _PERIOD_S, _SLOW_S))
    truth_bps = len(trace) * _PAYLOAD_BYTES * 8 / (trace[-1] / 1e3)
    shape = Shape(trace=trace, delay_ms=_DELAY_MS, ipv6=False)
    with Lab(shape) as lab, target(lab, "cubic") as url:
        short = [
            _test(lab, url, at_s, 10_000_000, tolerance=0.05, longest_s=_LONGEST_S)
            for at_s in _moments(source)
        ]
        used_bytes = sum(int(fields["data_bytes"]) for fields in short)
        at_s = _PERIOD_S + source.uniform(0, _PERIOD_S / 2)
        one = _test(lab, url, at_s, used_bytes, tolerance=1e-6, longest_s=90.0)
    mean, half = interval([fields["rate_bps"] for fields in short])
    return Outcome(
        truth_bps,
        mean / truth_bps - 1,
        one["rate_bps"] / truth_bps - 1,
        abs(mean - truth_bps) <= half,
        one["rate_low_bps"] <= truth_bps <= one["rate_high_bps"],
        used_bytes,
    )


def _trace(offered_bps: Sequence[float]) -> tuple[int, ...]:
    """Return the milliseconds at which a packet may be sent."""
    pending_bytes, moments_ms = 0.0, []
    steps = round(BIN_S * 1000)
    for number, rate_bps in enumerate(offered_bps):
        for step in range(steps):
            pending_bytes += rate_bps * _SCALE / 8 / 1000
            while pending_bytes >= TRACE_OPPORTUNITY_BYTES:
                pending_bytes -= TRACE_OPPORTUNITY_BYTES
                moments_ms.append(number * steps + step + 1)
    return (*moments_ms, round(_PERIOD_S * 1000))


def _moments(source: random.Random) -> list[float]:
    part_s = _PERIOD_S / _TESTS
    return [part_s * i + source.random() * (part_s - _LONGEST_S) for i in range(_TESTS)]


def _test(
    lab: Lab,
    url: str,
    at_s: float,
    limit_bytes: int,
    *,
    tolerance: float,
    longest_s: float,
) -> dict[str, float]:
    """Run one download at a moment after the start of the link."""
    time.sleep(max(0.0, lab.started_mono + at_s - time.monotonic()))
    order = {
        "backend": "http",
        "interface": "eth0",
        "server": url,
        "limits": {"down": limit_bytes},
        "time_limit_s": longest_s,
        "tolerance": tolerance,
    }
    argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
    fields = json.loads(lab.run(argv, timeout_s=longest_s + 60).stdout)["down"]
    if "cause" in fields:
        raise RuntimeError(f"{fields['cause']}: {fields['detail']}")
    return dict(fields)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
