"""Hashes, compact ranges and proofs of the Merkle tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.evidence.merkle import (
    EMPTY_ROOT,
    CompactRange,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    proven_range,
    split,
    verify_consistency,
    verify_inclusion,
)
from tests.evidence.support import leaves, naive_root, nodes

# Inputs and roots of the reference tests of Certificate Transparency
# (google/certificate-transparency, merkletree/merkle_tree_test.cc). The tests of
# transparency-dev/merkle use the same.
INPUTS = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
SIZES = st.integers(0, 70)
LEAVES = leaves(70)


def test_the_leaf_of_an_empty_line_is_that_of_rfc_6962() -> None:
    """RFC 6962 section 2.1: SHA-256 of a zero byte and the entry."""
    assert leaf_hash(b"").hex() == ROOTS[0]


def test_the_root_of_an_empty_tree_is_that_of_rfc_6962() -> None:
    """RFC 6962 section 2.1: the hash of an empty string."""
    expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert EMPTY_ROOT.hex() == CompactRange().root().hex() == expected


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    """The tree over the first inputs has the root of the reference tests."""
    hashes = [leaf_hash(bytes.fromhex(text)) for text in INPUTS[:size]]
    assert CompactRange().extended(hashes).root().hex() == ROOTS[size - 1]


def test_a_changed_bit_changes_the_leaf() -> None:
    """Two lines that differ in one bit have different hashes."""
    assert leaf_hash(b"latency sent=20i 1") != leaf_hash(b"latency sent=21i 1")


@given(SIZES, SIZES)
def test_a_compact_range_extends_like_the_whole_tree(first: int, count: int) -> None:
    """Appending in two parts, through bytes, gives the root by definition."""
    before = CompactRange().extended(LEAVES[:first])
    read = CompactRange.from_bytes(first, before.to_bytes())
    assert read.extended(LEAVES[first:count]).root() == naive_root(
        LEAVES[: max(first, count)]
    )


def test_a_compact_range_extends_by_subtrees() -> None:
    """Appending roots of four leaves gives the tree of all leaves."""
    subtrees = [naive_root(LEAVES[start : start + 4]) for start in range(0, 64, 4)]
    assert CompactRange().extended(subtrees, 2).root() == naive_root(LEAVES[:64])


@given(SIZES, st.binary(max_size=200))
def test_other_bytes_are_no_compact_range(size: int, content: bytes) -> None:
    """Reading accepts exactly one hash for each bit of the size."""
    if len(content) == 32 * size.bit_count():
        assert CompactRange.from_bytes(size, content).to_bytes() == content
    else:
        with pytest.raises(ValueError, match="hashes"):
            CompactRange.from_bytes(size, content)


@given(st.integers(1, 70), st.data())
def test_an_inclusion_proof_verifies_only_its_own_leaf(
    size: int, data: st.DataObject
) -> None:
    """A proof verifies its leaf at its index, and no other leaf or index."""
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, nodes(LEAVES))
    root = naive_root(LEAVES[:size])
    assert verify_inclusion(LEAVES[index], index, size, proof, root)
    if other != index:
        assert not verify_inclusion(LEAVES[other], index, size, proof, root)
        assert not verify_inclusion(LEAVES[index], other, size, proof, root)


@given(SIZES, SIZES)
def test_a_consistency_proof_verifies_the_two_roots(one: int, other: int) -> None:
    """A proof verifies an old tree and its extension, and no other old root."""
    old, size = sorted((one, other))
    proof = consistency_proof(old, size, nodes(LEAVES))
    roots = naive_root(LEAVES[:old]), naive_root(LEAVES[:size])
    assert verify_consistency(old, size, proof, *roots)
    assert not verify_consistency(old, size, proof, leaf_hash(b"x"), roots[1])
    if old < size and old > 0:
        assert not verify_consistency(old, size, proof, roots[0], leaf_hash(b"x"))


@given(SIZES, SIZES, st.lists(st.binary(min_size=32, max_size=32), max_size=8))
def test_a_made_up_proof_does_not_verify(
    old: int, size: int, proof: list[bytes]
) -> None:
    """Random hashes prove nothing; only the trivial proofs have none."""
    old_root, root = naive_root(LEAVES[:old]), leaf_hash(b"forged")
    if old > 0:
        assert not verify_consistency(old, size, proof, old_root, root)
    assert not verify_inclusion(LEAVES[0], old, size, proof, root)


@given(st.integers(2, 70), st.data())
def test_a_changed_proof_does_not_verify(size: int, data: st.DataObject) -> None:
    """A proof with one changed bit, one hash less or one more is rejected."""
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, nodes(LEAVES))
    root = naive_root(LEAVES[:size])
    place = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    changed = int.from_bytes(proof[place], "big") ^ 1 << bit
    for wrong in (
        [*proof[:place], changed.to_bytes(32, "big"), *proof[place + 1 :]],
        proof[:place] + proof[place + 1 :],
        [*proof, proof[place]],
        [*proof, b"short"],
    ):
        assert not verify_inclusion(LEAVES[index], index, size, wrong, root)


def test_a_proof_outside_the_tree_is_an_error() -> None:
    """A leaf that is not in the tree, and a tree that shrinks, have no proof."""
    with pytest.raises(ValueError, match="leaf 3"):
        inclusion_proof(3, 3, nodes(LEAVES))
    with pytest.raises(ValueError, match="does not extend"):
        consistency_proof(4, 3, nodes(LEAVES))
    assert not verify_consistency(4, 3, [], LEAVES[0], LEAVES[1])


def test_split_needs_whole_hashes() -> None:
    """33 bytes are not one hash and a rest."""
    assert split(node_hash(b"", b"")) == [node_hash(b"", b"")]
    with pytest.raises(ValueError, match="33 bytes"):
        split(bytes(33))


def test_a_consistency_proof_contains_the_earlier_range() -> None:
    """For all pairs of sizes; a wrong root or hash gives nothing."""
    hashes = leaves(40)
    node = nodes(hashes)
    for size in range(1, 41):
        root = naive_root(hashes[:size])
        for old in range(1, size):
            proof = consistency_proof(old, size, node)
            before = CompactRange().extended(hashes[:old])
            found = proven_range(old, size, proof, before.root(), root)
            assert found == before
            assert proven_range(old, size, proof, before.root(), root[::-1]) is None
            assert proven_range(old, size, [*proof, root], before.root(), root) is None
    assert proven_range(7, 7, [], root, root) is None
