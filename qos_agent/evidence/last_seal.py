"""The last seal of a device, in a file outside the journal.

A journal that is rewound or replaced is found because it does not continue this seal.
The file has the public key in base64 on its first line, and then the signed note.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from pathlib import Path

from qos_agent.evidence import notes
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.signer import PublicKey
from qos_agent.system.files import read_bytes, write_atomically

FILE_NAME = "last-seal.txt"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LastSeal:
    """A checkpoint and the key that signed it."""

    checkpoint: Checkpoint
    key: PublicKey


def read(folder: Path) -> LastSeal | None:
    """Return the last seal, or None if there is none that can be read."""
    path = folder / FILE_NAME
    try:
        first, _, rest = read_bytes(path, notes.NOTE_MAX_BYTES).partition(b"\n")
        key = PublicKey(notes.decoded(first.decode("ascii")))
        return LastSeal(notes.parse_checkpoint(notes.parse_note(rest).text), key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("seal: %s is not usable: %s", path, error)
        return None


def write(folder: Path, note: Note, key: PublicKey) -> None:
    """Replace the last seal. Raises OSError."""
    first = base64.b64encode(key.raw).decode("ascii")
    write_atomically(folder / FILE_NAME, f"{first}\n{note.to_bytes().decode()}")
