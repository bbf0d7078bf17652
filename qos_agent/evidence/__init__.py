"""Proof that no stored point was altered: leaf hashes of the Merkle tree (RFC 6962).

Only this package may touch private keys. It may import `system` and `model`; bundles
are made and verified in `archive`.
"""
