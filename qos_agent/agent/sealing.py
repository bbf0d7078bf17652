"""Seals: signed checkpoints of the journal's tree, and hand-overs between journals.

A seal covers all points that are committed. It is a point itself, so the next seal
covers it. Without a key there are no seals, and nothing else changes.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from pathlib import Path

from qos_agent.evidence import checkpoints, handover, keys, last_seal, notes
from qos_agent.evidence.handover import Kind
from qos_agent.evidence.last_seal import LastSeal
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.journal import Anchor, Journal
from qos_agent.journal.opening import CREATED
from qos_agent.model import Outcome, Phase, Reading, Sample, Value
from qos_agent.model.errors import SigningError, StorageError
from qos_agent.model.line_protocol import decode

_log = logging.getLogger(__name__)

_FAST_S, _USUAL_S = 600.0, 3600.0
_INTERVALS_S = {Phase.VOTING: _FAST_S, Phase.COUNTING: _FAST_S}
# After a failure, such as a missing program, the next try waits this long.
_RETRY_S = 60.0
_SEALED = "sealed"
# The newest seal is searched in as many points as an agent stores in hours.
_SEARCHED_POINTS = 10_000
NO_KEY = "no device key; create one: qos-agent enrol --self"


@dataclass(frozen=True, slots=True)
class SealState:
    """The state of sealing: the problem if there is one, and the last seal."""

    problem: str | None
    size: int | None = None
    boot_ns: int | None = None


class Sealer:
    """Makes the seals of one agent. For use by the main loop only."""

    def __init__(
        self,
        journal: Journal,
        device: str,
        signer: Signer | None,
        folder: Path,
        problem: str | None = None,
    ) -> None:
        self._journal = journal
        self._device = device
        self._signer = signer
        self._folder = folder
        self._last = last_seal.read(folder)
        # None until the first seal, and then the seal that the next one continues.
        self._newest: Checkpoint | None = None
        self._next_ns = 0
        self._phase: Phase | None = None
        self.state = SealState(problem or (None if signer else NO_KEY))

    def due(self, phase: Phase, boot_ns: int) -> str | None:
        """Return the cause of a seal that is due now, or None."""
        if self._signer is None:
            return None
        if self._phase not in (None, phase):
            return "phase"
        return "interval" if boot_ns >= self._next_ns else None

    def seal(self, cause: str, phase: Phase, boot_ns: int) -> list[Reading]:
        """Return a seal of all committed points, after a hand-over if one is needed.

        The list is empty without a key, if no point is new, or if signing fails.
        """
        if self._signer is None:
            return []
        self._phase, self._next_ns = phase, boot_ns + int(_RETRY_S * 1e9)
        try:
            readings = self._sealed(self._signer, cause, boot_ns)
        except (SigningError, StorageError, OSError, LookupError, ValueError) as error:
            if self.state.problem != str(error):
                _log.error("seal: %s", error)
            size, at_ns = self.state.size, self.state.boot_ns
            self.state = SealState(str(error), size, at_ns)
            return []
        if readings:
            self._next_ns = boot_ns + int(_INTERVALS_S.get(phase, _USUAL_S) * 1e9)
        return readings

    def _sealed(self, signer: Signer, cause: str, boot_ns: int) -> list[Reading]:
        tree = self._journal.tree()
        if not tree.complete or not tree.size:
            return []
        name = checkpoints.origin(self._device, self._journal.id)
        checkpoint = Checkpoint(name, tree.size, tree.root())
        readings = []
        previous = self._last
        if previous is not None and _is_other(previous, name, signer.public_key):
            readings.append(self._handover(previous, checkpoint, signer, boot_ns))
        fields = self._continued(checkpoint)
        note = checkpoints.signed(name, checkpoint.text(), signer)
        fields |= {"cause": cause, "signature": note.signatures[0].signature.hex()}
        readings.append(_reading(checkpoint, note, signer.public_key, fields, boot_ns))
        last_seal.write(self._folder, note, signer.public_key)
        self._last = LastSeal(checkpoint, signer.public_key)
        self._newest = checkpoint
        if self._journal.state(CREATED) != _SEALED:
            self._journal.set_state(CREATED, _SEALED)
        self.state = SealState(None, tree.size, boot_ns)
        return readings

    def _continued(self, checkpoint: Checkpoint) -> dict[str, Value]:
        """Return the size of the seal before and the consistency proof.

        Raises ValueError if the journal does not continue it. That is a bug, or the
        file was changed while the agent runs: opening a journal checks the same.
        """
        before = self._newest or self._before(checkpoint)
        if before is None or before.origin != checkpoint.origin:
            return {}
        root, proof = self._journal.consistency(before.size, checkpoint.size)
        related = checkpoints.relation(before, checkpoint, proof)
        if root != before.root or related is not checkpoints.Relation.CONSISTENT:
            raise ValueError(
                f"the journal does not continue its seal of {before.size} points. Fix:"
                " restart the agent, which starts a new journal"
            )
        encoded = base64.b64encode(b"".join(proof)).decode("ascii")
        return {"previous": before.size, **({"proof": encoded} if encoded else {})}

    def _before(self, checkpoint: Checkpoint) -> Checkpoint | None:
        """Return the seal that the first one of this process continues.

        The witness needs a chain without a gap. A seal that was written to its file but
        not to the journal, as in a power cut, is never delivered, so the newest seal in
        the journal counts. A seal that waits for a clock is only in the file so far.
        """
        last = None if self._last is None else self._last.checkpoint
        if self._journal.counts().pending:
            return last
        return _stored(self._journal, checkpoint) or last

    def _handover(
        self, last: LastSeal, new: Checkpoint, signer: Signer, boot_ns: int
    ) -> Reading:
        kind = self._kind(last, new)
        names = (_key_name(last.checkpoint), _key_name(new))
        old_signer = _retired(self._folder, last.key)
        before = (last.checkpoint, last.key)
        note = handover.statement(kind, before, (new, signer), names, old_signer)
        _log.warning("seal: hand-over (%s) from %s", kind, last.checkpoint.origin)
        fields: dict[str, Value] = {"cause": "handover", "handover": kind.value}
        return _reading(new, note, signer.public_key, fields, boot_ns)

    def _kind(self, last: LastSeal, new: Checkpoint) -> Kind:
        if _key_name(last.checkpoint) != _key_name(new):
            return Kind.DEVICE
        if last.checkpoint.origin == new.origin:
            return Kind.KEY
        # A journal that was sealed before, or that has no reason, is an old copy.
        reason = self._journal.state(CREATED)
        return Kind(reason) if reason in set(Kind) else Kind.RESTORED


def _stored(journal: Journal, new: Checkpoint) -> Checkpoint | None:
    """Return the newest seal among the last points of a journal, or None."""
    found = None
    for _, line in journal.lines(max(0, new.size - _SEARCHED_POINTS)):
        if line.startswith(b"seal,"):
            found = _checkpoint_of(line, new.origin) or found
    return found


def _checkpoint_of(line: bytes, origin: str) -> Checkpoint | None:
    """Return the checkpoint of a seal's line, or None if it is of another origin."""
    try:
        content = notes.decoded(str(decode(line).fields["note"]))
        checkpoint = notes.parse_checkpoint(notes.parse_note(content).text)
    except (KeyError, ValueError):
        return None  # A hand-over, or a line that `journal verify` will name.
    return checkpoint if checkpoint.origin == origin else None


def anchor(folder: Path) -> Anchor | None:
    """Return the last seal as the journal checks it when it is opened."""
    last = last_seal.read(folder)
    if last is None:
        return None
    journal = last.checkpoint.origin.rpartition("/")[2]
    return Anchor(journal, last.checkpoint.size, last.checkpoint.root)


def load(journal: Journal, device: str, folder: Path, path: Path) -> Sealer:
    """Return the sealer; a key that cannot be used is its problem, not an exception."""
    try:
        return Sealer(journal, device, keys.load_signer(path), folder)
    except SigningError as error:
        _log.error("seal: %s", error)
        return Sealer(journal, device, None, folder, str(error))


def _is_other(last: LastSeal, origin: str, key: PublicKey) -> bool:
    return last.checkpoint.origin != origin or last.key != key


def _key_name(checkpoint: Checkpoint) -> str:
    """Return the name of the device's key: the origin without the journal."""
    return checkpoint.origin.rpartition("/")[0]


def _retired(folder: Path, key: PublicKey) -> Signer | None:
    """Return the signer of a replaced key if its file still exists."""
    for path in keys.retired_keys(folder):
        try:
            signer = keys.load_signer(path)
        except SigningError as error:
            _log.warning("seal: %s", error)
            continue
        if signer is not None and signer.public_key == key:
            return signer
    return None


def _reading(
    checkpoint: Checkpoint,
    note: Note,
    key: PublicKey,
    fields: dict[str, Value],
    boot_ns: int,
) -> Reading:
    content = base64.b64encode(note.to_bytes()).decode("ascii")
    values: dict[str, Value] = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "key": key.fingerprint,
        "note": content,
        **fields,
    }
    return Reading("seal", Outcome.OK, boot_ns, (Sample({}, values),))
