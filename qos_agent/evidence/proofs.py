"""Proofs that a tree has an entry, as text that can be checked offline.

c2sp.org/tlog-proof: a header, the note of the entry in base64 as extra data, the index,
the hashes of the inclusion proof, an empty line, and the signed checkpoint of the tree.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from qos_agent.evidence import notes
from qos_agent.evidence.merkle import HASH_BYTES, PROOF_MAX, leaf_hash, verify_inclusion

_HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA, _INDEX = "extra ", "index "
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MAX_BYTES = 4 * notes.NOTE_MAX_BYTES


@dataclass(frozen=True, slots=True)
class TreeProof:
    """An entry with its index and hashes, and the signed checkpoint of the tree.

    `extra` is the signed note of the entry. The leaf is the text of that note.
    """

    index: int
    hashes: Sequence[bytes]
    checkpoint: bytes
    extra: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the proof as text."""
        extra = [_EXTRA + _encoded(self.extra)] if self.extra else []
        hashes = [_encoded(one) for one in self.hashes]
        lines = [_HEADER, *extra, f"{_INDEX}{self.index}", *hashes, "", ""]
        return "\n".join(lines).encode() + self.checkpoint


def parse_proof(content: bytes) -> TreeProof:
    """Read a proof. Raises ValueError if it is not well-formed or too large."""
    if len(content) > _MAX_BYTES:
        raise ValueError(f"a proof of {len(content)} bytes is too large")
    head, separator, checkpoint = content.partition(b"\n\n")
    lines = head.decode("utf-8").split("\n")
    if not separator or lines.pop(0) != _HEADER:
        raise ValueError("this is no tlog-proof of version 1")
    extra = b""
    if lines and lines[0].startswith(_EXTRA):
        extra = notes.decoded(lines.pop(0).removeprefix(_EXTRA))
    number = lines.pop(0).removeprefix(_INDEX) if lines else ""
    if not _NUMBER.fullmatch(number):
        raise ValueError("the index is not a number")
    hashes = [notes.decoded(line) for line in lines]
    if len(hashes) > PROOF_MAX or any(len(one) != HASH_BYTES for one in hashes):
        raise ValueError("the hashes of the proof are not well-formed")
    return TreeProof(int(number), hashes, checkpoint, extra)


def includes(proof: TreeProof, entry: str) -> bool:
    """Return True if the tree of the proof has the entry at its index.

    The caller checks the signatures of the checkpoint. Raises ValueError.
    """
    tree = notes.parse_checkpoint(notes.parse_note(proof.checkpoint).text)
    leaf = leaf_hash(entry.encode())
    return verify_inclusion(leaf, proof.index, tree.size, proof.hashes, tree.root)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
