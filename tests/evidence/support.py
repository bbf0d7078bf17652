"""A slow tree by the definition of RFC 6962, and a signer for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from qos_agent.evidence.merkle import EMPTY_ROOT, leaf_hash, node_hash
from qos_agent.evidence.signer import PublicKey


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


@dataclass(frozen=True, slots=True)
class MemorySigner:
    """A signer with a key that follows from a number, without a file or a process."""

    number: int

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.number.to_bytes(32, "big"))

    @property
    def public_key(self) -> PublicKey:
        """The public key."""
        return PublicKey(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the signature."""
        return self._private.sign(message)
