"""Faults of a file of stations: a wrong value, and a file that cannot be read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from qos_agent.model.errors import OperatorError
from qos_agent.model.text import one_line

_FOUND_LONGEST = 200
# A byte that is not UTF-8, as `surrogateescape` decodes it and repr() prints it.
_BYTE = re.compile(r"(?<!\\)\\udc([89a-f][0-9a-f])")


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong value. The header of the file is row 1.

    `station` is the code in the row, empty if the row has none that can be read.
    """

    row: int
    column: str
    value: str
    problem: str
    station: str = field(default="", compare=False)

    def __str__(self) -> str:
        """Return one line that a person can act on."""
        found = ""
        if self.value:
            shown = _BYTE.sub(r"\\x\1", repr(self.value))
            found = f" (found: {one_line(shown, _FOUND_LONGEST)})"
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
