"""Names of the files in a bundle, and the text that the centre signs."""

from __future__ import annotations

from qos_agent.archive.bundle.bag import PAYLOAD, safe_name

JOURNALS, ROOTS, KEYS, LEFT_OUT = "journals", "roots", "keys", "left-out"
POINTS, SEALS, LEAVES = "points.lp", "seals.lp", "leaves.bin"
COSIGNED, PROOF = "cosigned.notes", "national-root.tlog-proof"
RESUMED = "resumed.notes"
EARLIER, PROOF_SUFFIX = "earlier-roots", ".tlog-proof"
ORIGIN = "origin.txt"
DEVICE_KEYS, WITNESS_KEYS = "devices.csv", "witness.txt"
REGISTER, CALENDAR, DICTIONARY = "register.csv", "calendar.toml", "dictionary.csv"
CONFIGURATIONS, METHODS, README = "configurations.csv", "methods", "README.txt"
SIGNATURE = "centre-signature.txt"
TIMESTAMP_SUFFIX = ".tsr"
_TITLE = "qos-agent bundle v1"


def journal_path(device: str, journal: str) -> str:
    """Return the folder of a journal, relative to the bundle."""
    return f"{PAYLOAD}/{JOURNALS}/{safe_name(device)}/{safe_name(journal)}"


def signed_text(manifest_sha256: str) -> str:
    """Return the text that the centre signs: the checksum of the manifest."""
    return f"{_TITLE}\n{manifest_sha256}\n"


def proof_name(root: str) -> str:
    """Return the name of the proof for a root's file."""
    return f"{root.removesuffix('.txt')}{PROOF_SUFFIX}"
