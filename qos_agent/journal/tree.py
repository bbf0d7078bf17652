"""The Merkle tree over the journal's points in order of their number.

Leaf number seq - 1 is the leaf hash of point seq. The leaves are in the point table.
Each 256 of them become a tile, which has their hashes, their common root and the
compact range of the tree up to there. Nothing is written before that, so most commits
write nothing for the tree. The root needs only the last tile and the leaves after it.

The table is not part of a migration: the version before this one opens the journal and
ignores it. Points that such a version stored or removed are added later. A point that
it removed before its leaf was in a tile has a leaf of its own kind, see `absent_leaf`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qos_agent.evidence.merkle import (
    CompactRange,
    consistency_proof,
    leaf_hash,
    node_hash,
    split,
)
from qos_agent.journal.types import Anchor

LEVEL = 8
TILE_LEAVES = 1 << LEVEL
# A journal of an earlier version gets its tree in several commits, so that none of them
# is long.
_TILES_A_COMMIT = 64

CREATE = """
    CREATE TABLE IF NOT EXISTS tile (
        number INTEGER PRIMARY KEY,
        root BLOB NOT NULL,
        range BLOB NOT NULL,
        leaves BLOB
    ) STRICT
"""
_FIRST_PENDING = "SELECT MIN(seq) FROM pending WHERE seq > 0"
_LAST_POINT = "SELECT MAX(seq) FROM point"
_LAST_TILE = "SELECT number, range FROM tile ORDER BY number DESC LIMIT 1"
_LEAVES = "SELECT seq, CAST(leaf AS BLOB) FROM point WHERE seq BETWEEN ? AND ?"


class RewoundError(sqlite3.DatabaseError):
    """The file is not the one that was sealed last, for example an old copy."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of the journal's first points.

    `complete` is False if more points are stored than one commit adds.
    """

    range: CompactRange
    complete: bool = True

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.range.size

    def root(self) -> bytes:
        """Return the root hash."""
        return self.range.root()


def absent_leaf(seq: int) -> bytes:
    """Return the leaf of a point whose hash is not known.

    Its text is never a canonical line, because it contains no comma.
    """
    return leaf_hash(b"absent %d" % seq)


def create(db: sqlite3.Connection) -> None:
    """Create the table of the tiles if there is none."""
    db.execute(CREATE)


def add_tiles(db: sqlite3.Connection) -> None:
    """Store the tiles that are full now. Call it in the transaction of the points."""
    size, end = _tiled(db).size, _end(db)
    for _ in range(_TILES_A_COMMIT):
        if end - size < TILE_LEAVES:
            return
        _add_tile(db, size)
        size += TILE_LEAVES


def tiled_seq(db: sqlite3.Connection) -> int:
    """Return the number of the last point whose leaf is in a tile."""
    (last,) = db.execute("SELECT MAX(number) FROM tile").fetchone()
    return 0 if last is None else (int(last) + 1) * TILE_LEAVES


def has_tiles(db: sqlite3.Connection) -> bool:
    """Return True if the file has the table; a reader may open one of before."""
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'tile'"
    return db.execute(sql).fetchone() is not None


def tree(db: sqlite3.Connection, size: int | None = None) -> Tree:
    """Return the tree of all points with a timestamp, or of the first `size` ones.

    Raises ValueError if the journal has fewer points.
    """
    end = _end(db)
    if size is None:
        tiled = _tiled(db)
        last = min(end, tiled.size + TILE_LEAVES - 1)
        leaves = _leaves(db, tiled.size + 1, last)
        return Tree(tiled.extended(leaves), complete=last == end)
    if not 0 <= size <= end:
        raise ValueError(f"a tree of {size} leaves is not in a journal of {end} points")
    node, start, result = nodes(db), 0, CompactRange()
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            result = result.extended([node(level, start >> level)], level)
            start += 1 << level
    return Tree(result)


def nodes(db: sqlite3.Connection) -> Callable[[int, int], bytes]:
    """Return the function that proofs need: the root of a complete subtree.

    The function raises LookupError for a leaf whose hash was removed to free space.
    """

    def node(level: int, index: int) -> bytes:
        if level > LEVEL:
            return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))
        if level == LEVEL and (root := _tile_root(db, index)) is not None:
            return root
        start = index << level
        return CompactRange().extended(leaves(db, start, 1 << level)).root()

    return node


def leaves(db: sqlite3.Connection, start: int, count: int) -> list[bytes]:
    """Return leaf hashes; all of them must be in one tile or after the last one."""
    sql = "SELECT leaves FROM tile WHERE number = ?"
    row = db.execute(sql, (start >> LEVEL,)).fetchone()
    if row is None:
        return _leaves(db, start + 1, start + count)
    if row[0] is None:
        raise LookupError(f"the hash of point {start + 1} was removed to free space")
    first = start % TILE_LEAVES
    return split(bytes(row[0]))[first : first + count]


def known_leaves(db: sqlite3.Connection) -> Iterator[tuple[int, bytes]]:
    """Yield the first number and the hashes of each span whose leaves are stored.

    These are also the hashes of points that were removed.
    """
    first = 1
    if has_tiles(db):
        query = "SELECT number, leaves FROM tile WHERE leaves IS NOT NULL"
        for number, hashes in db.execute(f"{query} ORDER BY number"):
            yield number * TILE_LEAVES + 1, bytes(hashes)
        first += tiled_seq(db)
    end = _end(db)
    for start in range(first, end + 1, TILE_LEAVES):
        last = min(start + TILE_LEAVES - 1, end)
        yield start, b"".join(_leaves(db, start, last))


def proof(db: sqlite3.Connection, before: int, size: int) -> tuple[bytes, list[bytes]]:
    """Return the root of the first `before` points and the consistency proof.

    The proof shows that the tree of `size` points extends the earlier one.
    """
    hashes = consistency_proof(before, size, nodes(db))
    return tree(db, before).root(), hashes


def check_continues(db: sqlite3.Connection, journal: str, anchor: Anchor) -> None:
    """Raise RewoundError if the journal does not continue its last seal."""
    if journal != anchor.journal:
        return
    try:
        root = tree(db, anchor.size).root()
    except ValueError as error:
        raise RewoundError(f"older than its last seal: {error}") from error
    except LookupError:
        return  # The leaves of that tree were removed to free space.
    if root != anchor.root:
        raise RewoundError(f"not that of its last seal of {anchor.size} points")


def remove_leaves(db: sqlite3.Connection, keep_tiles: int) -> None:
    """Remove the leaves of all but the newest tiles; their roots stay.

    A tile with a stored point keeps its leaves.
    """
    db.execute(
        "UPDATE tile SET leaves = NULL WHERE leaves IS NOT NULL AND number <= ("
        " SELECT MAX(number) FROM tile) - ? AND NOT EXISTS (SELECT 1 FROM point"
        f" WHERE seq BETWEEN tile.number * {TILE_LEAVES} + 1"
        f" AND (tile.number + 1) * {TILE_LEAVES})",
        (keep_tiles,),
    )


def _end(db: sqlite3.Connection) -> int:
    """Return the last number up to which every point has a timestamp."""
    (pending,) = db.execute(_FIRST_PENDING).fetchone()
    if pending is not None:
        return int(pending) - 1
    (last,) = db.execute(_LAST_POINT).fetchone()
    return max(0, last or 0)


def _tiled(db: sqlite3.Connection) -> CompactRange:
    """Return the compact range of all tiles."""
    row = db.execute(_LAST_TILE).fetchone()
    if row is None:
        return CompactRange()
    return CompactRange.from_bytes((int(row[0]) + 1) * TILE_LEAVES, bytes(row[1]))


def _add_tile(db: sqlite3.Connection, size: int) -> None:
    leaves = _leaves(db, size + 1, size + TILE_LEAVES)
    root = CompactRange().extended(leaves).root()
    after = _tiled(db).extended([root], LEVEL)
    db.execute(
        "INSERT INTO tile VALUES (?, ?, ?, ?)",
        (size >> LEVEL, root, after.to_bytes(), b"".join(leaves)),
    )


def _tile_root(db: sqlite3.Connection, number: int) -> bytes | None:
    row = db.execute("SELECT root FROM tile WHERE number = ?", (number,)).fetchone()
    return None if row is None else bytes(row[0])


def _leaves(db: sqlite3.Connection, first: int, last: int) -> list[bytes]:
    found = dict(db.execute(_LEAVES, (first, last)).fetchall())
    return [found.get(seq) or absent_leaf(seq) for seq in range(first, last + 1)]
