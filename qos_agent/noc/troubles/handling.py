"""Notifications and acknowledgements of troubles. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qos_agent.noc.register.store import Note
from qos_agent.noc.troubles.places import Place
from qos_agent.noc.troubles.standing import Trouble

NOTIFIED, UNWATCHED, ACKNOWLEDGED = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Handling:
    """The places that are watched now, and the notes that are in effect."""

    watched: frozenset[Place]
    notes: Sequence[Note] = ()

    def notify(self, trouble: Trouble) -> int:
        """Return the value of the field `notify` of a trouble's point."""
        if (trouble.key.level, trouble.key.place) not in self.watched:
            return UNWATCHED
        return NOTIFIED if self.note_of(trouble) is None else ACKNOWLEDGED

    def note_of(self, trouble: Trouble) -> Note | None:
        """Return the newest acknowledgement of a trouble, or None."""
        return max(self._notes_of(trouble), key=_started, default=None)

    def ticket_of(self, trouble: Trouble) -> Note | None:
        """Return the newest acknowledgement with a ticket of the operator, or None."""
        found = (note for note in self._notes_of(trouble) if note.ticket)
        return max(found, key=_started, default=None)

    def _notes_of(self, trouble: Trouble) -> Iterator[Note]:
        """Yield the acknowledgements of a trouble.

        A note acknowledges what had been reported of exactly this place when it
        started. So a new trouble, or a higher severity, is reported again.
        """
        reported_ns = trouble.reported_ns or trouble.since_ns
        for note in self.notes:
            is_here = note.scope == trouble.key.place
            is_later = note.starts * 10**9 >= reported_ns
            if note.kind == "acknowledged" and is_here and is_later:
                yield note


def _started(note: Note) -> int:
    return note.starts
