"""The error of round-trip times, on an idle and on a busy device.

`python -m bench.rtt` compares each prober with a capture of the same packets on the
client's interface. The difference is the error of the prober. The network has no part
in it.
"""

from __future__ import annotations

import os
from statistics import median

from bench.busy import busy
from bench.probers import PROBERS, Count, Prober, on_the_wire, reflector
from bench.table import show
from tests.lab.network import Lab
from tests.lab.shape import Shape

_RUNS = 3
_COUNT = Count(probes=150, spacing_s=0.02)
_DELAY_MS = 20
_HEAD = ("prober", "device", "median µs", "p99 of |error| µs", "worst µs", "samples")


def differences_us(lab: Lab, prober: Prober) -> list[float]:
    """Return prober minus wire for each packet that both received."""
    with lab.capture("client") as packets:
        result = prober(lab, _COUNT)
    wire = on_the_wire(packets)
    return [us - wire[n] for n, us in result.trips.items() if n in wire]


def row(name: str, device: str, off_us: list[float]) -> tuple[str, ...]:
    """Return a row: the median error, and the absolute errors."""
    ordered = sorted(abs(us) for us in off_us)
    p99 = ordered[max(0, -(-99 * len(ordered) // 100) - 1)]
    figures = (f"{median(off_us):+.1f}", f"{p99:.1f}", f"{ordered[-1]:.1f}")
    return (name, device, *figures, str(len(off_us)))


def measure(lab: Lab, device: str) -> list[tuple[str, ...]]:
    """Run all probers in turn, several times."""
    off: dict[str, list[float]] = {name: [] for name in PROBERS}
    for _ in range(_RUNS):
        for name, prober in PROBERS.items():
            off[name] += differences_us(lab, prober)
    return [row(name, device, off_us) for name, off_us in off.items()]


def main() -> None:
    """Print the error of each prober."""
    with Lab(Shape(delay_ms=_DELAY_MS)) as lab, reflector(lab):
        rows = measure(lab, "idle")
        cores = os.cpu_count() or 1
        with busy(cores):
            rows += measure(lab, f"{cores} busy processes")
    show(
        f"Error of the round-trip time at {_DELAY_MS} ms (goal: median 20, p99 100)",
        _HEAD,
        rows,
    )


if __name__ == "__main__":
    main()
