"""Hand-overs of a device: the statement about a new journal, device name or key."""

from __future__ import annotations

import logging
from pathlib import Path

from qos_agent.agent.seal_points import newest_texts, seal_reading
from qos_agent.evidence import handover, keys
from qos_agent.evidence.handover import Kind
from qos_agent.evidence.last_seal import LastSeal
from qos_agent.evidence.notes import Checkpoint
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.journal import Journal
from qos_agent.model import Reading, Value
from qos_agent.model.errors import SigningError

_log = logging.getLogger(__name__)


def reading(
    folder: Path,
    last: LastSeal,
    new: Checkpoint,
    signer: Signer,
    reason: str | None,
    boot_ns: int,
) -> Reading:
    """Return the hand-over from a seal; `reason` is why the journal was created.

    Raises SigningError.
    """
    kind = _kind(last, new, reason)
    names = (_key_name(last.checkpoint), _key_name(new))
    old_signer = _retired(folder, last.key)
    before = (last.checkpoint, last.key)
    note = handover.statement(kind, before, (new, signer), names, old_signer)
    _log.warning("seal: hand-over (%s) from %s", kind, last.checkpoint.origin)
    fields: dict[str, Value] = {"cause": "handover", "handover": kind.value}
    return seal_reading(new, note, signer.public_key, fields, boot_ns)


def is_stored(journal: Journal, origin: str, key: PublicKey) -> bool:
    """Return True if the last points have a hand-over to an origin and a key."""
    for text in newest_texts(journal, journal.tree().size):
        try:
            found = handover.parse_handover(text)
        except ValueError:
            continue  # A seal.
        if (found.new.origin, found.new_key) == (origin, key):
            return True
    return False


def _kind(last: LastSeal, new: Checkpoint, reason: str | None) -> Kind:
    if _key_name(last.checkpoint) != _key_name(new):
        return Kind.DEVICE
    if last.checkpoint.origin == new.origin:
        return Kind.KEY
    # A journal that was sealed before, or that has no reason, is an old copy.
    return Kind(reason) if reason in set(Kind) else Kind.RESTORED


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
