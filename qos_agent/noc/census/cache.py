"""The facts that the census keeps from minute to minute, until the register changes.

Counting a nation's stations by operator takes seconds, and the census has a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from qos_agent.noc.census.presence import RollCall
from qos_agent.noc.register.store import Note, Register


@dataclass(frozen=True, slots=True)
class Expected:
    """The register's stations by regency and operator, and the notes at a moment.

    The counts apply from `from_s` until `until_s`. `tickets` has the most frequent
    ticket address by (regency, operator). `notes` are pairs of a note and the code of
    the area that contains its stations.
    """

    stations: Mapping[str, int]
    by_operator: Mapping[str, Mapping[str, int]]
    tickets: Mapping[tuple[str, str], str]
    from_s: int
    until_s: int | None
    notes: Sequence[tuple[str, Note]] = ()

    def applies(self, at_s: int) -> bool:
        """Return True if the counts are those of a moment."""
        return self.from_s <= at_s and (self.until_s is None or at_s < self.until_s)


@dataclass(slots=True)
class CensusCache:
    """The register's counts, and each regency's last roll call; empty after a start."""

    calls: dict[str, RollCall] = field(default_factory=dict)
    _expected: Expected | None = None
    _version: int | None = None

    def expected_at(self, register: Register, at_s: int) -> Expected:
        """Return the expected stations and the notes at a moment.

        The cache is cleared if the register has changed.
        """
        version = register.version()
        if version != self._version:
            self.calls.clear()
            self._expected, self._version = None, version
        if self._expected is None or not self._expected.applies(at_s):
            self._expected = _count(register, at_s)
        notes = []
        for note in register.notes(at_s):
            is_station = len(note.scope) == 13
            area = register.home(note.scope, at_s) if is_station else note.scope
            if area is not None:
                notes.append((area, note))
        return replace(self._expected, notes=notes)


def _count(register: Register, at_s: int) -> Expected:
    by_operator: dict[str, dict[str, int]] = {}
    for (regency, operator), n in register.expected_by_operator(at_s).items():
        by_operator.setdefault(regency, {})[operator] = n
    return Expected(
        register.expected(at_s),
        by_operator,
        register.tickets(at_s),
        *register.unchanged(at_s),
    )
