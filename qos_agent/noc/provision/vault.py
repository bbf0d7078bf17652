"""Encryption of credentials for the centre, and the secret behind its codes.

A credential is encrypted with the centre's public key by `openssl cms` (RFC 5652 and
RFC 5083: AES-256-GCM, the key agreed with P-256). Only the holder of the private key
reads it. Key and certificate are in one file of mode 0600. Secrets go to the child
process by standard input, never as an argument.

Codes and their hashes are derived from one random secret, which the ledger has in
encrypted form. A code need not be stored, and a lost label can be printed again. The
same holds for the secrets in enrolment files.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from qos_agent.evidence.signer import openssl
from qos_agent.model.enrolment_code import SECRET_BITS, code_of
from qos_agent.model.errors import OperatorError, SigningError
from qos_agent.noc.provision.ledger import Ledger, give_to_owner
from qos_agent.system.files import create_private

KEY_NAME = "centre-key.pem"
_NAME = "codes"
_SECRET_BYTES = 32
_SUBJECT = "/CN=qos-agent centre"
# The certificate only names the public key; nothing checks its validity.
_DAYS = "36500"


@dataclass(frozen=True, slots=True)
class Vault:
    """The key file of the centre, which encrypts and decrypts."""

    path: Path

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the vault of a key file, and create the file if there is none.

        Raises SigningError, OperatorError or OSError.
        """
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            problem = f"{path}: other users may read the key of the centre"
            raise OperatorError(f"{problem}. Fix: chmod 600 {path}.")
        return cls(path)

    def seal(self, secret: str) -> bytes:
        """Return a secret in encrypted form. Raises SigningError."""
        argv = ["cms", "-encrypt", "-aes-256-gcm", "-binary", "-outform", "DER"]
        argv += ["-recip", str(self.path)]
        return openssl(argv, "encrypt for the centre", secret.encode())

    def unseal(self, sealed: bytes) -> str:
        """Return the secret. Raises SigningError if the key is another one."""
        argv = ["cms", "-decrypt", "-binary", "-inform", "DER"]
        argv += ["-recip", str(self.path), "-inkey", str(self.path)]
        try:
            return openssl(argv, "decrypt", sealed).decode()
        except SigningError as error:
            problem = f"{self.path}: is not the key that encrypted the ledger"
            fix = "restore the key of the centre from its backup"
            raise SigningError(f"{problem}. Fix: {fix}.") from error


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of all issues, and the hashes by which the ledger finds them."""

    secret: bytes

    @classmethod
    def of(cls, ledger: Ledger, vault: Vault) -> Self:
        """Return the codes of a ledger; the first use creates their secret."""
        sealed = ledger.secret(_NAME)
        if sealed is None:
            new = vault.seal(secrets.token_bytes(_SECRET_BYTES).hex())
            sealed = ledger.keep_secret(_NAME, new)
        return cls(bytes.fromhex(vault.unseal(sealed)))

    def code(self, station: str, serial: int) -> str:
        """Return the code of an issue, always the same one."""
        digest = self._digest(f"code/{station}/{serial}")
        return code_of(int.from_bytes(digest[:8]) >> (64 - SECRET_BITS))

    def stick_secret(self, station: str, serial: int) -> str:
        """Return the secret in the enrolment file of an issue, always the same one."""
        return self._digest(f"stick/{station}/{serial}")[:16].hex()

    def hash(self, code: str) -> bytes:
        """Return the hash that the ledger stores.

        It has a key, because 55 bits without one can be found by trying all of them.
        """
        return self._digest(f"hash/{code}")

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self.secret, text.encode(), "sha256")


def _create(path: Path) -> None:
    """Create the key and its certificate in one file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-subj", _SUBJECT, "-days", _DAYS, "-keyout", "-", "-out", "-"]
    content = openssl(argv, "create the key of the centre")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    create_private(temporary, content)
    give_to_owner(temporary)
    # Unlike a rename, a link never replaces a key that another process created.
    with suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
