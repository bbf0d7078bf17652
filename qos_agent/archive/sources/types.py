"""The interface of all sources."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Item:
    """A canonical line, or a fault without a line, and the position behind it.

    A fault may have no position of its own.
    """

    position: int | None
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


def readable_items(source: Source, after: int | None = None) -> Iterator[Item]:
    """Yield the items of a source up to an error of its disk, and the error as a fault.

    One bad stick must not stop the others. Raises OSError if the disk of the temporary
    folder is full.
    """
    position = after
    try:
        for item in source.items(after):
            position = item.position
            yield item
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        yield Item(position, None, f"cannot be read: {error.strerror or error}")
