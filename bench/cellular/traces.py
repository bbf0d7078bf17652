"""Recorded capacity of links, as files of packet opportunities in milliseconds.

The environment variable QOS_TRACES names a folder. A file NAME.down or NAME.up has one
line for each opportunity to send 1500 bytes: the milliseconds since its start. The
files repeat endlessly. Cellular emulators such as mahimahi use this format.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from qos_agent.probes.throughput.rates import BIN_S
from tests.lab.shape import TRACE_OPPORTUNITY_BYTES

VARIABLE = "QOS_TRACES"
_BIN_MS = round(BIN_S * 1000)


@dataclass(frozen=True, slots=True)
class Trace:
    """The bytes that a link offered in each bin, and their running sums."""

    name: str
    direction: str
    offered_bytes: tuple[int, ...]
    sums_bytes: tuple[int, ...]

    @property
    def bins(self) -> int:
        """The length of one repetition."""
        return len(self.offered_bytes)

    @property
    def mean_bps(self) -> float:
        """The mean capacity."""
        return self.sums_bytes[-1] * 8 / (self.bins * BIN_S)

    def between(self, first: int, end: int) -> int:
        """Return the bytes offered between two bins, across repetitions."""
        return self._until(end) - self._until(first)

    def _until(self, number: int) -> int:
        laps, rest = divmod(number, self.bins)
        return laps * self.sums_bytes[-1] + self.sums_bytes[rest]

    def mean_between_bps(self, first: int, end: int) -> float:
        """Return the mean capacity between two bins."""
        return self.between(first, end) * 8 / ((end - first) * BIN_S)

    def part(self, first: int, end: int) -> Trace:
        """Return a part of this trace as a trace that repeats."""
        return _trace(self.name, self.direction, self.offered_bytes[first:end])


def read_moments(path: Path) -> tuple[int, ...]:
    """Return the milliseconds of the opportunities in a file."""
    return tuple(sorted(int(line) for line in path.read_text().split()))


def trace_of(name: str, direction: str, moments_ms: Sequence[int]) -> Trace:
    """Return the trace of these opportunities."""
    bins = [0] * max(1, moments_ms[-1] // _BIN_MS)
    for at_ms in moments_ms:
        bins[min(len(bins) - 1, at_ms // _BIN_MS)] += TRACE_OPPORTUNITY_BYTES
    return _trace(name, direction, bins)


def _trace(name: str, direction: str, bins: Sequence[int]) -> Trace:
    return Trace(name, direction, tuple(bins), tuple(accumulate(bins, initial=0)))


def folder() -> Path:
    """Return the folder of recorded traces. Raises SystemExit if it is not set."""
    name = os.environ.get(VARIABLE)
    if not name:
        raise SystemExit(
            f"{VARIABLE}: missing. Fix: name a folder with files NAME.down and NAME.up."
        )
    return Path(name)


def files(names: Sequence[str] = ()) -> list[Path]:
    """Return the files of the folder; with `names`, those that contain one of them."""
    found = (p for p in sorted(folder().iterdir()) if p.suffix in {".down", ".up"})
    return [p for p in found if not names or any(n in p.name for n in names)]


def load(names: Sequence[str] = ()) -> list[Trace]:
    """Return the traces of the folder."""
    return [trace_of(p.stem, p.suffix[1:], read_moments(p)) for p in files(names)]
