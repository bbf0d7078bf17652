"""Seals: signed checkpoints of the journal's tree, and hand-overs between journals.

A seal covers all points that are committed. It is a point itself, so the next seal
covers it. Without a key there are no seals, and nothing else changes.
"""

from __future__ import annotations

import base64
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qos_agent.agent import handing_over
from qos_agent.agent.seal_points import newest_checkpoint, seal_reading
from qos_agent.evidence import checkpoints, keys, last_seal
from qos_agent.evidence.last_seal import LastSeal
from qos_agent.evidence.notes import Checkpoint
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.journal import Anchor, Journal
from qos_agent.journal.opening import CREATED
from qos_agent.model import Phase, Reading, Value
from qos_agent.model.errors import SigningError, StorageError

_log = logging.getLogger(__name__)

_FAST_S, _USUAL_S = 600.0, 3600.0
_INTERVALS_S = {Phase.VOTING: _FAST_S, Phase.COUNTING: _FAST_S}
# After a failure, such as a missing program, the next try waits this long.
_RETRY_S = 60.0
_SEALED = "sealed"
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
        # The seal before a hand-over, until the journal has the hand-over. A power cut
        # between the two would lose it otherwise.
        self._before = last_seal.read(folder, last_seal.BEFORE_NAME)
        # None until the first seal, and then the seal that the next one continues.
        self._newest: Checkpoint | None = None
        self._next_ns = 0
        self._phase: Phase | None = None
        self.state = SealState(problem or (None if signer else NO_KEY))

    def due(self, phase: Phase, boot_ns: int) -> str | None:
        """Return the cause of a seal that is due now, or None."""
        if self._signer is None:
            return None
        self._confirm(self._signer.public_key)
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
        readings = self._handovers(checkpoint, signer, boot_ns)
        fields = self._continued(checkpoint)
        note = checkpoints.signed(name, checkpoint.text(), signer)
        fields |= {"cause": cause, "signature": note.signatures[0].signature.hex()}
        key = signer.public_key
        readings.append(seal_reading(checkpoint, note, key, fields, boot_ns))
        last_seal.write(self._folder, note, key)
        self._last = LastSeal(checkpoint, key)
        self._newest = checkpoint
        if self._before is None:
            self._mark_sealed()
        self.state = SealState(None, tree.size, boot_ns)
        return readings

    def _continued(self, checkpoint: Checkpoint) -> dict[str, Value]:
        """Return the size of the seal before and the consistency proof.

        Raises ValueError if the journal does not continue it. That is a bug, or the
        file was changed while the agent runs: opening a journal checks the same.
        """
        before = self._newest or self._continues(checkpoint)
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

    def _continues(self, checkpoint: Checkpoint) -> Checkpoint | None:
        """Return the seal that the first one of this process continues.

        The witness needs a chain without a gap. A seal that was written to its file but
        not to the journal, as in a power cut, is never delivered, so the newest seal in
        the journal counts. A seal that waits for a clock is only in the file so far.
        """
        last = None if self._last is None else self._last.checkpoint
        if self._journal.counts().pending:
            return last
        return newest_checkpoint(self._journal, checkpoint) or last

    def _handovers(
        self, new: Checkpoint, signer: Signer, boot_ns: int
    ) -> list[Reading]:
        """Return the hand-overs that the journal lacks, and keep the seal before."""
        self._confirm(signer.public_key)
        before, last = self._before, self._last
        found = []
        # A hand-over that waits for a clock is stored, but its line is not known.
        if before is not None and not self._journal.counts().pending:
            found.append(before)
        if last is not None and last != before:
            found.append(last)
        others = [one for one in found if _is_other(one, new.origin, signer.public_key)]
        if last in others and before not in others:
            last_seal.keep_before(self._folder)
            self._before = last
        reason = self._journal.state(CREATED)
        return [
            handing_over.reading(self._folder, one, new, signer, reason, boot_ns)
            for one in others
        ]

    def _confirm(self, key: PublicKey) -> None:
        """Forget the seal before a hand-over once the journal has the hand-over.

        An error of the disk leaves it, so that a later call tries again.
        """
        if self._before is None:
            return
        origin = checkpoints.origin(self._device, self._journal.id)
        with suppress(OSError, StorageError):
            if handing_over.is_stored(self._journal, origin, key):
                last_seal.forget_before(self._folder)
                self._before = None
                self._mark_sealed()

    def _mark_sealed(self) -> None:
        if self._journal.state(CREATED) != _SEALED:
            self._journal.set_state(CREATED, _SEALED)


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
