"""The result of `qos-agent verify --json`, which a report quotes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from qos_agent.model.errors import ConfigError
from qos_agent.system.files import read_bytes

_MAX_BYTES = 64_000_000
_KEY = "--verification"
_FIX = "run: qos-agent verify --json BUNDLE > FILE"


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on an evidence bundle, with the counts of the verification."""

    is_valid: bool
    points: int
    seals: int
    journals: int
    cosigned: int
    faults: tuple[tuple[str, int], ...]
    witness: str
    sha256: str

    def unproven(self, readings: int) -> int:
        """Return how many of an archive's readings have no proof, at least."""
        return max(0, readings - self.points)


def read_verification(path: Path) -> Verification:
    """Read the result from a file. Raises ConfigError."""
    try:
        content = read_bytes(path, _MAX_BYTES)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ConfigError(_KEY, str(path), problem, _FIX) from error
    try:
        table = json.loads(content)
        totals, faults = table["totals"], table["faults"]
        if not isinstance(table["is_valid"], bool):
            raise TypeError("is_valid")  # noqa: TRY301  it is one of several
        return Verification(
            table["is_valid"],
            int(totals["proven"]),
            int(totals["seals"]),
            int(totals["journals"]),
            int(totals["cosigned"]),
            tuple((str(kind), int(n)) for kind, n in sorted(faults.items()) if n),
            str(table["witness"] or ""),
            hashlib.sha256(content).hexdigest(),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        problem = "is not the result of a verification"
        raise ConfigError(_KEY, str(path), problem, _FIX) from error
