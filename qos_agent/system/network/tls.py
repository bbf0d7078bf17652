"""TLS for every client of this package: contexts, and why a handshake failed."""

from __future__ import annotations

import ssl
from pathlib import Path

# OpenSSL's X509_V_ERR_*, <openssl/x509_vfy.h>.
_NOT_YET_VALID, _EXPIRED = 9, 10
_HOST_MISMATCH, _ADDRESS_MISMATCH = 62, 64
_CLOSED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_CAUSES = {
    _NOT_YET_VALID: "tls_expired",
    _EXPIRED: "tls_expired",
    _HOST_MISMATCH: "tls_name",
    _ADDRESS_MISMATCH: "tls_name",
}


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the certificate and the name of a server.

    It trusts the authorities in `ca_file` instead of those of the system. A system
    without any gets Mozilla's list, which the package contains. A server must speak
    TLS 1.2 or newer. Raises OSError if the file cannot be read or contains no
    certificate.
    """
    if ca_file is None and not _system_has_authorities():
        import certifi

        ca_file = Path(certifi.where())
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _system_has_authorities() -> bool:
    """Return True if OpenSSL finds a file of authorities, even an empty one.

    Minimal systems do not have the package ca-certificates.
    """
    paths = ssl.get_default_verify_paths()
    # Each is None if it does not exist.
    return bool(paths.cafile) or (
        bool(paths.capath) and any(Path(paths.capath).iterdir())
    )


def cause_of_tls(error: ssl.SSLError) -> str:
    """Return `tls_expired`, `tls_name`, `tls_untrusted`, or `tls` for all the rest.

    A server that closes the connection is `closed_early`. Python before 3.11.4 raises
    SSLZeroReturnError for it, and later versions raise SSLEOFError.
    """
    if isinstance(error, _CLOSED):
        return "closed_early"
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "tls"
    return _CAUSES.get(error.verify_code, "tls_untrusted")


def message_of_tls(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason, without the position in its source code."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, _CLOSED):
        return "closed without the end of TLS"
    return str(error.reason or error)
