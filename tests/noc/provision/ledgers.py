"""Ledgers with issues, and devices that apply."""

from __future__ import annotations

import hashlib
from pathlib import Path

from qos_agent.noc.provision.admission import Applicant
from qos_agent.noc.provision.ledger import FILE_NAME, Draft, Issue, Ledger

ONE, OTHER = "3171010001001", "3171010001002"
NOW_S = 1_800_000_000
EXPIRES_S = NOW_S + 1000


def opened(folder: Path) -> Ledger:
    """Return the ledger of a folder."""
    return Ledger(folder / FILE_NAME)


def code_hash(station: str, serial: int) -> bytes:
    """Return the hash of the code that `begun` gives to an issue."""
    return f"{station}/{serial}".encode()


def draft(station: str, serial: int) -> Draft:
    """Return the draft of an issue, with a configuration that names it."""
    name = f"{station}-{serial}"
    return Draft(name, f"# {name}\n", code_hash(station, serial))


def begun(ledger: Ledger, *stations: str, at_s: int = NOW_S) -> list[Issue]:
    """Begin an issue for each station."""
    return ledger.begin(stations, draft, at_s, "tester")


def issued(ledger: Ledger, *stations: str, at_s: int = NOW_S) -> list[Issue]:
    """Issue for each station; the sealed credential is the name of the account."""
    issues = begun(ledger, *stations, at_s=at_s)
    made = [(issue.id, issue.account.encode()) for issue in issues]
    ledger.finish(made, EXPIRES_S, at_s)
    return issues


def applicant(device: str, peer: str = "192.0.2.1") -> Applicant:
    """Return a device with a key of its own."""
    key = hashlib.sha256(device.encode()).digest()
    return Applicant(device, key, key.hex()[:16], peer)
