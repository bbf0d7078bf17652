"""Round trips against the wire: what each prober adds, idle and on a busy device.

`python -m bench.rtt`. Truth is a capture on the client's own interface, of the same
packets: the difference is the prober's alone, whatever the network does.
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
_HEAD = ("prober", "device", "median us", "p99 of |.| us", "worst us", "samples")


def differences_us(lab: Lab, prober: Prober) -> list[float]:
    """Prober less wire, of each packet that both saw come back."""
    with lab.capture("client") as packets:
        answer = prober(lab, _COUNT)
    wire = on_the_wire(packets)
    return [us - wire[n] for n, us in answer.trips.items() if n in wire]


def row(name: str, device: str, off_us: list[float]) -> tuple[str, ...]:
    """One line: the median with its sign, and how far off the rest is."""
    ordered = sorted(abs(us) for us in off_us)
    p99 = ordered[max(0, -(-99 * len(ordered) // 100) - 1)]
    figures = (f"{median(off_us):+.1f}", f"{p99:.1f}", f"{ordered[-1]:.1f}")
    return (name, device, *figures, str(len(off_us)))


def measure(lab: Lab, device: str) -> list[tuple[str, ...]]:
    """All probers in turn, some times over."""
    off: dict[str, list[float]] = {name: [] for name in PROBERS}
    for _ in range(_RUNS):
        for name, prober in PROBERS.items():
            off[name] += differences_us(lab, prober)
    return [row(name, device, off_us) for name, off_us in off.items()]


def main() -> None:
    """Print what each prober adds to the wire's round trip."""
    with Lab(Shape(delay_ms=_DELAY_MS)) as lab, reflector(lab):
        rows = measure(lab, "idle")
        cores = os.cpu_count() or 1
        with busy(cores):
            rows += measure(lab, f"{cores} busy processes")
    show(f"Round trip less the wire's, at {_DELAY_MS} ms; goal 20 and 100", _HEAD, rows)


if __name__ == "__main__":
    main()
