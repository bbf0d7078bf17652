"""Verification of a large bundle: `python -m bench.verify [STATIONS] [POINTS]`.

The bundle has STATIONS journals with POINTS points each, which is an election of a
device, and a seal for each 600 of them. It is written straight into its files, because
`archive export` would need twice the disk. 100 million points (201 stations) need
31 GB.
The time and the peak of the memory of `verify` are printed after each tenth.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.bundle import (
    POINTS,
    SEALED,
    START_NS,
    Levels,
    centre,
    key,
    measured,
    station,
)
from bench.table import show
from qos_agent.archive.bundle import bag, layout
from qos_agent.archive.bundle.register import write_keys
from qos_agent.archive.bundle.verifying import verify
from qos_agent.evidence import checkpoints
from qos_agent.evidence.merkle import CompactRange, consistency_proof, leaf_hash
from qos_agent.evidence.notes import Checkpoint
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode

STATIONS = 4
_PARTS = 10


def journal_lines(number: int) -> bytes:
    """Return the line of a reading with places for the values that change."""
    tags = {"station": station(number), "province": "31", "regency": "3171"}
    tags |= {"phase": "voting", "link": "main", "operator": "telkomsel"}
    tags |= {"target": "anchor", "layer": "anchor"}
    fields: dict[str, Value] = {"seq": 1, "schema": 1, "device": f"pi-{number}"}
    fields |= {"journal": f"{number:016x}", "sent": 20, "received": 20, "lost": 0}
    fields |= {"rtt_sum_us": 380_001, "rtt_p50_ms": 19.25}
    line = encode(Record("latency", tags, fields, START_NS))
    changing = {b"rtt_sum_us=380001i": b"rtt_sum_us=%di", b",seq=1i": b",seq=%di"}
    changing |= {str(START_NS).encode(): b"%d"}
    for value, place in changing.items():
        line = line.replace(value, place)
    return line


def write_journal(folder: Path, number: int, points: int) -> None:
    """Write the files of one journal up to its last seal."""
    device, journal = f"pi-{number}", f"{number:016x}"
    origin = checkpoints.origin(device, journal)
    target = folder / layout.journal_path(device, journal)
    target.mkdir(parents=True)
    (target / layout.ORIGIN).write_text(f"{device}\n{journal}\n")
    template, tree, grown, previous = journal_lines(number), Levels(), CompactRange(), 0
    with (
        (target / layout.POINTS).open("wb") as lines,
        (target / layout.LEAVES).open("wb") as leaves,
        (target / layout.SEALS).open("wb") as seals,
    ):
        waiting = b""
        for first in range(1, points - SEALED + 2, SEALED):
            numbers = range(first + (first > 1), first + SEALED)
            part = [template % (380_000 + n, n, START_NS + n * 10**9) for n in numbers]
            part = [waiting, *part] if waiting else part
            hashes = [leaf_hash(line) for line in part]
            for leaf in hashes:
                tree.add(leaf)
            grown = grown.extended(hashes)
            lines.write(b"\n".join([*part, b""]))
            leaves.write(b"".join(hashes))
            checkpoint = Checkpoint(origin, grown.size, grown.root())
            waiting = _seal(number, checkpoint, previous, tree)
            seals.write(waiting + b"\n")
            previous = grown.size


def _seal(number: int, checkpoint: Checkpoint, previous: int, tree: Levels) -> bytes:
    """Return the line of the seal behind some points."""
    note = checkpoints.signed(checkpoint.origin, checkpoint.text(), key(number))
    seq = checkpoint.size + 1
    fields: dict[str, Value] = {"seq": seq, "schema": 1, "device": f"pi-{number}"}
    fields |= {"journal": f"{number:016x}", "cause": "interval"}
    fields |= {"note": base64.b64encode(note.to_bytes()).decode()}
    if previous:
        proof = b"".join(consistency_proof(previous, checkpoint.size, tree.node))
        fields |= {"previous": previous, "proof": base64.b64encode(proof).decode()}
    tags = {"station": station(number), "province": "31", "regency": "3171"}
    record = Record("seal", {**tags, "phase": "voting"}, fields, START_NS + seq * 10**9)
    return encode(record)


def write_bundle(folder: Path, stations: int, points: int) -> None:
    """Write a bundle straight into its files."""
    for number in range(stations):
        write_journal(folder, number, points)
    keys = folder / bag.PAYLOAD / layout.KEYS
    keys.mkdir()
    write_keys(keys / layout.DEVICE_KEYS, centre(stations).keys)
    bag.write_manifest(folder)
    bag.finish(folder, [("External-Description", "a bundle of bench.verify")])


def _verify(folder: Path, stations: int) -> None:
    """Verify the bundle, and print rate and memory after each part."""
    started_s, reached = time.perf_counter(), 0
    points = int((folder / "points").read_text())

    def progress(proven: int, _detail: str) -> None:
        nonlocal reached
        if proven * _PARTS >= reached * points:
            status = Path("/proc/self/status").read_text()
            peak_mib = int(status.split("VmHWM:")[1].split()[0]) / 1024
            seconds = time.perf_counter() - started_s
            print(f"{proven:>12,} points  {seconds:8.1f} s  peak {peak_mib:.1f} MiB")
            sys.stdout.flush()
            reached = proven * _PARTS // points + 1

    verdict = verify(folder / "bundle", progress=progress)
    if not verdict.is_valid or len(verdict.journals) != stations:
        raise RuntimeError(f"the bundle is not valid: {verdict.counts()}")


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    stations = int(arguments[0]) if arguments else STATIONS
    points = int(arguments[1]) if len(arguments) > 1 else POINTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bundle(folder / "bundle", stations, points)
        total = stations * (points // SEALED * SEALED - 1)
        (folder / "points").write_text(str(total))
        size = sum(p.stat().st_size for p in folder.rglob("bundle/**/*") if p.is_file())
        step = measured("verify", _verify, folder, stations)
    head = ("step", "time", "points a second", "processor", "peak memory")
    show(f"A bundle of {stations} journals, {total:,} points", head, [step.row(total)])
    print(f"{size / total:.0f} bytes a point")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
