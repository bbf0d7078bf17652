"""Resumptions: a witness states that it cosigns again after a seal was lost.

The witness cannot prove that the seal after the lost one continues its last one. The
statement names both, so that a missing cosignature between them has a reason. A witness
that begins with a later seal of a journal names the empty tree as the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.evidence import notes
from qos_agent.evidence.merkle import EMPTY_ROOT
from qos_agent.evidence.notes import Checkpoint

_TITLE = "qos-agent witness resumed v1"
_LINES = 8


@dataclass(frozen=True, slots=True)
class Resumption:
    """The last seal before, and the first one after the gap, of one journal."""

    before: Checkpoint
    after: Checkpoint

    def text(self) -> str:
        """Return the text to be signed."""
        return f"{_TITLE}\n{self.before.text()}{self.after.text()}"

    def covers(self, size: int) -> bool:
        """Return True if a seal of this size is in the gap."""
        return self.before.size < size < self.after.size


def beginning(first: Checkpoint) -> Resumption:
    """Return the statement of a witness that begins with a seal."""
    return Resumption(Checkpoint(first.origin, 0, EMPTY_ROOT), first)


def parse_resumption(text: str) -> Resumption:
    """Read the text of a statement. Raises ValueError if it is not well-formed."""
    lines = text.split("\n")
    if len(lines) != _LINES or lines[0] != _TITLE or lines[-1]:
        raise ValueError("this is no resumption of version 1")
    before, after = (
        notes.parse_checkpoint("\n".join([*lines[start : start + 3], ""]))
        for start in (1, 4)
    )
    if before.origin != after.origin or before.size >= after.size:
        raise ValueError("the two seals are not of one journal in this order")
    return Resumption(before, after)
