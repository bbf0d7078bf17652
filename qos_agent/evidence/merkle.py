"""The Merkle tree of RFC 6962: hashes, compact ranges and proofs. Pure.

A compact range has the roots of the complete subtrees of a tree, about log2(n) hashes.
Appending a leaf needs nothing else. A proof needs the roots of complete subtrees, which
its caller provides (RFC 9162 section 2.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

HASH_BYTES = 32
# The root of a tree without leaves (RFC 6962 section 2.1).
EMPTY_ROOT = hashlib.sha256(b"").digest()
# A proof of a tree with 2**63 leaves has no more hashes than this.
PROOF_MAX = 64

# Returns the root of the complete subtree at a level; level 0 has the leaves. The
# subtree has the leaves from index * 2**level on.
Node = Callable[[int, int], bytes]


def leaf_hash(line: bytes) -> bytes:
    """Return the leaf hash of a canonical line (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """The roots of the complete subtrees of the first `size` leaves, largest first."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes], level: int = 0) -> CompactRange:
        """Return the range with more subtrees of one level, by default leaves.

        `size` must be a multiple of the subtree's size.
        """
        size, roots = self.size, list(self.roots)
        for leaf in leaves:
            roots.append(leaf)
            size += 1 << level
            for _ in range(_trailing_zeros(size) - level):
                right = roots.pop()
                roots[-1] = node_hash(roots[-1], right)
        return CompactRange(size, tuple(roots))

    def root(self) -> bytes:
        """Return the root of the tree."""
        return _folded(self.roots) if self.roots else EMPTY_ROOT

    def to_bytes(self) -> bytes:
        """Return the roots as one string of bytes."""
        return b"".join(self.roots)

    @classmethod
    def from_bytes(cls, size: int, content: bytes) -> CompactRange:
        """Read what `to_bytes` returned. Raises ValueError for another length."""
        roots = split(content)
        if len(roots) != size.bit_count():
            raise ValueError(f"{len(roots)} hashes do not fit a tree of {size} leaves")
        return cls(size, tuple(roots))


def split(content: bytes) -> list[bytes]:
    """Return the hashes in a string of bytes. Raises ValueError for a wrong length."""
    if len(content) % HASH_BYTES:
        raise ValueError(f"{len(content)} bytes are no whole number of hashes")
    starts = range(0, len(content), HASH_BYTES)
    return [content[start : start + HASH_BYTES] for start in starts]


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that leaf `index` is in the tree (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, node))
            end = middle
        else:
            proof.append(_range_root(start, middle, node))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that a tree extends an old one (RFC 9162 section 2.1.4.1)."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves does not extend one of {old}")
    if old in (0, size):
        return []
    proof: list[bytes] = []
    start, end, is_old_root = 0, size, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(middle, end, node))
            end = middle
        else:
            proof.append(_range_root(start, middle, node))
            start, is_old_root = middle, False
    if not is_old_root:
        proof.append(_range_root(start, end, node))
    return proof[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Return True if the proof is correct (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or not _is_possible(proof):
        return False
    position, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            shift = 0 if position & 1 else _trailing_zeros(position)
            position, last = position >> shift, last >> shift
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> bool:
    """Return True if the proof is correct (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= size or not _is_possible(proof):
        return False
    if old in (0, size):
        expected = EMPTY_ROOT if old == 0 else root
        return not proof and old_root == expected
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    shift = _trailing_zeros(old)
    position, last = (old - 1) >> shift, (size - 1) >> shift
    return _climbed(position, last, path) == (old_root, root)


def proven_range(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> CompactRange | None:
    """Return the compact range of an old tree, which a consistency proof contains.

    The left siblings on the path of the proof are the complete subtrees of the old
    tree. The result is None if the proof is wrong or if it does not contain them.
    """
    if not verify_consistency(old, size, proof, old_root, root):
        return None
    if old == 0:
        return CompactRange()
    if old & (old - 1) == 0:
        return CompactRange(old, (old_root,))
    if old == size:
        return None
    roots = [proof[0]]
    shift = _trailing_zeros(old)
    position, last = (old - 1) >> shift, (size - 1) >> shift
    for sibling in proof[1:]:
        if position & 1 or position == last:
            roots.insert(0, sibling)
            shift = 0 if position & 1 else _trailing_zeros(position)
            position, last = position >> shift, last >> shift
        position, last = position >> 1, last >> 1
    found = CompactRange(old, tuple(roots))
    is_whole = len(roots) == old.bit_count() and found.root() == old_root
    return found if is_whole else None


def _climbed(position: int, last: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    """Return the two roots that a consistency proof leads to, or None."""
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            shift = 0 if position & 1 else _trailing_zeros(position)
            position, last = position >> shift, last >> shift
        else:
            second = node_hash(second, sibling)
        position, last = position >> 1, last >> 1
    return (first, second) if last == 0 else None


def _is_possible(proof: Sequence[bytes]) -> bool:
    return len(proof) <= PROOF_MAX and all(len(h) == HASH_BYTES for h in proof)


def _range_root(start: int, end: int, node: Node) -> bytes:
    """Return the root of the leaves from `start` to `end`.

    `start` is a multiple of the largest power of two in the range.
    """
    roots = []
    while start < end:
        level = (end - start).bit_length() - 1
        roots.append(node(level, start >> level))
        start += 1 << level
    return _folded(roots)


def _folded(roots: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees, the largest of which is first."""
    result = roots[-1]
    for root in reversed(roots[:-1]):
        result = node_hash(root, result)
    return result


def _split(count: int) -> int:
    """Return the largest power of two that is less than `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _trailing_zeros(number: int) -> int:
    """Return the number of zero bits at the end; 0 for the number 0."""
    return (number & -number).bit_length() - 1 if number else 0
