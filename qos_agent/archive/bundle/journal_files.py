"""The lines and leaves of a journal that go into a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from qos_agent.archive.bundle.intervals import Chunk, SealedSize, intervals
from qos_agent.evidence.merkle import HASH_BYTES, leaf_hash

_UNKNOWN = bytes(HASH_BYTES)
Lines = Callable[[], Iterator[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True)
class Sorted:
    """The lines of a journal in order, and the hashes of those that count.

    `chosen` has only the numbers that several lines claim.
    """

    lines: Lines
    chosen: Mapping[int, bytes] = field(default_factory=dict)

    def is_chosen(self, seq: int, line: bytes) -> bool:
        """Return True if a line is the one of its number."""
        leaf = self.chosen.get(seq)
        return leaf is None or leaf == leaf_hash(line)


@dataclass(slots=True)
class _Reader:
    """Groups sorted lines into chunks."""

    groups: Iterator[tuple[int, Iterator[tuple[int, bytes]]]]
    file: BinaryIO
    waiting: tuple[int, list[bytes]] | None = None

    def chunk(self, first: int, last: int) -> Chunk:
        """Return a span of numbers, and write the hashes that the file lacks."""
        found: list[Sequence[bytes]] = [() for _ in range(first, last + 1)]
        while (group := self._next()) is not None and group[0] <= last:
            if group[0] >= first:
                found[group[0] - first] = group[1]
            self.waiting = None
        self.file.seek((first - 1) * HASH_BYTES)
        content = self.file.read((last - first + 1) * HASH_BYTES)
        ends = range(0, len(found) * HASH_BYTES, HASH_BYTES)
        parts = (content[end : end + HASH_BYTES] for end in ends)
        stored = [b"" if not part.strip(b"\x00") else part for part in parts]
        pairs = zip(stored, found, strict=True)
        known = [s or (f[0] if len(f) == 1 else _UNKNOWN) for s, f in pairs]
        self.write(first, b"".join(known))
        return Chunk(first, stored, found)

    def write(self, seq: int, hashes: bytes) -> None:
        """Write the hashes of successive numbers."""
        self.file.seek((seq - 1) * HASH_BYTES)
        self.file.write(hashes)

    def _next(self) -> tuple[int, list[bytes]] | None:
        if self.waiting is None:
            group = next(self.groups, None)
            if group is not None:
                seq, lines = group
                self.waiting = seq, [leaf_hash(line) for _, line in lines]
        return self.waiting


def sorted_lines(
    lines: Lines,
    leaves: Iterable[tuple[int, bytes]],
    sizes: Sequence[SealedSize],
    path: Path,
) -> Sorted:
    """Choose between lines that claim the same number, and write the file of leaves.

    The seals decide. Without a decision the first line counts.
    """
    last = sizes[-1].size
    chosen: dict[int, bytes] = {}
    with path.open("w+b") as file:
        for first, hashes in leaves:
            end = max(0, last - first + 1) * HASH_BYTES
            file.seek((first - 1) * HASH_BYTES)
            file.write(hashes[:end])
        reader = _Reader(groupby(lines(), key=itemgetter(0)), file)
        for interval in intervals(sizes, reader.chunk):
            chosen |= interval.chosen
            decided = {**interval.leaves}
            if interval.is_proven:
                decided |= interval.chosen
            for seq, leaf in decided.items():
                reader.write(seq, leaf)
        file.truncate(last * HASH_BYTES)
    return Sorted(lines, chosen)
