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


def client_context(
    ca_file: Path | None, *, keep_system_store: bool = False
) -> ssl.SSLContext:
    """Return a context that verifies the certificate and the name of a server.

    It trusts the authorities in `ca_file` instead of the system store, or in addition
    to it with `keep_system_store`. Without a file it trusts the system store. Raises
    OSError if the file cannot be read or contains no certificate.
    """
    if ca_file is None or not keep_system_store:
        return ssl.create_default_context(cafile=ca_file)
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


def collector_context(url: str, ca_file: Path | None) -> ssl.SSLContext | None:
    """Return the context for an InfluxDB server; None if its URL is not https.

    A `ca_file` extends the system store. Raises OSError as `client_context` does.
    """
    if not url.startswith("https"):
        return None
    return client_context(ca_file, keep_system_store=True)


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
