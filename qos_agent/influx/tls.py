"""The TLS context for an InfluxDB server, with its authority and our certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

from qos_agent.config.settings import CollectorSection
from qos_agent.model.errors import ConfigError
from qos_agent.system.network.tls import client_context

_PEM = "must be certificates in PEM format"
_FIX = "correct the path or the file, and let the user of this service read it"


def tls_context(section: CollectorSection) -> ssl.SSLContext | None:
    """Return the context for a server; None if its URL is not https.

    With `ca_file`, only the authorities in that file are trusted. Raises ConfigError.
    """
    if not str(section.url).startswith("https"):
        return None
    try:
        context = client_context(section.ca_file)
    except OSError as error:
        raise _error("ca_file", section.ca_file, _PEM, error) from None
    if section.client_cert_file is not None:
        _load_certificate(context, section.client_cert_file, section.client_key_file)
    return context


def _load_certificate(context: ssl.SSLContext, file: Path, key: Path | None) -> None:
    try:
        # Without a password OpenSSL would ask on the terminal for that of a key.
        context.load_cert_chain(file, key, password="")
    except OSError as error:
        problem = "must be a certificate and a key without password in PEM format"
        raise _error("client_cert_file", file, problem, error) from None


def _error(key: str, file: Path | None, problem: str, error: OSError) -> ConfigError:
    reason = error.strerror or str(error)
    return ConfigError(key, repr(str(file)), f"{problem}: {reason}", _FIX)
