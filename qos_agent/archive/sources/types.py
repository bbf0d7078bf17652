"""The interface of all sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Item:
    """A canonical line, or a fault without a line, and the position behind it."""

    position: int
    line: bytes | None
    fault: str = ""


class Source(Protocol):
    """Readings that were stored somewhere.

    `name` is unique among the sources of an archive. `only_grows` is True if new
    readings always come behind the last position.
    """

    @property
    def name(self) -> str:
        """The name in messages and in the manifest."""

    @property
    def only_grows(self) -> bool:
        """True if reading may continue at the last position of an earlier run."""

    def fingerprint(self) -> str:
        """Return a text that changes if a position no longer means the same."""

    def items(self, after: int | None = None) -> Iterator[Item]:
        """Yield everything behind a position, or everything.

        Raises OperatorError, QosAgentError or OSError if the source cannot be read.
        """
