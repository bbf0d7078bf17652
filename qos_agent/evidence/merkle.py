"""Leaves of the evidence tree, as RFC 6962 hashes them."""

from __future__ import annotations

import hashlib


def leaf_hash(line: bytes) -> bytes:
    """The Merkle tree's hash of one canonical line (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + line).digest()
