"""Ed25519 by the library `cryptography`, for the centre, which checks many signatures.

The openssl command of `signer` needs milliseconds for a signature, the library 0.1 ms.
The agent does not import this module: the library would need 10 MiB of its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from qos_agent.evidence.keys import load_signer
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.model.errors import SigningError
from qos_agent.system.files import read_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_KEY_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class FastKey:
    """A public key whose signatures the library verifies."""

    raw: bytes

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return True if the signature is correct."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class LibrarySigner:
    """A private key in the memory of the centre's process."""

    private_key: Ed25519PrivateKey
    public_key: PublicKey

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the signer of a key file. Raises SigningError."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        content = read_bytes(path, _KEY_MAX_BYTES)
        try:
            private_key = load_pem_private_key(content, None)
        except (ValueError, TypeError) as error:
            problem = f"{path}: is not a private key in PEM form"
            raise SigningError(f"{problem}. Fix: create a new one.") from error
        if not isinstance(private_key, Ed25519PrivateKey):
            problem = f"{path}: is not an Ed25519 key"
            raise SigningError(f"{problem}. Fix: create a new one.")
        raw = private_key.public_key().public_bytes_raw()
        return cls(private_key, PublicKey(raw))

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature."""
        return self.private_key.sign(message)


def is_available() -> bool:
    """Return True if the library is installed."""
    try:
        import cryptography
    except ImportError:
        return False
    return bool(cryptography.__version__)


def fastest_key(key: PublicKey) -> PublicKey | FastKey:
    """Return the key for the library, or as it is if there is no library."""
    return FastKey(key.raw) if is_available() else key


def fastest_signer(path: Path) -> Signer | None:
    """Return the signer of a key file, or None if there is no file.

    Raises SigningError as `load_signer` does, which also checks who may read the file.
    """
    signer = load_signer(path)
    if signer is None or not is_available():
        return signer
    return LibrarySigner.of(path)
