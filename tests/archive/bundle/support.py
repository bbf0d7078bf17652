"""A device with a real key and journal, a witness, and a bundle of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qos_agent.archive.bundle.centre import Centre, RootFile
from qos_agent.archive.bundle.register import StationKey
from qos_agent.archive.bundle.writing import Bundled, write_bundle
from qos_agent.archive.sources import Source, open_sources
from qos_agent.archive.sources.lines import LineFile
from qos_agent.evidence import checkpoints, notes
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model.line_protocol import decode
from qos_agent.noc.register.keys import DeviceKey
from qos_agent.noc.witness import root
from qos_agent.noc.witness.records import RESUMED
from qos_agent.noc.witness.seals import Arrival, read_point
from tests.agent.test_sealing import Device
from tests.journal.support import put
from tests.noc.witness.support import NOW_NS, WITNESS, WITNESS_NAME, Bench
from tests.support.readings import IDENTITY

STATION = IDENTITY.station
NAME = checkpoints.device_name(IDENTITY.device)


def sealed_device(folder: Path, counts: Sequence[int] = (40, 30, 300, 5)) -> Device:
    """Store points and seals in a journal, and points after the last seal."""
    folder.mkdir(parents=True)
    device = Device(folder)
    for count in counts:
        put(device.journal, device.clock, count)
        device.seal()
    put(device.journal, device.clock, 3)
    return device


def lines_of(folder: Path) -> list[bytes]:
    """Return all lines of a closed journal."""
    with reading(folder) as journal:
        return list(journal.lines(EVERY_SEQ))


def station_key(device: Device) -> StationKey:
    """Return the key of a device as the register has it."""
    return StationKey(STATION, NAME, device.public_key, 0)


@dataclass(frozen=True, slots=True)
class Nation:
    """A witness that has cosigned the seals in lines, and its newest root."""

    bench: Bench
    root: root.Root

    def centre(self, keys: Sequence[StationKey], *, signs: bool = True) -> Centre:
        """Return what the centre adds to a bundle."""
        public = WITNESS.public_key
        kinds = (notes.ED25519, notes.COSIGNATURE)
        texts = (notes.verifier_key(WITNESS_NAME, public.raw, kind) for kind in kinds)

        def cosigned(origin: str) -> list[bytes]:
            seals = self.bench.store.seals(origin)
            found = (root.cosigned_note(s, WITNESS_NAME, public) for s in seals)
            return [note.to_bytes() for note in found]

        def prover(one: root.Root) -> Callable[[str], bytes | None]:
            prove = root.prover(self.bench.store, one, WITNESS_NAME, public)
            return lambda origin: None if (p := prove(origin)) is None else p.to_bytes()

        found = root.newest_with_proofs(self.bench.store)
        names = [*(f"earlier-{n}.txt" for n in range(len(found) - 1)), "root.txt"]
        roots = [
            RootFile(name, one.note.to_bytes(), partial(prover, one))
            for name, one in zip(names, found, strict=True)
        ]
        return Centre(
            keys,
            witness="".join(f"{text}\n" for text in texts),
            roots=roots,
            calendar=b"# no election\n",
            cosigned=cosigned,
            resumed=lambda origin: self.bench.store.statements(origin, RESUMED),
            stations=lambda codes: "".join(
                ["code\n", *(f"{c}\n" for c in codes)]
            ).encode(),
            signer=(WITNESS_NAME, WITNESS) if signs else None,
        )


def witnessed(
    folder: Path, keys: Sequence[StationKey], lines: Sequence[bytes]
) -> Nation:
    """Let a witness cosign the seals in lines, and build a national root."""
    folder.mkdir()
    bench = Bench(folder)
    bench.keys.apply([DeviceKey(k.station, k.name, k.key, 0) for k in keys])
    sealed = [decode(line) for line in lines if line.startswith(b"seal,")]
    arrivals = (
        read_point(Arrival(r.tags["station"], r.tags["regency"], r.time_ns), r.fields)
        for r in sealed
    )
    bench.check(*arrivals, at_ns=NOW_NS)
    built = root.build(bench.store, WITNESS_NAME, WITNESS, NOW_NS // 10**9)
    return Nation(bench, built)


def bundle_of(
    folder: Path, lines: Sequence[bytes], centre: Centre, *more: Source
) -> Bundled:
    """Write a bundle of lines and of other sources."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent / f"{folder.name}.lp"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return write_bundle([*more, LineFile(path)], folder, centre)


def journal_source(folder: Path) -> Source:
    """Return the source of a journal's file."""
    (source,) = open_sources(folder / "journal.sqlite3")
    return source
