"""Evidence bundles: `python -m bench.bundle [POINTS] [STATIONS]`.

Each station has POINTS points, which is an election by default, and a seal for each 600
of them. The bundle is written from a file of lines and then verified. Each step runs in
a process of its own, whose peak of memory is that of the step. The goal for a device's
election of 500,000 points is 10 s.
"""

from __future__ import annotations

import base64
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.table import show
from qos_agent.archive.bundle.centre import Centre
from qos_agent.archive.bundle.register import StationKey
from qos_agent.archive.bundle.verifying import verify
from qos_agent.archive.bundle.writing import write_bundle
from qos_agent.archive.sources.lines import LineFile
from qos_agent.evidence import checkpoints
from qos_agent.evidence.library import LibrarySigner
from qos_agent.evidence.merkle import (
    CompactRange,
    consistency_proof,
    leaf_hash,
    node_hash,
)
from qos_agent.evidence.notes import Checkpoint
from qos_agent.evidence.signer import PublicKey
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode

POINTS, STATIONS, SEALED = 500_000, 1, 600
START_NS = 1_707_868_800 * 10**9


@dataclass(frozen=True, slots=True)
class Step:
    """Time, processor time and peak memory of a step."""

    name: str
    seconds: float
    cpu_s: float
    peak_mib: float

    def row(self, points: int) -> tuple[str, ...]:
        """Return the row of the table."""
        rate = points / self.seconds
        return (
            self.name,
            f"{self.seconds:.1f} s",
            f"{rate:,.0f}",
            f"{self.cpu_s:.1f} s",
            f"{self.peak_mib:.0f} MiB",
        )


class Levels:
    """All nodes of a growing tree, for proofs."""

    def __init__(self) -> None:
        self.levels: list[list[bytes]] = [[]]

    def add(self, leaf: bytes) -> None:
        """Append a leaf."""
        self.levels[0].append(leaf)
        level = 0
        while len(self.levels[level]) % 2 == 0:
            left, right = self.levels[level][-2:]
            level += 1
            if level == len(self.levels):
                self.levels.append([])
            self.levels[level].append(node_hash(left, right))

    def node(self, level: int, index: int) -> bytes:
        """Return the root of a complete subtree."""
        return self.levels[level][index]


def key(number: int) -> LibrarySigner:
    """Return the key of a device."""
    private = Ed25519PrivateKey.from_private_bytes((number + 1).to_bytes(32, "big"))
    raw = private.public_key().public_bytes_raw()
    return LibrarySigner(private, PublicKey(raw))


def station(number: int) -> str:
    """Return the code of a station."""
    return f"3171010{number:06}"


def lines(number: int, points: int) -> Iterator[bytes]:
    """Yield the points and seals of a device."""
    device, journal = f"pi-{number}", f"{number:016x}"
    origin = checkpoints.origin(device, journal)
    tree, grown, signer = Levels(), CompactRange(), key(number)
    place = {"station": station(number), "province": "31", "regency": "3171"}
    previous = 0
    for seq in range(1, points + 1):
        fields: dict[str, Value] = {
            "seq": seq,
            "device": device,
            "journal": journal,
            "schema": 1,
        }
        at_ns = START_NS + seq * 10**9
        if seq % SEALED:
            tags = {**place, "phase": "voting", "link": "main", "operator": "telkomsel"}
            tags |= {"target": "anchor", "layer": "anchor"}
            fields |= {"sent": 20, "received": 20 - seq % 2, "lost": seq % 2}
            fields |= {"rtt_sum_us": 380_000 + seq, "rtt_p50_ms": 19.0 + seq % 97 / 7}
            line = encode(Record("latency", tags, fields, at_ns))
        else:
            checkpoint = Checkpoint(origin, grown.size, grown.root())
            note = checkpoints.signed(origin, checkpoint.text(), signer).to_bytes()
            fields |= {"cause": "interval", "note": base64.b64encode(note).decode()}
            if previous:
                proof = consistency_proof(previous, grown.size, tree.node)
                encoded = base64.b64encode(b"".join(proof)).decode()
                fields |= {"previous": previous, "proof": encoded}
            previous = grown.size
            line = encode(Record("seal", {**place, "phase": "voting"}, fields, at_ns))
        leaf = leaf_hash(line)
        tree.add(leaf)
        grown = grown.extended([leaf])
        yield line


def centre(stations: int) -> Centre:
    """Return the keys of all devices."""
    keys = [
        StationKey(
            station(number),
            checkpoints.device_name(f"pi-{number}"),
            key(number).public_key,
            0,
        )
        for number in range(stations)
    ]
    return Centre(keys)


def _write(folder: Path, stations: int) -> None:
    write_bundle([LineFile(folder / "lines.lp")], folder / "bundle", centre(stations))


def _verify(folder: Path, _stations: int) -> None:
    verdict = verify(folder / "bundle")
    if not verdict.is_valid:
        raise RuntimeError(f"the bundle is not valid: {verdict.counts()}")


def measured(
    name: str, step: Callable[[Path, int], None], folder: Path, stations: int
) -> Step:
    """Run a step in a new process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        figures = pool.apply(_timed, (step, folder, stations))
    return Step(name, *figures)


def _timed(
    step: Callable[[Path, int], None], folder: Path, stations: int
) -> tuple[float, float, float]:
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    step(folder, stations)
    seconds = time.perf_counter() - started_s
    cpu_s = time.process_time() - started_cpu_s
    # ru_maxrss would be that of the parent, which a new process inherits.
    status = Path("/proc/self/status").read_text()
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    return seconds, cpu_s, peak_kib / 1024


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    points = int(arguments[0]) if arguments else POINTS
    stations = int(arguments[1]) if len(arguments) > 1 else STATIONS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "lines.lp").open("wb") as file:
            for number in range(stations):
                file.writelines(line + b"\n" for line in lines(number, points))
        steps = [
            measured("write", _write, folder, stations),
            measured("verify", _verify, folder, stations),
        ]
        size = sum(p.stat().st_size for p in folder.rglob("bundle/**/*") if p.is_file())
    total = points * stations
    head = ("step", "time", "points a second", "processor", "peak memory")
    show(
        f"A bundle of {stations} stations with {points:,} points each",
        head,
        [step.row(total) for step in steps],
    )
    print(f"{size / total:.0f} bytes a point")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
