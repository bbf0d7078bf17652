"""What the schema table is made of: fields by kind, and measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["int", "float", "str"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: name, type, unit, whether it may be summed, meaning, standard."""

    name: str
    type: FieldType
    unit: str
    additive: bool
    meaning: str
    standard: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement: its tags in full, its fields, what it says, who writes it."""

    name: str
    meaning: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]
    source: Literal["agent", "noc"] = "agent"

    def field(self, name: str) -> Field:
        """The field of that name; KeyError when the table has none."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(f"{self.name}.{name}")


def count(name: str, meaning: str, standard: str = "", unit: str = "1") -> Field:
    """A counter or a 0/1 that may be summed."""
    return Field(name, "int", unit, True, meaning, standard)


def whole(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    """A whole number that must not be summed."""
    return Field(name, "int", unit, False, meaning, standard)


def number(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    """A measured value that must not be summed."""
    return Field(name, "float", unit, False, meaning, standard)


def total(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    """A measured sum that may be summed further."""
    return Field(name, "float", unit, True, meaning, standard)


def word(name: str, meaning: str) -> Field:
    """A word."""
    return Field(name, "str", "", False, meaning)
