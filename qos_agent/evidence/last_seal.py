"""The last seal of a device, in a file outside the journal.

A journal that is rewound or replaced is found because it does not continue this seal.
The file has the public key in base64 on its first line, and then the signed note. A
second file of the same form keeps the last seal before a hand-over, until the journal
has the hand-over.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from pathlib import Path

from qos_agent.evidence import notes
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.signer import PublicKey
from qos_agent.system.files import read_bytes, sync, write_atomically

FILE_NAME = "last-seal.txt"
BEFORE_NAME = "last-seal-before.txt"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LastSeal:
    """A checkpoint and the key that signed it."""

    checkpoint: Checkpoint
    key: PublicKey


def read(folder: Path, name: str = FILE_NAME) -> LastSeal | None:
    """Return the last seal, or None if there is none that can be read."""
    path = folder / name
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


def keep_before(folder: Path) -> None:
    """Keep the last seal, so that a hand-over from it can be repeated. Raises OSError.

    It must be on the disk before the last seal is replaced.
    """
    content = read_bytes(folder / FILE_NAME, notes.NOTE_MAX_BYTES)
    write_atomically(folder / BEFORE_NAME, content.decode())
    sync(folder / BEFORE_NAME)
    sync(folder)


def forget_before(folder: Path) -> None:
    """Remove the seal before a hand-over. Raises OSError."""
    (folder / BEFORE_NAME).unlink(missing_ok=True)
