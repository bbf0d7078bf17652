"""The national root: a Merkle tree over the newest checkpoint of every journal.

Leaf 0 is the text of the root before, so that one published root fixes all earlier
ones. The other leaves are the texts of the checkpoints, in the order in which the
witness first saw the journals. The root is a checkpoint of its own log: its origin
names the moment, because each tree is a new one and does not extend the one before.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from qos_agent.evidence import checkpoints, cosignatures, notes
from qos_agent.evidence.merkle import (
    CompactRange,
    inclusion_proof,
    leaf_hash,
    node_hash,
)
from qos_agent.evidence.notes import Checkpoint, Note, Signature
from qos_agent.evidence.proofs import TreeProof
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.noc.witness.records import StoredRoot, StoredSeal
from qos_agent.noc.witness.store import WitnessStore
from qos_agent.system.files import write_atomically

FILE_NAME = "national-root.txt"
# About a minute of hashing: the roots of a day for a nation, and all of a province.
_LEAVES_MAX = 20_000_000
_FIRST = "qos-agent national root: there is no root before\n"


@dataclass(frozen=True, slots=True)
class Root:
    """A national root: its time, its signed note, and what its tree contains."""

    at_s: int
    last_seal: int
    before: str
    note: Note

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of the tree; a leaf more than there are journals."""
        return notes.parse_checkpoint(self.note.text)


def build(store: WitnessStore, name: str, signer: Signer, at_s: int) -> Root:
    """Build, sign and store the root of all seals that are cosigned now.

    Raises SigningError, sqlite3.Error.
    """
    previous = newest(store)
    before = _FIRST if previous is None else previous.note.text
    last_seal = store.last_seal_id()
    tree = CompactRange().extended(_leaves(store, before, last_seal))
    text = Checkpoint(_origin(name, at_s), tree.size, tree.root()).text()
    cosigned = cosignatures.cosigned(text, at_s, signer)
    lines = (
        checkpoints.signature(name, text, signer),
        cosigned.line(name, signer.public_key.raw),
    )
    root = Root(at_s, last_seal, before, Note(text, lines))
    store.add_root(at_s, last_seal, before, root.note.to_bytes())
    return root


def newest(store: WitnessStore, since_s: int | None = None) -> Root | None:
    """Return the newest root, or the first one since a moment, or None."""
    found = store.root(since_s)
    return None if found is None else _root(found)


def newest_with_proofs(
    store: WitnessStore, leaves_max: int = _LEAVES_MAX
) -> list[Root]:
    """Return the newest roots whose trees have a number of leaves in sum, oldest first.

    A proof needs the whole tree of its root again.
    """
    last = newest(store)
    if last is None:
        return []
    count = max(1, leaves_max // last.checkpoint.size)
    return [_root(one) for one in reversed(store.roots(count))]


def _root(found: StoredRoot) -> Root:
    note = notes.parse_note(found.note)
    return Root(found.at_s, found.last_seal, found.before, note)


def publish(root: Root, folder: Path) -> Path:
    """Write the root to the file that others may print or copy. Raises OSError."""
    path = folder / FILE_NAME
    write_atomically(path, root.note.to_bytes().decode())
    return path


def proof_of(
    store: WitnessStore, root: Root, origin: str, name: str, key: PublicKey
) -> TreeProof | None:
    """Return the proof that a root contains a journal's checkpoint, or None.

    `name` and `key` are those of the witness, for its cosignature in the entry's note.
    """
    return prover(store, root, name, key)(origin)


def prover(
    store: WitnessStore, root: Root, name: str, key: PublicKey
) -> Callable[[str], TreeProof | None]:
    """Return a function that makes the proof of each journal from one tree."""
    leaves = list(_leaves(store, root.before, root.last_seal))
    places = {leaf: index for index, leaf in enumerate(leaves)}
    node = _nodes(leaves)

    def proof(origin: str) -> TreeProof | None:
        journal = store.journal(origin)
        seal = store.newest_seal(journal.id, root.last_seal) if journal else None
        if seal is None:
            return None
        index = places[leaf_hash(seal.checkpoint.text().encode())]
        hashes = inclusion_proof(index, len(leaves), node)
        note = cosigned_note(seal, name, key).to_bytes()
        return TreeProof(index, hashes, root.note.to_bytes(), note)

    return proof


def cosigned_note(seal: StoredSeal, name: str, key: PublicKey) -> Note:
    """Return the note of a seal with the device's signature and the cosignature."""
    origin = seal.checkpoint.origin
    identity = notes.key_id(origin, seal.key)
    device = Signature(origin, identity, seal.signature)
    return Note(seal.checkpoint.text(), (device, seal.cosignature.line(name, key.raw)))


def _origin(name: str, at_s: int) -> str:
    moment = datetime.fromtimestamp(at_s, UTC)
    return f"{name}/root/{moment:%Y%m%dT%H%M%SZ}"


def _leaves(store: WitnessStore, before: str, last_seal: int) -> Iterable[bytes]:
    yield leaf_hash(before.encode())
    for origin, size, root in store.newest_seals(last_seal):
        encoded = base64.b64encode(root).decode("ascii")
        yield leaf_hash(f"{origin}\n{size}\n{encoded}\n".encode())


def _nodes(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """Return the roots of complete subtrees, each calculated once."""
    levels = [list(leaves)]

    def node(level: int, index: int) -> bytes:
        while len(levels) <= level:
            below = levels[-1]
            pairs = zip(below[::2], below[1::2], strict=False)
            levels.append([node_hash(left, right) for left, right in pairs])
        return levels[level][index]

    return node
