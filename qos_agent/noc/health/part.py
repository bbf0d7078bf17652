"""One part of the centre: its state, and the point that reports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode, one_line, tag_value


@dataclass(frozen=True, slots=True)
class Part:
    """A part with its figures. `problem` is empty if it works."""

    part: str
    name: str
    problem: str = ""
    figures: Mapping[str, Value] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """True if the part works."""
        return not self.problem

    def line(self, at_ns: int) -> bytes:
        """Return the point."""
        fields: dict[str, Value] = {"ok": int(self.is_ok), **self.figures}
        if self.problem:
            fields["detail"] = one_line(self.problem)
        tags = {"part": self.part, "name": tag_value(self.name)}
        return encode(Record("platform", tags, fields, at_ns))

    def values(self) -> dict[str, Value]:
        """Return all values, for programs."""
        return {
            "part": self.part,
            "name": self.name,
            "ok": int(self.is_ok),
            **self.figures,
            "detail": self.problem,
        }
