"""Why TLS could not be agreed, as a cause of the schema."""

from __future__ import annotations

import ssl

# OpenSSL's X509_V_ERR_*, <openssl/x509_vfy.h>: not yet valid, expired; host and
# address mismatch.
_OUT_OF_TIME = (9, 10)
_OTHER_NAME = (62, 64)


def cause_of_tls(error: ssl.SSLError) -> str:
    """`tls_expired`, `tls_name`, `tls_untrusted`, or `tls` for all the rest."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "tls"
    if error.verify_code in _OUT_OF_TIME:
        return "tls_expired"
    return "tls_name" if error.verify_code in _OTHER_NAME else "tls_untrusted"
