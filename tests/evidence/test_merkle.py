"""Leaf hashes of the Merkle tree."""

from __future__ import annotations

from qos_agent.evidence.merkle import leaf_hash


def test_the_leaf_of_an_empty_line_is_that_of_rfc_6962() -> None:
    """RFC 6962 section 2.1: SHA-256 of a zero byte and the entry.

    The value is the leaf hash of the empty entry in the test vectors of Certificate
    Transparency (google/certificate-transparency, merkle_tree_test).
    """
    expected = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"").hex() == expected


def test_a_changed_bit_changes_the_leaf() -> None:
    """Two lines that differ in one bit have different hashes."""
    assert leaf_hash(b"latency sent=20i 1") != leaf_hash(b"latency sent=21i 1")
