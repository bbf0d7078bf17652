"""Devices with keys in memory, whose seals the tests deliver, change and forge."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from qos_agent.evidence import checkpoints, handover
from qos_agent.evidence.handover import Kind
from qos_agent.evidence.merkle import CompactRange, consistency_proof, leaf_hash
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode
from qos_agent.noc.register.keys import DeviceKey, KeyRegister
from qos_agent.noc.witness.checking import Checker, Tally
from qos_agent.noc.witness.seals import Arrival, Arrived, read_point
from qos_agent.noc.witness.store import WitnessStore
from tests.evidence.support import MemorySigner, nodes

STATION, OTHER = "3171010001001", "3171010001002"
NOW_NS = 1_700_000_000 * 10**9
MINUTE_NS = 60 * 10**9
WITNESS = MemorySigner(1000)
WITNESS_NAME = "witness.example/noc"


@dataclass(slots=True)
class SealedDevice:
    """A device that grows a journal and seals it."""

    number: int = 1
    station: str = STATION
    journal: str = "a"
    leaves: list[bytes] = field(default_factory=list)
    previous: int | None = None
    at_ns: int = NOW_NS

    @property
    def signer(self) -> MemorySigner:
        """Its key."""
        return MemorySigner(self.number)

    @property
    def name(self) -> str:
        """The name it signs with."""
        return f"qos-agent/pi-{self.number}"

    @property
    def origin(self) -> str:
        """The origin of its journal."""
        return checkpoints.origin(f"pi-{self.number}", self.journal)

    def grow(self, count: int, text: str = "") -> SealedDevice:
        """Add points; with another text they are other points."""
        first = len(self.leaves)
        names = (f"{text}{self.origin} {n}" for n in range(first, first + count))
        self.leaves += [leaf_hash(name.encode()) for name in names]
        return self

    def copy(self) -> SealedDevice:
        """Return a device with a copy of the card."""
        leaves = list(self.leaves)
        return SealedDevice(
            self.number, self.station, self.journal, leaves, self.previous, self.at_ns
        )

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint of all points."""
        root = CompactRange().extended(self.leaves).root()
        return Checkpoint(self.origin, len(self.leaves), root)

    def seal(self) -> dict[str, Value]:
        """Seal all points ten minutes after the last seal, and return the fields."""
        self.at_ns += 10 * MINUTE_NS
        checkpoint = self.checkpoint()
        note = checkpoints.signed(self.origin, checkpoint.text(), self.signer)
        fields: dict[str, Value] = {"note": _encoded(note), "cause": "interval"}
        if self.previous is not None:
            size = len(self.leaves)
            proof = consistency_proof(self.previous, size, nodes(self.leaves))
            fields["previous"] = self.previous
            if proof:
                fields["proof"] = base64.b64encode(b"".join(proof)).decode()
        self.previous = len(self.leaves)
        return fields

    def handed_from(
        self, old: SealedDevice, kind: Kind, *, by_old: bool = True
    ) -> dict[str, Value]:
        """Return the hand-over from another journal or key to the present one."""
        before = (old.checkpoint(), old.signer.public_key)
        names = (old.name, self.name)
        signer = old.signer if by_old else None
        after = (self.checkpoint(), self.signer)
        note = handover.statement(kind, before, after, names, signer)
        return {"note": _encoded(note), "cause": "handover", "handover": kind.value}

    def key(self, valid_from: int = 0) -> DeviceKey:
        """Return its key for the register."""
        return DeviceKey(self.station, self.name, self.signer.public_key, valid_from)

    def arrived(self, fields: dict[str, Value], station: str = "") -> Arrived:
        """Return a point as the witness reads it, perhaps under another station."""
        code = station or self.station
        return read_point(Arrival(code, code[:4], self.at_ns), fields)

    def line(self, fields: dict[str, Value], station: str = "") -> bytes:
        """Return the point's line."""
        code = station or self.station
        tags = {"station": code, "province": code[:2], "regency": code[:4]}
        return encode(Record("seal", {**tags, "phase": "pre"}, fields, self.at_ns))


def _encoded(note: Note) -> str:
    return base64.b64encode(note.to_bytes()).decode()


class Bench:
    """A checker with its databases, and the kinds of problems that it has found."""

    def __init__(
        self, folder: Path | None, devices: Iterable[SealedDevice] = ()
    ) -> None:
        memory = Path(":memory:")
        self.keys = KeyRegister(folder / "register.sqlite3" if folder else memory)
        self.store = WitnessStore(folder / "witness.sqlite3" if folder else memory)
        self.checker = Checker(self.store, self.keys, WITNESS, WITNESS_NAME)
        self.keys.apply([device.key() for device in devices])

    def close(self) -> None:
        """Close the databases."""
        self.store.close()
        self.keys.close()

    def check(self, *arrived: Arrived, at_ns: int = NOW_NS) -> Tally:
        """Check arrivals as one batch."""
        return self.checker.check(arrived, at_ns)

    def kinds(self) -> list[str]:
        """Return the kinds of all problems, without the hand-overs."""
        found = [problem.kind for problem in self.store.problems()]
        return sorted(kind for kind in found if kind != "seal_handover")

    def size(self, origin: str) -> int:
        """Return the size of the newest cosigned seal."""
        journal = self.store.journal(origin)
        return 0 if journal is None else journal.size
