"""Rate of the witness: `python -m bench.witness [DEVICES] [SECONDS]`.

Each device has its own key in the register. It sends a first seal and then one that
continues it, with a consistency proof of a journal of 100,000 points. The time covers
reading the fields of a point, the check of key, signature and proof, the cosignature,
and the commit to disk; making the seals and InfluxDB are not part of it. A round ends
early after a number of seconds. The goal is 823,220 seals in ten minutes, 1,372 a
second.
"""

from __future__ import annotations

import base64
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.table import show
from qos_agent.evidence import checkpoints, keys, library
from qos_agent.evidence.merkle import CompactRange, consistency_proof, leaf_hash
from qos_agent.evidence.notes import Checkpoint
from qos_agent.evidence.signer import PublicKey
from qos_agent.noc.register.keys import DeviceKey, KeyRegister
from qos_agent.noc.witness import root
from qos_agent.noc.witness.checking import Checker
from qos_agent.noc.witness.seals import Arrival, read_point
from qos_agent.noc.witness.store import WitnessStore

DEVICES, SECONDS = 823_220, 600.0
GOAL = DEVICES / 600
_BATCH = 2000
_OLD, _NEW = 100_000, 100_700
_NOW_NS = 1_800_000_000 * 10**9


@dataclass(frozen=True, slots=True)
class Tree:
    """The roots of two sizes of one tree, which all devices have, and the proof."""

    roots: tuple[bytes, bytes]
    proof: str


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round of seals."""

    name: str
    seals: int
    checked_s: float
    cpu_s: float

    def row(self) -> tuple[str, ...]:
        """Return the row of the table."""
        rate, by_cpu = self.seals / self.checked_s, self.seals / self.cpu_s
        reached = "yes" if rate >= GOAL else "no"
        return self.name, f"{self.seals:,}", f"{rate:,.0f}", f"{by_cpu:,.0f}", reached


def tree() -> Tree:
    """Return the tree of a journal."""
    leaves = [leaf_hash(b"%d" % number) for number in range(_NEW)]
    levels = [leaves]

    def node(level: int, index: int) -> bytes:
        start = index << level
        return CompactRange().extended(levels[0][start : start + (1 << level)]).root()

    roots = tuple(CompactRange().extended(leaves[:n]).root() for n in (_OLD, _NEW))
    hashes = b"".join(consistency_proof(_OLD, _NEW, node))
    return Tree((roots[0], roots[1]), base64.b64encode(hashes).decode())


def private_key(number: int) -> Ed25519PrivateKey:
    """Return the key of a device."""
    return Ed25519PrivateKey.from_private_bytes((number + 1).to_bytes(32, "big"))


def station(number: int) -> str:
    """Return the code of a station in one of 500 regencies."""
    return f"{11 + number % 80}{number // 80 % 7:02}{number:09}"


def register_keys(register: KeyRegister, devices: int) -> None:
    """Give each device a key."""

    def device_keys() -> Iterator[DeviceKey]:
        for number in range(devices):
            raw = private_key(number).public_key().public_bytes_raw()
            name = checkpoints.device_name(f"pi-{number}")
            yield DeviceKey(station(number), name, PublicKey(raw), 0)

    register.apply(device_keys())


def points(
    devices: int, shared: Tree, *, first: bool
) -> Iterator[tuple[Arrival, dict[str, Any]]]:
    """Yield the points of one seal of each device."""
    size, digest = (_OLD, shared.roots[0]) if first else (_NEW, shared.roots[1])
    more = {} if first else {"previous": _OLD, "proof": shared.proof}
    for number in range(devices):
        origin = checkpoints.origin(f"pi-{number}", f"{number:016x}")
        key = private_key(number)
        signer = library.LibrarySigner(
            key, PublicKey(key.public_key().public_bytes_raw())
        )
        text = Checkpoint(origin, size, digest).text()
        note = checkpoints.signed(origin, text, signer).to_bytes()
        code = station(number)
        fields = {"note": base64.b64encode(note).decode(), "cause": "interval"}
        yield Arrival(code, code[:4], _NOW_NS + size), {**fields, **more}


def run(
    name: str,
    checker: Checker,
    found: Iterator[tuple[Arrival, dict[str, Any]]],
    limit_s: float,
) -> Round:
    """Check points in batches until they or the time end."""
    seals, checked_s, cpu_s = 0, 0.0, 0.0
    end_s = time.monotonic() + limit_s
    while (batch := list(islice(found, _BATCH))) and time.monotonic() < end_s:
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        arrived = [read_point(arrival, fields) for arrival, fields in batch]
        tally = checker.check(arrived, _NOW_NS)
        checked_s += time.perf_counter() - started_s
        cpu_s += time.process_time() - started_cpu_s
        if tally.cosigned != len(batch):
            raise RuntimeError(f"not all seals were cosigned: {tally}")
        seals += len(batch)
    return Round(name, seals, checked_s, cpu_s)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    started_s = time.perf_counter()
    action()
    return time.perf_counter() - started_s


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    devices = int(arguments[0]) if arguments else DEVICES
    limit_s = float(arguments[1]) if len(arguments) > 1 else SECONDS
    shared = tree()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        register = KeyRegister(folder / "register.sqlite3")
        register_keys(register, devices)
        store = WitnessStore(folder / "witness.sqlite3")
        signer = keys.create_key(folder / "key.pem")
        fast = library.fastest_signer(folder / "key.pem") or signer
        checker = Checker(store, register, fast, "witness")
        first = run("first", checker, points(devices, shared, first=True), limit_s)
        following = islice(points(devices, shared, first=False), first.seals)
        second = run("with proof", checker, following, limit_s)
        build = lambda: root.build(store, "witness", fast, 1)  # noqa: E731
        root_s = timed(build)
        register.close()
        store.close()
        size = (folder / "witness.sqlite3").stat().st_size
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    head = ("seals", "number", "a second", "a second of CPU", f"over {GOAL:,.0f}")
    show("Seals checked and cosigned, one process", head, [first.row(), second.row()])
    total = first.seals + second.seals
    print(
        f"root over {first.seals:,} journals: {root_s:.2f} s; "
        f"{size / total:.0f} bytes a seal; peak {memory:.0f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
