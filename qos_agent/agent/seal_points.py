"""Seals as points: making them, and finding them among the last points of a journal."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from qos_agent.evidence import notes
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.signer import PublicKey
from qos_agent.journal import Journal
from qos_agent.model import Outcome, Reading, Sample, Value
from qos_agent.model.line_protocol import decode

# The newest seals are searched in as many points as an agent stores in hours.
_SEARCHED_POINTS = 10_000


def seal_reading(
    checkpoint: Checkpoint,
    note: Note,
    key: PublicKey,
    fields: Mapping[str, Value],
    boot_ns: int,
) -> Reading:
    """Return the reading of a seal or of a hand-over."""
    content = base64.b64encode(note.to_bytes()).decode("ascii")
    values: dict[str, Value] = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "key": key.fingerprint,
        "note": content,
        **fields,
    }
    return Reading("seal", Outcome.OK, boot_ns, (Sample({}, values),))


def newest_checkpoint(journal: Journal, new: Checkpoint) -> Checkpoint | None:
    """Return that of the newest seal among the last points of a journal, or None."""
    found = None
    for text in newest_texts(journal, new.size):
        try:
            checkpoint = notes.parse_checkpoint(text)
        except ValueError:
            continue  # A hand-over.
        found = checkpoint if checkpoint.origin == new.origin else found
    return found


def newest_texts(journal: Journal, size: int) -> Iterator[str]:
    """Yield the texts of the seals and hand-overs among the last points.

    A line that is neither is skipped, because `journal verify` will name it.
    """
    for _, line in journal.lines(max(0, size - _SEARCHED_POINTS)):
        if not line.startswith(b"seal,"):
            continue
        try:
            content = notes.decoded(str(decode(line).fields["note"]))
            yield notes.parse_note(content).text
        except (KeyError, ValueError):
            continue
