"""What the register expects of each regency: counted once, until it changes.

To count a nation's operators takes seconds, and the census has a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qos_agent.model.line_protocol import one_line
from qos_agent.noc.register.store import Note, Register


@dataclass(frozen=True, slots=True)
class Expected:
    """Stations and operators by regency, from one moment until the register changes.

    `tickets` has each operator's most frequent ticket address in a regency.
    """

    stations: Mapping[str, int]
    by_operator: Mapping[str, Mapping[str, int]]
    tickets: Mapping[tuple[str, str], str]
    version: int
    from_s: int
    until_s: int | None

    def holds(self, version: int, at_s: int) -> bool:
        """Whether these are the counts of a moment, in a version of the register."""
        until_s = at_s + 1 if self.until_s is None else self.until_s
        return version == self.version and self.from_s <= at_s < until_s


@dataclass(slots=True)
class Book:
    """The register's counts, kept while they hold."""

    register: Register
    _kept: Expected | None = None

    def at(self, at_s: int) -> Expected:
        """What is expected at a moment."""
        kept = self._kept
        if kept is None or not kept.holds(self.register.version(), at_s):
            kept = self._kept = _count(self.register, at_s)
        return kept


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
    """The notes that hold at a moment, by the regency that they touch."""
    found: dict[str, tuple[Note, ...]] = {}
    for note in register.notes(at_s):
        home = register.home(note.scope, at_s) if len(note.scope) == 13 else None
        for regency in regencies:
            if regency == home or regency.startswith(note.scope):
                found[regency] = (*found.get(regency, ()), note)
    return found
