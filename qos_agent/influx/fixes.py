"""Advice for the errors of InfluxDB: what a person can change."""

from __future__ import annotations

from collections.abc import Mapping

from qos_agent.config import token

CREDENTIALS = "set token or token_file to a valid token"
MAX_ROWS = "set max-row-limit = 0 in the [http] section of the server's configuration"
BUCKET = "create the bucket, or correct its name"
TYPES = "check that the URL is that of InfluxDB, and that no other program writes there"

ALIKE = "check the URL, the bucket, and the server's log"

# Texts that the server prints for its limits and settings.
_BY_MESSAGE = {
    "database not found": BUCKET,
    "max-select-series": "raise max-select-series, or set it to 0",
    "max-select-point": "raise max-select-point, or set it to 0",
    "max-select-buckets": "raise max-select-buckets, or set it to 0",
    "query-timeout": "raise query-timeout, or reduce rollups.span",
    "max-concurrent-queries": "raise max-concurrent-queries, or set it to 0",
    "max-values-per-tag": "set index-version = tsi1, or raise max-values-per-tag",
    "max-series-per-database": (
        "set index-version = tsi1, or raise max-series-per-database"
    ),
    "would exceed number of tables": "raise the server's limit of tables",
    "would exceed number of columns": "raise the server's limit of columns",
    "would exceed number of tag columns": "raise the server's limit of tag columns",
    "would exceed the field": "raise the server's limit of fields",
    "cannot allocate more legacy column": "write to a new database",
    "beyond retention policy": "raise the retention of this database",
}
_BY_REFUSAL = {
    "organization name": "set org to an existing organisation",
    "either orgID or org": "set org",
    "no space left on device": "free space on the server's disk",
    "cache-max-memory-size": "raise cache-max-memory-size, or write less",
}
_BY_QUERY_STATUS = {
    401: CREDENTIALS,
    403: "give the token read permission for the bucket",
    404: BUCKET,
}
_BY_CAUSE: Mapping[str, str] = {
    "name_not_resolved": "check the DNS server and the host name in the URL",
    "no_route": "check that the link is up and has a route",
    "unreachable": "check that the link is up and has a route",
    "refused": "check that the server is running, and the port in the URL",
    "tls_expired": "check this device's clock and the certificate's dates",
    "tls_untrusted": "set ca_file to the certificate of the server's authority",
    "token": token.FIX,
    "token_file": "write the token to it, in plain ASCII on one line",
    "insecure": token.INSECURE_FIX,
    "ca_file": "correct the path or the file",
    "client_cert_file": "correct the path or the file",
    "tls_name": "use a host name from the server's certificate in the URL",
}


def for_message(message: str) -> str:
    """Return the fix for a server's message, or nothing if it names no known limit."""
    fixes = (fix for text, fix in _BY_MESSAGE.items() if text in message)
    return next(fixes, "")


def for_refusal(message: str) -> str:
    """Return the fix for a refusal that names no limit and no point, or nothing."""
    fixes = (fix for text, fix in _BY_REFUSAL.items() if text in message)
    return next(fixes, "")


def for_query(status: int, message: str) -> str:
    """Return the fix for a failed query, or nothing."""
    return for_message(message) or _BY_QUERY_STATUS.get(status, "")


def for_cause(cause: str) -> str:
    """Return the fix for a request without a response, or nothing."""
    return _BY_CAUSE.get(cause, "")
