"""Leaves compared with seals, one interval between two seals after the other. Pure.

Each interval starts with the compact range at the seal before it. If an interval does
not give its sealed root, the consistency proof of the next seal contains that range, so
that the points after it can still be proven. Memory does not depend on the number of
points, except if points contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from math import prod

from qos_agent.archive.bundle.findings import Spans
from qos_agent.evidence.merkle import CompactRange, proven_range
from qos_agent.journal.tree import absent_leaf

CHUNK = 256
# If several lines claim a number whose sealed hash is unknown, this many choices are
# compared with the seal.
_CHOICES_MAX = 4096
# A journal that freed space misses single points between others.
MISSING_SPANS = 1_000_000


@dataclass(frozen=True, slots=True)
class SealedSize:
    """The size and root of a seal, and its proof from the seal of `previous` points."""

    size: int
    root: bytes
    previous: int | None = None
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """The leaves of some successive points.

    `stored` are the hashes in the file of leaves, empty if one is unknown. `found` are
    the hashes of the lines with each number, or None if they are exactly the stored
    ones.
    """

    first: int
    stored: Sequence[bytes]
    found: Sequence[Sequence[bytes]] | None = None


@dataclass(slots=True)
class Interval:
    """The result for the points from `first` to `last`.

    `altered` has the hash of each line that differs from the stored one. `leaves` are
    points whose stored hash is wrong, although their line is right. `chosen` has the
    hash of each point that several lines claim. `missing` points have no line, and
    `unknown` ones have no stored hash either. `absent` points were removed before the
    journal had a tree. `start` is None if the tree before the interval is unknown.
    """

    first: int
    last: int = 0
    start: CompactRange | None = None
    is_proven: bool = False
    missing: Spans = field(default_factory=partial(Spans, limit=MISSING_SPANS))
    unknown: Spans = field(default_factory=partial(Spans, limit=MISSING_SPANS))
    absent: int = 0
    altered: dict[int, bytes] = field(default_factory=dict)
    leaves: dict[int, bytes] = field(default_factory=dict)
    doubled: dict[int, Sequence[bytes]] = field(default_factory=dict)
    chosen: dict[int, bytes] = field(default_factory=dict)
    end: CompactRange | None = None


def intervals(
    seals: Sequence[SealedSize], chunk: Callable[[int, int], Chunk]
) -> Iterator[Interval]:
    """Yield the result of each interval; `seals` are in order of different sizes.

    `chunk` is called for successive spans, so it may read a file once.
    """
    end: CompactRange | None = CompactRange()
    size, root = 0, CompactRange().root()
    for seal in seals:
        if end is None and seal.previous == size:
            end = proven_range(size, seal.size, seal.proof, root, seal.root)
        found = _interval(Interval(size + 1, seal.size, end), seal.root, chunk)
        end, size, root = found.end, seal.size, seal.root
        yield found


def _interval(
    interval: Interval, root: bytes, chunk: Callable[[int, int], Chunk]
) -> Interval:
    fold = _Fold(interval)
    for first in range(interval.first, interval.last + 1, CHUNK):
        fold.add(chunk(first, min(first + CHUNK - 1, interval.last)))
    fold.finish(root)
    return interval


class _Fold:
    """Two trees of an interval: with the stored leaves, and with those of the lines.

    They are one tree until they differ.
    """

    def __init__(self, interval: Interval) -> None:
        self._interval = interval
        self._stored = interval.start
        self._found = interval.start
        self._differs = False
        # From the first undecided number on: the tree before it, and all leaves.
        self._before: CompactRange | None = None
        self._open: list[Sequence[bytes]] = []

    def add(self, chunk: Chunk) -> None:
        """Add the leaves of a chunk."""
        if chunk.found is None:
            self._extend(chunk.stored, chunk.stored)
            return
        stored, found = [], []
        pairs = zip(chunk.stored, chunk.found, strict=True)
        for seq, (known, lines) in enumerate(pairs, chunk.first):
            self._note(seq, known, lines)
            # A point without line and hash is perhaps one that was never in a tree.
            leaf = known if known or lines else absent_leaf(seq)
            best = leaf if leaf in lines or not lines else lines[0]
            stored.append(leaf or best)
            found.append(best)
            is_open = not leaf and len(lines) > 1
            if is_open and not self._open:
                self._extend(stored[:-1], found[:-1])
                self._before = self._stored
                stored, found = stored[-1:], found[-1:]
            if is_open or self._open:
                self._open.append(lines if is_open else stored[-1:])
        self._extend(stored, found, opened=True)

    def _note(self, seq: int, leaf: bytes, lines: Sequence[bytes]) -> None:
        if not lines and leaf == absent_leaf(seq):
            self._interval.absent += 1
        elif not lines:
            spans = self._interval.missing if leaf else self._interval.unknown
            spans.add(seq, seq)
        elif leaf and leaf not in lines:
            self._interval.altered[seq] = lines[0]
        if len(lines) > 1:
            self._interval.doubled[seq] = lines
            self._interval.chosen[seq] = leaf if leaf in lines else lines[0]

    def _extend(
        self, stored: Sequence[bytes], found: Sequence[bytes], *, opened: bool = False
    ) -> None:
        if self._open and not opened:
            self._open.extend([leaf] for leaf in stored)
        if self._stored is None or self._found is None:
            return
        same = not self._differs and stored == found
        self._stored = self._stored.extended(stored)
        self._found = self._stored if same else self._found.extended(found)
        self._differs |= not same

    def finish(self, root: bytes) -> None:
        """Compare the trees with the sealed root."""
        interval = self._interval
        if interval.start is None:
            return
        if self._stored is not None and self._stored.root() == root:
            interval.is_proven, interval.end = True, self._stored
        elif self._found is not None and self._found.root() == root:
            interval.is_proven, interval.end = True, self._found
            interval.leaves, interval.altered = interval.altered, {}
        else:
            self._decide(root)
        if interval.is_proven:
            interval.absent += interval.unknown.count

    def _decide(self, root: bytes) -> None:
        """Try the lines that claim the same numbers."""
        if self._before is None or prod(map(len, self._open)) > _CHOICES_MAX:
            return
        for leaves in product(*self._open):
            end = self._before.extended(leaves)
            if end.root() != root:
                continue
            self._interval.is_proven, self._interval.end = True, end
            first = end.size - len(leaves) + 1
            for seq in self._interval.doubled:
                if seq >= first:
                    self._interval.chosen[seq] = leaves[seq - first]
            return
