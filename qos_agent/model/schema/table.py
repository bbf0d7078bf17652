"""Types of the schema table: measurements, and fields by kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["int", "float", "str"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `additive` means that it may be summed."""

    name: str
    type: FieldType
    unit: str
    additive: bool
    meaning: str
    standard: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement with its tags and fields; `source` is the program that writes."""

    name: str
    meaning: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]
    source: Literal["agent", "noc"] = "agent"

    def field(self, name: str) -> Field:
        """Return the field of a name. Raises KeyError if there is none."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(f"{self.name}.{name}")


def count(name: str, meaning: str, standard: str = "", unit: str = "1") -> Field:
    """Return a counter, or a 0/1, that may be summed."""
    return Field(name, "int", unit, True, meaning, standard)


def whole(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    """Return an integer that must not be summed."""
    return Field(name, "int", unit, False, meaning, standard)


def number(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    """Return a measured value that must not be summed."""
    return Field(name, "float", unit, False, meaning, standard)


def total(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    """Return a measured sum that may be summed further."""
    return Field(name, "float", unit, True, meaning, standard)


def text(name: str, meaning: str) -> Field:
    """Return a text."""
    return Field(name, "str", "", False, meaning)
