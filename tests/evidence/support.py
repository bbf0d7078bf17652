"""A slow tree by the definition of RFC 6962, and a signer for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qos_agent.evidence.merkle import EMPTY_ROOT, leaf_hash, node_hash


def leaves(count: int) -> list[bytes]:
    """Return leaf hashes that are all different."""
    return [leaf_hash(b"%d" % number) for number in range(count)]


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root by the recursion of RFC 6962 section 2.1."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    half = 1
    while half * 2 < len(hashes):
        half *= 2
    return node_hash(naive_root(hashes[:half]), naive_root(hashes[half:]))


def nodes(hashes: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """Return the function that gives proofs the roots of complete subtrees."""

    def node(level: int, index: int) -> bytes:
        return naive_root(hashes[index << level : (index + 1) << level])

    return node
