"""The stations that the register expects in each regency, counted once per change.

Counting a nation's stations by operator takes seconds, and the census has a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qos_agent.model.line_protocol import one_line
from qos_agent.noc.register.store import Note, Register


@dataclass(frozen=True, slots=True)
class Expected:
    """Stations by regency and operator, from one moment until the register changes.

    `tickets` has each operator's most frequent ticket address in a regency.
    """

    stations: Mapping[str, int]
    by_operator: Mapping[str, Mapping[str, int]]
    tickets: Mapping[tuple[str, str], str]
    version: int
    from_s: int
    until_s: int | None

    def holds(self, version: int, at_s: int) -> bool:
        """Return True if these counts are those of a moment and a register version."""
        until_s = at_s + 1 if self.until_s is None else self.until_s
        return version == self.version and self.from_s <= at_s < until_s


@dataclass(slots=True)
class ExpectedCache:
    """The register's counts, counted again only after a change."""

    register: Register
    _expected: Expected | None = None

    def at(self, at_s: int) -> Expected:
        """Return the expected stations at a moment."""
        expected = self._expected
        if expected is None or not expected.holds(self.register.version(), at_s):
            expected = self._expected = _count(self.register, at_s)
        return expected


def _count(register: Register, at_s: int) -> Expected:
    by_operator: dict[str, dict[str, int]] = {}
    for (regency, operator), n in register.expected_by_operator(at_s).items():
        by_operator.setdefault(regency, {})[operator] = n
    tickets = {key: one_line(text) for key, text in register.tickets(at_s).items()}
    return Expected(
        register.expected(at_s),
        by_operator,
        {key: text for key, text in tickets.items() if text},
        register.version(),
        *register.unchanged(at_s),
    )


def notes_by_regency(
    register: Register, regencies: Mapping[str, int], at_s: int
) -> dict[str, tuple[Note, ...]]:
    """Return the notes that hold at a moment, by each regency that they cover."""
    by_regency: dict[str, tuple[Note, ...]] = {}
    for note in register.notes(at_s):
        home = register.home(note.scope, at_s) if len(note.scope) == 13 else None
        for regency in regencies:
            if regency == home or regency.startswith(note.scope):
                by_regency[regency] = (*by_regency.get(regency, ()), note)
    return by_regency
