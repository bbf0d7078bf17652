"""Timestamps of an authority for the national root (RFC 3161), by the openssl command.

The authority signs the hash of the file with its own time. This is optional: it shows
to a court, without trust in the centre, that the root existed at that time.
"""

from __future__ import annotations

import tempfile
from http import HTTPStatus
from pathlib import Path

from qos_agent.evidence.signer import openssl
from qos_agent.model.errors import QosAgentError, SigningError
from qos_agent.system.files import read_bytes

SUFFIX = ".tsr"
_TIMEOUT_S = 30.0
_RESPONSE_MAX_BYTES = 64 * 1024


class TimestampError(QosAgentError):
    """A timestamp that is missing or does not verify, with the fix."""


def request(path: Path) -> bytes:
    """Return the query for a file. Raises SigningError."""
    argv = ["ts", "-query", "-data", str(path), "-sha256", "-cert"]
    return openssl(argv, f"make a timestamp query for {path}")


def obtain(path: Path, url: str, ca_file: Path) -> Path:
    """Request a timestamp, verify it, and store it next to the file.

    Raises TimestampError, SigningError, OSError.
    """
    response = _posted(url, request(path))
    verify(path, response, ca_file)
    result = path.with_name(path.name + SUFFIX)
    temporary = result.with_name(f".{result.name}")
    temporary.write_bytes(response)
    temporary.replace(result)
    return result


def verify(path: Path, response: bytes, ca_file: Path) -> None:
    """Check a response for a file. Raises TimestampError, OSError."""
    with tempfile.NamedTemporaryFile(prefix="qos-timestamp-") as file:
        file.write(response)
        file.flush()
        argv = ["ts", "-verify", "-in", file.name, "-data", str(path)]
        argv += ["-CAfile", str(ca_file)]
        try:
            openssl(argv, "verify the timestamp")
        except SigningError as error:
            fix = "check witness.timestamp_url and witness.timestamp_ca_file"
            text = f"{path}: the timestamp does not verify: {error}. Fix: {fix}."
            raise TimestampError(text) from error


def text(path: Path) -> str:
    """Return a stored timestamp as text. Raises SigningError, OSError."""
    read_bytes(path, _RESPONSE_MAX_BYTES)
    argv = ["ts", "-reply", "-in", str(path), "-text"]
    return openssl(argv, f"read {path}").decode("utf-8", "replace")


def _posted(url: str, query: bytes) -> bytes:
    """Return the response of the authority (RFC 3161, 3.4). Raises TimestampError."""
    import urllib3

    headers = {"Content-Type": "application/timestamp-query"}
    fix = "check witness.timestamp_url"
    try:
        with urllib3.PoolManager() as pool:
            response = pool.request(
                "POST",
                url,
                body=query,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(total=_TIMEOUT_S),
            )
            content = response.read(_RESPONSE_MAX_BYTES + 1, decode_content=False)
            response.close()
    except urllib3.exceptions.HTTPError as error:
        raise TimestampError(f"{url}: {error}. Fix: {fix}.") from error
    if response.status != HTTPStatus.OK or len(content) > _RESPONSE_MAX_BYTES:
        problem = f"HTTP {response.status}, {len(content)} bytes"
        raise TimestampError(f"{url}: no timestamp ({problem}). Fix: {fix}.")
    return bytes(content)
