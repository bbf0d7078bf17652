"""Continues the cosignatures of a journal of which a seal was lost permanently."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.evidence import checkpoints
from qos_agent.evidence.notes import Checkpoint
from qos_agent.evidence.resumption import Resumption
from qos_agent.noc.witness.checking import Checker
from qos_agent.noc.witness.records import RESUMED, Problem, SignedSeal
from qos_agent.noc.witness.store import WitnessStore


@dataclass(frozen=True, slots=True)
class Gap:
    """A journal that waits: its last cosigned seal, and the first one that waits."""

    before: Checkpoint
    waiting: SignedSeal

    def __str__(self) -> str:
        """Return one line."""
        sizes = f"{self.before.size} points, and the next one of {self.waiting.size}"
        return f"{self.before.origin}: cosigned up to the seal of {sizes} points waits"


def gaps_of(store: WitnessStore, station: str, now_ns: int) -> Iterator[Gap]:
    """Yield the journals of a station that wait for a seal."""
    for seal, _ in store.gaps(now_ns):
        journal = store.journal(seal.origin)
        if seal.station == station and journal is not None:
            yield Gap(Checkpoint(journal.origin, journal.size, journal.root), seal)


def resume(checker: Checker, name: str, gap: Gap, now_ns: int) -> int:
    """Cosign the waiting seals, and store a signed statement about the gap.

    Returns the number of cosigned seals. Raises SigningError, sqlite3.Error.
    """
    seal, store = gap.waiting, checker.store
    text = Resumption(gap.before, seal.checkpoint()).text()
    note = checkpoints.signed(name, text, checker.signer)
    with store.transaction():
        origins = (seal.origin, seal.origin)
        store.add_handover(origins, seal.station, RESUMED, now_ns, note.to_bytes())
        cosigned = checker.resume(seal, now_ns)
        detail = f"{gap.before.origin}: goes on with the seal of {seal.size} points"
        subject = f"{seal.origin} {gap.before.size}"
        problem = Problem(
            RESUMED, subject, seal.station, seal.regency, seal.at_ns, detail
        )
        store.add_problem(problem, now_ns)
    return cosigned
