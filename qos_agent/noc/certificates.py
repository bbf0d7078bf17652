"""A certificate file: its names and the end of its validity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from qos_agent.evidence.signer import openssl
from qos_agent.model.errors import OperatorError, SigningError

DAY_S = 86_400
_END = re.compile(r"^notAfter=(.+)$", re.MULTILINE)
_NAMES = re.compile(r"(?:DNS|IP Address):([^,\s]+)")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of a file."""

    path: Path
    subject: str
    names: tuple[str, ...]
    ends_s: int

    def left_s(self, now_s: float) -> float:
        """Return the time until it expires; negative afterwards."""
        return self.ends_s - now_s

    @property
    def ends(self) -> str:
        """The moment at which it expires, in UTC."""
        return datetime.fromtimestamp(self.ends_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_certificate(path: Path) -> Certificate:
    """Read a certificate. Raises OperatorError if the file has none."""
    argv = ["x509", "-in", str(path), "-noout", "-enddate", "-subject"]
    argv += ["-nameopt", "RFC2253", "-dateopt", "iso_8601", "-ext", "subjectAltName"]
    fix = "name a file with a certificate in PEM format"
    try:
        text = openssl(argv, f"read {path}").decode("utf-8", "replace")
        (end,) = _END.findall(text)
        ends = datetime.strptime(end.strip(), "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    except (SigningError, ValueError) as error:
        problem = "has no certificate that can be read"
        raise OperatorError(f"{path}: {problem}. Fix: {fix}.") from error
    subject = re.search(r"^subject=\s*(.+)$", text, re.MULTILINE)
    names = tuple(_NAMES.findall(text))
    return Certificate(
        path, subject[1] if subject else "", names, int(ends.timestamp())
    )
