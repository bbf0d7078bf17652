"""Leaf hashes of the Merkle tree of RFC 6962."""

from __future__ import annotations

import hashlib


def leaf_hash(line: bytes) -> bytes:
    """Return the leaf hash of a canonical line (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + line).digest()
