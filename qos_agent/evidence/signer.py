"""Ed25519 signatures by the `openssl` command, which costs the agent no memory.

The private key stays in its file and in the child process. Its path, not its content,
is an argument. OpenSSL 3.0 or later is needed: `pkeyutl -rawin` is not in 1.1.1.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from qos_agent.model.errors import ProbeError, SigningError
from qos_agent.system.child_process import ChildResult, run_child

_TIMEOUT_S = 10.0
_OUTPUT_MAX_BYTES = 64 * 1024
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
# A public Ed25519 key in DER is this and the 32 bytes of the key (RFC 8410).
_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
# A child that reads a key or a message opens it as this file.
_STDIN = "/dev/stdin"
_INSTALL = "sudo apt-get install openssl"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The 32 bytes of an Ed25519 public key."""

    raw: bytes

    def __post_init__(self) -> None:
        """Raise ValueError for another length."""
        if len(self.raw) != _KEY_BYTES:
            raise ValueError(f"an Ed25519 key has 32 bytes, not {len(self.raw)}")

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the key, its first 16 hexadecimal digits."""
        import hashlib

        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def der(self) -> bytes:
        """The key in DER, as the openssl command reads it (RFC 8410)."""
        return _DER_PREFIX + self.raw

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return True if the signature is correct. Raises SigningError.

        The files are in memory if the system has /dev/shm.
        """
        if len(signature) != _SIGNATURE_BYTES:
            return False
        place = Path("/dev/shm")  # noqa: S108  the folder below is private
        folder = place if place.is_dir() else None
        with tempfile.TemporaryDirectory(dir=folder, prefix="qos-verify-") as name:
            key, sig = Path(name) / "key", Path(name) / "sig"
            key.write_bytes(self.der)
            sig.write_bytes(signature)
            argv = ["pkeyutl", "-verify", "-rawin", "-in", _STDIN, "-pubin"]
            argv += ["-keyform", "DER", "-inkey", str(key), "-sigfile", str(sig)]
            result = _run(argv, message)
        return result.exit_status == 0


class Verifier(Protocol):
    """A public key that verifies signatures."""

    @property
    def raw(self) -> bytes:
        """The 32 bytes of the key."""
        ...

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return True if the signature is correct. Raises SigningError."""
        ...


class Signer(Protocol):
    """A private key that signs."""

    @property
    def public_key(self) -> PublicKey:
        """The public key of the private key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature. Raises SigningError."""
        ...


@dataclass(frozen=True, slots=True)
class OpensslSigner:
    """A key file that `openssl pkeyutl` signs with."""

    path: Path
    public_key: PublicKey

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the signer of a key file. Raises SigningError if it is not usable."""
        argv = ["pkey", "-in", str(path), "-pubout", "-outform", "DER"]
        content = openssl(argv, f"read the key {path}")
        raw = content.removeprefix(_DER_PREFIX)
        if raw == content or len(raw) != _KEY_BYTES:
            fix = "qos-agent enrol --self --new-key"
            raise SigningError(f"{path}: is not an Ed25519 key. Fix: {fix}.")
        return cls(path, PublicKey(raw))

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature. Raises SigningError."""
        argv = ["pkeyutl", "-sign", "-rawin", "-in", _STDIN, "-inkey", str(self.path)]
        signature = openssl(argv, f"sign with {self.path}", message)
        if len(signature) != _SIGNATURE_BYTES:
            text = f"openssl returned {len(signature)} bytes instead of a signature"
            raise SigningError(f"{self.path}: {text}. Fix: openssl version.")
        return signature


def openssl(
    arguments: Sequence[str], purpose: str, stdin: bytes | None = None
) -> bytes:
    """Return the output of an openssl command. Raises SigningError if it fails."""
    result = _run(arguments, stdin)
    if (failure := result.failure()) is not None:
        message = f"cannot {purpose}: openssl: {failure}"
        raise SigningError(f"{message}. Fix: openssl version; it must be 3.0 or later.")
    return result.stdout


def _run(arguments: Sequence[str], stdin: bytes | None) -> ChildResult:
    try:
        return run_child(
            ["openssl", *arguments],
            timeout_s=_TIMEOUT_S,
            output_limit_bytes=_OUTPUT_MAX_BYTES,
            stdin=stdin,
        )
    except ProbeError as error:
        message = f"openssl: {error}. Fix: {_INSTALL}."
        raise SigningError(message) from error
