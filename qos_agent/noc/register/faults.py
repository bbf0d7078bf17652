"""Faults of a file of stations: a wrong value, and a file that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.model.errors import OperatorError
from qos_agent.model.text import one_line

_FOUND_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong value. The header of the file is row 1."""

    row: int
    column: str
    value: str
    problem: str

    def __str__(self) -> str:
        """Return one line that a person can act on."""
        found = ""
        if self.value:
            found = f" (found: {one_line(repr(self.value), _FOUND_LONGEST)})"
        return f"row {self.row}, {self.column}: {self.problem}{found}"


@dataclass(eq=False)
class InvalidRegisterError(OperatorError):
    """A file that cannot be read as a register."""

    path: str
    problem: str
    fix: str

    def __str__(self) -> str:
        """Return the one line that users see."""
        path, problem, fix = map(one_line, (self.path, self.problem, self.fix))
        return f"{path}: {problem}. Fix: {fix}."
