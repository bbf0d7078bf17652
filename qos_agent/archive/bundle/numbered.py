"""Lines of one journal in a file, in the order of their numbers.

The file is read once. Lines that are not in their place, that repeat a number, or that
are not of this journal are found on the way. Memory is bounded: only lines that are too
early are held, and not more than a limit.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO

from qos_agent.archive.bundle.findings import Findings, Kind
from qos_agent.archive.bundle.intervals import Chunk
from qos_agent.archive.bundle.removals import EVENT
from qos_agent.evidence.merkle import HASH_BYTES, leaf_hash

LINE_MAX_BYTES = 65_536
_AHEAD_MAX = 100_000
# Seals and evictions of ten years.
_KEPT_MAX = 1_000_000
_FIELD = re.compile(rb'([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^,"]+)(?:,|$)')
# Fields are sorted by name.
_PLAIN = re.compile(
    rb'[ ,]device="([\x20-\x21\x23-\x5b\x5d-\x7e]+)",.*?'
    rb'journal="([A-Za-z0-9_-]+)",.*?[ ,]seq=([0-9]{1,18})i[ ,]'
)
_NUMBER = re.compile(rb"-?[0-9]{1,18}i")
_UNKNOWN = bytes(HASH_BYTES)


def identity(line: bytes) -> tuple[str, str, int] | None:
    """Return device, journal and number of a line, or None if it has none."""
    # Names that occur once are those of the fields, and not a part of a text.
    if all(line.count(name) == 1 for name in (b"device=", b"journal=", b"seq=")):
        match = _PLAIN.search(line)
        if match is not None:
            return match[1].decode(), match[2].decode(), int(match[3])
    _, _, rest = line.partition(b" ")
    found = dict(_FIELD.findall(rest.rpartition(b" ")[0]))
    number = found.get(b"seq", b"")
    if not _NUMBER.fullmatch(number):
        return None
    device, journal = _text(found.get(b"device")), _text(found.get(b"journal"))
    if device is None or journal is None:
        return None
    return device, journal, int(number[:-1])


def _text(value: bytes | None) -> str | None:
    if value is None or not value.startswith(b'"'):
        return None
    try:
        return re.sub(rb"\\(.)", rb"\1", value[1:-1]).decode()
    except UnicodeDecodeError:
        return None


def station_of(series: bytes) -> str:
    """Return the station in measurement and tags, or nothing."""
    _, _, rest = series.partition(b",station=")
    return rest.partition(b",")[0].decode("ascii", "replace")


@dataclass(slots=True)
class NumberedLines:
    """The lines of a journal, taken in chunks."""

    file: BinaryIO
    device: str
    journal: str
    leaves: BinaryIO | None
    findings: Findings
    stations: set[str] = field(default_factory=set)
    events: list[bytes] = field(default_factory=list)
    seals: list[bytes] = field(default_factory=list)
    missing: set[int] = field(default_factory=set)
    late: list[int] = field(default_factory=list)
    _next: deque[bytes] = field(default_factory=deque)
    _ahead: dict[int, bytes] = field(default_factory=dict)
    _series: set[bytes] = field(default_factory=set)
    _reached: int = 0

    def chunk(self, first: int, last: int) -> Chunk:
        """Return the leaves of a span, which must follow the one before."""
        count = last - first + 1
        stored = self._stored(first, count)
        lines = self._take(count)
        leaves = [sha256(b"\x00" + line).digest() for line in lines]
        if leaves == stored and not self._ahead:
            for line in lines:
                self._look_at(line)
            self._reached = last
            return Chunk(first, stored)
        self._next.extendleft(reversed(lines))
        found = self._sorted(first, last)
        return Chunk(first, stored, [found.get(n, ()) for n in range(first, last + 1)])

    def finish(self) -> None:
        """Report the lines after the last chunk, which no seal covers."""
        for seq in self._ahead:
            self.findings.point(Kind.UNSEALED, seq)
        while lines := self._take(1):
            number = self._seq(lines[0])
            if number is None:
                self._report(lines[0])
            elif number <= self._reached:
                self._late(number, lines[0])
            else:
                self.findings.point(Kind.UNSEALED, number)

    def _stored(self, first: int, count: int) -> list[bytes]:
        content = b""
        if self.leaves is not None:
            self.leaves.seek((first - 1) * HASH_BYTES)
            content = self.leaves.read(count * HASH_BYTES)
        ends = range(0, count * HASH_BYTES, HASH_BYTES)
        found = (content[end : end + HASH_BYTES] for end in ends)
        return [b"" if leaf == _UNKNOWN or len(leaf) < 32 else leaf for leaf in found]

    def _take(self, count: int) -> list[bytes]:
        lines: list[bytes] = []
        while len(lines) < count and self._next:
            lines.append(self._next.popleft())
        while len(lines) < count and (line := self.file.readline(LINE_MAX_BYTES)):
            lines.append(line[:-1] if line.endswith(b"\n") else line + b"\x00")
        return lines

    def _peek(self, place: int = 0) -> bytes | None:
        while len(self._next) <= place:
            line = self.file.readline(LINE_MAX_BYTES)
            if not line:
                return None
            self._next.append(line[:-1] if line.endswith(b"\n") else line + b"\x00")
        return self._next[place]

    def _look_at(self, line: bytes) -> None:
        """Note the station of a line, and keep evictions and seals."""
        series = line[: line.find(b" ")]
        if series not in self._series:
            if len(self._series) > _AHEAD_MAX:
                self._series.clear()
            self._series.add(series)
            self.stations.add(station_of(series))
        if line.startswith(EVENT) and len(self.events) < _KEPT_MAX:
            self.events.append(line)
        elif line.startswith(b"seal,") and len(self.seals) < _KEPT_MAX:
            self.seals.append(line)

    def _seq(self, line: bytes) -> int | None:
        """Return the number of a line of this journal, or None."""
        found = identity(line)
        if found is None or found[:2] != (self.device, self.journal):
            return None
        return found[2]

    def _sorted(self, first: int, last: int) -> dict[int, Sequence[bytes]]:
        """Return the leaves of the lines up to a number; report lines in disorder."""
        found: dict[int, list[bytes]] = {}
        for early in [n for n in self._ahead if n <= last]:
            self._add(found, early, self._ahead.pop(early))
        strangers: dict[int, bytes] = {}
        while (line := self._peek()) is not None:
            seq = self._seq(line)
            if seq is not None and seq > last:
                if not self._is_early(seq):
                    break
                self._put_ahead(seq, line)
            elif seq is None:
                self._strange(strangers, max(self._reached + 1, first), line)
            elif seq < first:
                self._late(seq, line)
            else:
                if seq < self._reached:
                    self.findings.point(Kind.REORDERED, seq)
                self._add(found, seq, line)
                self._reached = max(self._reached, seq)
            self._next.popleft()
        self._place(found, strangers)
        self._reached = last
        if len(self.missing) < _AHEAD_MAX:
            self.missing.update(set(range(first, last + 1)) - found.keys())
        return {seq: tuple(leaves) for seq, leaves in found.items()}

    def _add(self, found: dict[int, list[bytes]], seq: int, line: bytes) -> None:
        self._look_at(line)
        found.setdefault(seq, []).append(leaf_hash(line))

    def _strange(self, strangers: dict[int, bytes], seq: int, line: bytes) -> None:
        """Hold a line that is not of this journal, or report it."""
        if strangers.setdefault(seq, line) is not line:
            self._report(line)

    def _place(
        self, found: dict[int, list[bytes]], strangers: dict[int, bytes]
    ) -> None:
        """Take a line that is not of this journal for the point in its place."""
        for seq, line in strangers.items():
            if seq in found:
                self._report(line)
            else:
                found[seq] = [leaf_hash(line)]

    def _report(self, line: bytes) -> None:
        text = line[:80].decode("utf-8", "replace")
        self.findings.detail(Kind.INSERTED, f"not of this journal: {text!r}")

    def _is_early(self, seq: int) -> bool:
        """Return True if the line after the next one has a lower number."""
        following = self._peek(1)
        number = None if following is None else self._seq(following)
        return number is not None and number < seq

    def _put_ahead(self, seq: int, line: bytes) -> None:
        self.findings.point(Kind.REORDERED, seq)
        if len(self._ahead) < _AHEAD_MAX:
            self._ahead.setdefault(seq, line)

    def _late(self, seq: int, line: bytes) -> None:
        """Judge a line whose chunk is over."""
        stored = self._stored(seq, 1)[0] if seq > 0 else b""
        if seq in self.missing and stored == leaf_hash(line):
            self.missing.discard(seq)
            self.late.append(seq)
            self.findings.point(Kind.REORDERED, seq)
            self._look_at(line)
        elif seq > 0:
            self.findings.point(Kind.INSERTED, seq)
        else:
            self.findings.point(Kind.UNSEALED, seq)
