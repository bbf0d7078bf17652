"""The check of each arriving seal, and the cosignature of consistent ones.

A seal is cosigned only if its proof continues the newest cosigned seal of its journal.
One whose predecessor has not arrived waits for it. Nothing that was cosigned changes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from qos_agent.evidence import checkpoints, cosignatures, handover, library, notes
from qos_agent.evidence.merkle import split, verify_consistency
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.resumption import beginning
from qos_agent.evidence.signer import Signer
from qos_agent.noc.register.keys import KeyRegister
from qos_agent.noc.witness.records import RESUMED, JournalState, Problem, SignedSeal
from qos_agent.noc.witness.seals import (
    Arrival,
    Arrived,
    HandoverPoint,
    Malformed,
    Seal,
)
from qos_agent.noc.witness.store import WitnessStore

_log = logging.getLogger(__name__)
# A device seals at most every ten minutes, so this is a day on which nothing arrived.
WAITING_MAX = 200

INVALID = "seal_invalid"
UNKNOWN_KEY = "seal_unknown_key"
INCONSISTENT = "seal_inconsistent"
FORKED = "seal_forked"
TWO_JOURNALS = "seal_two_journals"
HANDOVER = "seal_handover"
MISSING = "seal_missing"
LATE = "seal_late"


@dataclass(slots=True)
class Tally:
    """The result of a batch: numbers by outcome."""

    cosigned: int = 0
    known: int = 0
    waiting: int = 0
    problems: int = 0
    handovers: int = 0


@dataclass(slots=True)
class Checker:
    """Checks arrivals against the register's keys and the database of the witness.

    `name` is that of the witness in its signatures.
    """

    store: WitnessStore
    keys: KeyRegister
    signer: Signer
    name: str
    _tally: Tally = field(default_factory=Tally)

    def check(self, arrivals: Iterable[Arrived], now_ns: int) -> Tally:
        """Check what arrived, in one transaction. Raises SigningError, sqlite3.Error.

        Hand-overs come first and then seals by size, because their order of arrival
        says nothing about their order on the device.
        """
        self._tally = Tally()
        arrived = list(arrivals)
        seals = [one for one in arrived if isinstance(one, Seal)]
        with self.store.transaction():
            for one in arrived:
                if isinstance(one, HandoverPoint):
                    self._check_handover(one, now_ns)
                elif isinstance(one, Malformed):
                    subject = f"{one.arrival.station} {one.arrival.at_ns}"
                    self._problem(INVALID, subject, one.arrival, one.reason, now_ns)
            for seal in sorted(seals, key=lambda seal: seal.checkpoint.size):
                self._check_seal(seal, now_ns)
        return self._tally

    def resume(self, seal: SignedSeal, now_ns: int) -> int:
        """Cosign a waiting seal without its predecessor, and those that continue it.

        Call it in a transaction. Returns the number of cosigned seals.
        """
        self._tally = Tally()
        self._cosign(seal, now_ns)
        self._link_waiting(seal, now_ns)
        self.store.end_problems(MISSING, [seal.origin])
        return self._tally.cosigned

    def _check_seal(self, seal: Seal, now_ns: int) -> None:
        journal = self.store.journal(seal.checkpoint.origin)
        if journal is not None and self._is_known(journal, seal):
            self._tally.known += 1
            return
        signed = self._signed(seal, now_ns)
        if signed is not None:
            self._link(journal, signed, now_ns)

    def _is_known(self, journal: JournalState, seal: Seal) -> bool:
        """Return True if the same seal is cosigned, or is older than the first one."""
        size = seal.checkpoint.size
        root = self.store.root_of(journal.id, size)
        return root == seal.checkpoint.root or size < journal.first_size

    def _signed(self, seal: Seal, now_ns: int) -> SignedSeal | None:
        """Return the seal with its key if the signature is correct, else report it."""
        arrival, origin = seal.arrival, seal.checkpoint.origin
        key = self.keys.at(arrival.station, arrival.at_s)
        subject = _subject(seal.checkpoint)
        if key is None:
            problem = f"{origin}: no key of the station is registered for that time"
            self._problem(UNKNOWN_KEY, arrival.station, arrival, problem, now_ns)
            return None
        identity = notes.key_id(origin, key.key.raw)
        own = [
            s for s in seal.note.signatures if (s.name, s.key_id) == (origin, identity)
        ]
        if origin.rpartition("/")[0] != key.name or not own:
            problem = (
                f"{origin}: not signed by the registered key {key.key.fingerprint}"
            )
            self._problem(UNKNOWN_KEY, subject, arrival, problem, now_ns)
            return None
        verifier = library.fastest_key(key.key)
        if not checkpoints.is_signed_by(seal.note, origin, verifier):
            problem = f"{origin}: the signature of the registered key is wrong"
            self._problem(INVALID, subject, arrival, problem, now_ns)
            return None
        return SignedSeal(
            origin,
            seal.checkpoint.size,
            arrival.station,
            arrival.regency,
            seal.previous,
            seal.checkpoint.root,
            key.key.raw,
            own[0].signature,
            b"".join(seal.proof),
            arrival.at_ns,
        )

    def _link(
        self, journal: JournalState | None, seal: SignedSeal, now_ns: int
    ) -> None:
        """Cosign the seal if it continues the journal, let it wait, or report it."""
        if journal is None:
            self._cosign(seal, now_ns)
        elif seal.size <= journal.size or self._is_second(journal, seal):
            text = (
                f"{seal.origin}: a seal of {seal.size} points does not fit the seals "
                f"up to {journal.size} points"
            )
            self._problem_of(FORKED, seal, text, now_ns)
            return
        elif seal.previous == journal.size:
            if not self._continues(journal, seal, now_ns):
                return
            self._cosign(seal, now_ns)
        else:
            self.store.add_waiting(seal, now_ns, WAITING_MAX)
            self._tally.waiting += 1
            return
        self._link_waiting(seal, now_ns)

    def _link_waiting(self, seal: SignedSeal, now_ns: int) -> None:
        """Cosign the waiting seals that the newest one has made provable."""
        newest = seal
        while following := self.store.waiting_after(newest.origin, newest.size):
            journal = self.store.journal(newest.origin)
            if journal is None or not self._continues(journal, following, now_ns):
                break
            self._cosign(following, now_ns)
            newest = following
        if newest is not seal:
            self.store.end_problems(MISSING, [newest.origin])
        self.store.remove_waiting(newest.origin, newest.size)

    def _is_second(self, journal: JournalState, seal: SignedSeal) -> bool:
        """Return True if another seal has this size, or continues the same one."""
        waiting = self.store.waiting_root(seal.origin, seal.size)
        if waiting not in {None, seal.root}:
            return True
        return seal.previous is not None and seal.previous < journal.size

    def _continues(self, journal: JournalState, seal: SignedSeal, now_ns: int) -> bool:
        proof = split(seal.proof)
        if verify_consistency(journal.size, seal.size, proof, journal.root, seal.root):
            return True
        text = (
            f"{seal.origin}: the seal of {seal.size} points does not continue that of "
            f"{journal.size} points"
        )
        self._problem_of(INCONSISTENT, seal, text, now_ns)
        return False

    def _cosign(self, seal: SignedSeal, now_ns: int) -> None:
        text = seal.checkpoint().text()
        cosignature = cosignatures.cosigned(text, now_ns // 10**9, self.signer)
        is_new = self.store.journal(seal.origin) is None
        self.store.add_cosigned(seal, cosignature, now_ns)
        if is_new:
            self.store.apply_handovers(seal.origin)
            self._state_beginning(seal, now_ns)
        self._tally.cosigned += 1
        self.store.end_problems(LATE, [seal.station])
        journal = self.store.journal(seal.origin)
        if journal and journal.ended_ns is not None and seal.at_ns > journal.ended_ns:
            text = f"{seal.origin}: goes on after it was handed over to another journal"
            self._problem_of(TWO_JOURNALS, seal, text, now_ns)

    def _state_beginning(self, seal: SignedSeal, now_ns: int) -> None:
        """Sign that the seals before the first one that was read have no cosignature.

        Without the statement their missing cosignatures would be those that someone
        removed.
        """
        if seal.previous is None:
            return
        text = beginning(seal.checkpoint()).text()
        note = checkpoints.signed(self.name, text, self.signer)
        origins = (seal.origin, seal.origin)
        place = seal.station, RESUMED, now_ns
        self.store.add_handover(origins, *place, note.to_bytes())

    def _check_handover(self, point: HandoverPoint, now_ns: int) -> None:
        arrival = point.arrival
        try:
            found = _verified(point.note)
        except ValueError as error:
            subject = f"{arrival.station} {arrival.at_ns}"
            self._problem(INVALID, subject, arrival, f"hand-over: {error}", now_ns)
            return
        key = self.keys.at(arrival.station, arrival.at_s)
        if key is None or key.key != found.new_key:
            fingerprint = found.new_key.fingerprint
            text = f"hand-over to a key that is not registered ({fingerprint})"
            subject = f"{found.new.origin} {fingerprint}"
            self._problem(UNKNOWN_KEY, subject, arrival, text, now_ns)
            return
        origins = (found.old.origin, found.new.origin)
        note = point.note.to_bytes()
        if not self.store.add_handover(
            origins, arrival.station, found.kind.value, arrival.at_ns, note
        ):
            return
        for origin in origins:
            self.store.apply_handovers(origin)
        text = f"{found.kind}: from {origins[0]} of {found.old.size} points"
        subject = f"{origins[1]} {arrival.at_ns}"
        self._tally.handovers += 1
        self._record(HANDOVER, subject, arrival, text, now_ns)

    def _problem(
        self,
        kind: str,
        subject: str,
        arrival: Arrival | SignedSeal,
        text: str,
        now_ns: int,
    ) -> None:
        self._tally.problems += 1
        self._record(kind, subject, arrival, text, now_ns)

    def _record(
        self,
        kind: str,
        subject: str,
        arrival: Arrival | SignedSeal,
        text: str,
        now_ns: int,
    ) -> None:
        a = arrival
        problem = Problem(kind, subject, a.station, a.regency, a.at_ns, text)
        if self.store.add_problem(problem, now_ns):
            _log.warning("witness: %s: station %s: %s", kind, a.station, text)

    def _problem_of(self, kind: str, seal: SignedSeal, text: str, now_ns: int) -> None:
        self._problem(kind, _subject(seal.checkpoint()), seal, text, now_ns)


def _subject(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.origin} {checkpoint.size} {checkpoint.root.hex()[:16]}"


def _verified(note: Note) -> handover.Handover:
    """Return a hand-over whose signatures are correct. Raises ValueError."""
    found = handover.parse_handover(note.text)
    names = (found.old.origin, found.new.origin)
    return handover.verified(note, *(name.rpartition("/")[0] for name in names))


def find_missing(store: WitnessStore, now_ns: int, missing_s: float) -> int:
    """Record the journals of which a seal has not arrived for a time."""
    count = 0
    for seal, _ in store.gaps(now_ns - int(missing_s * 1e9)):
        text = f"{seal.origin}: the seal before that of {seal.size} points is missing"
        problem = Problem(
            MISSING, seal.origin, seal.station, seal.regency, seal.at_ns, text
        )
        count += store.add_problem(problem, now_ns)
    return count


def find_two_journals(store: WitnessStore, from_ns: int, to_ns: int) -> int:
    """Record the journals that began in a span without a hand-over from another one.

    The hand-over is stored in the same commit as the first seal, and arrives with it.
    """
    count = 0
    for journal in store.begun_between(from_ns, to_ns):
        others = store.under_key(journal.key)
        before = [o for o in others if o.first_ns < journal.first_ns]
        if not before:
            continue
        text = f"{journal.origin}: began without a hand-over from {before[-1].origin}"
        problem = Problem(
            TWO_JOURNALS,
            journal.origin,
            journal.station,
            journal.regency,
            journal.first_ns,
            text,
        )
        count += store.add_problem(problem, to_ns)
    return count
