"""Checks of the tree and of the seals in a journal, for `journal verify`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from qos_agent.evidence import checkpoints, handover, notes
from qos_agent.evidence.merkle import CompactRange, split
from qos_agent.evidence.signer import PublicKey
from qos_agent.journal import tree
from qos_agent.model import Value
from qos_agent.model.line_protocol import decode

_TILES = "SELECT number, root, range, leaves FROM tile ORDER BY number"
_POINTS = "SELECT seq, CAST(leaf AS BLOB) FROM point WHERE seq BETWEEN ? AND ?"
# Canonical lines begin with the measurement and a comma.
_IS_SEAL = "seq > 0 AND substr(line, 1, 5) = CAST('seal,' AS BLOB)"


def tree_faults(db: sqlite3.Connection) -> Iterator[str]:
    """Yield a fault for each tile that differs from its points or from its place."""
    if not tree.has_tiles(db):
        return
    range_ = CompactRange()
    for expected, (number, root, after, leaves) in enumerate(db.execute(_TILES)):
        first = number * tree.TILE_LEAVES + 1
        last = first + tree.TILE_LEAVES - 1
        range_ = range_.extended([root], tree.LEVEL)
        if number != expected:
            yield f"tree: tile {expected} is missing"
            return
        if after != range_.to_bytes():
            yield f"tree: the hashes up to point {last} do not match"
            return
        if leaves is not None:
            yield from _leaf_faults(db, first, split(leaves), root)


def _leaf_faults(
    db: sqlite3.Connection, first: int, leaves: Sequence[bytes], root: bytes
) -> Iterator[str]:
    last = first + tree.TILE_LEAVES - 1
    if CompactRange().extended(leaves).root() != root:
        yield f"tree: the leaves of points {first} to {last} do not match their root"
    for seq, leaf in db.execute(_POINTS, (first, last)):
        if leaf != leaves[seq - first]:
            yield f"point {seq}: its hash is not the one in the tree"


def seal_count(db: sqlite3.Connection) -> int:
    """Return the number of seals and hand-overs of this journal."""
    query = f"SELECT COUNT(*) FROM point WHERE {_IS_SEAL}"
    return int(db.execute(query).fetchone()[0])


def seal_faults(
    db: sqlite3.Connection, journal: str, keys: Sequence[PublicKey]
) -> Iterator[str]:
    """Yield a fault for each seal that differs from the tree or has a wrong signature.

    Without `keys` the signatures are not checked.
    """
    known = {key.fingerprint: key for key in keys}
    query = f"SELECT seq, line FROM point WHERE {_IS_SEAL} ORDER BY seq"
    for seq, line in db.execute(query).fetchall():
        try:
            _check_seal(db, journal, decode(line).fields, known)
        except (KeyError, ValueError) as error:
            yield f"seal at point {seq}: {error}"


def _check_seal(
    db: sqlite3.Connection,
    journal: str,
    fields: Mapping[str, Value],
    known: Mapping[str, PublicKey],
) -> None:
    """Raise ValueError or KeyError with the fault of a seal."""
    note = notes.parse_note(notes.decoded(str(fields["note"])))
    if fields["cause"] == "handover":
        found = handover.parse_handover(note.text)
        names = (found.old.origin, found.new.origin)
        handover.verified(note, *(name.rpartition("/")[0] for name in names))
        return
    checkpoint = notes.parse_checkpoint(note.text)
    name = checkpoints.origin(str(fields["device"]), journal)
    if checkpoint.origin != name:
        raise ValueError(f"it is of {checkpoint.origin}, not of {name}")
    if tree.tree(db, checkpoint.size).root() != checkpoint.root:
        raise ValueError(f"its root is not that of the first {checkpoint.size} points")
    if not known:
        return
    key = known.get(str(fields["key"]))
    if key is None:
        raise ValueError(f"signed by an unknown key ({fields['key']})")
    if not checkpoints.is_signed_by(note, name, key):
        raise ValueError("its signature is wrong")
