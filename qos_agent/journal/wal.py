"""Whether SQLite would take all of a write-ahead log, or leave out readings in silence.

From the first frame whose checksum fails SQLite takes nothing more, since that is what
a power cut leaves: the last commit, half written. Every commit is synced before the
next begins, so a cut can tear one of them at most. Where two or more stand behind such
a frame, the log was damaged afterwards. Format: https://sqlite.org/fileformat2.html,
section 4.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_HEADER_BYTES, _FRAME_BYTES = 32, 24
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_WORD = 0xFFFFFFFF
# One may be torn by a power cut.
_TORN_MAX = 1

_Sum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """A page, whose image is at byte `start` of the log; a commit is a last frame.

    The image of a last one may be cut off.
    """

    number: int
    page: int
    is_commit: bool
    salts: bytes
    sums: _Sum
    start: int


def log_of(path: Path) -> Path:
    """Where SQLite keeps the log of a file."""
    return path.with_name(path.name + "-wal")


def read(path: Path) -> bytes:
    """The log of a file; nothing where it has none."""
    log = log_of(path)
    return log.read_bytes() if log.exists() else b""


def last_round(raw: bytes, page_bytes: int) -> list[Frame]:
    """The frames of the log's last round; those of earlier ones have another salt.

    The head's own salt may be what is damaged: then the first frame's is the round's.
    """
    frames = [*_frames(raw, page_bytes)]
    salts = raw[16:24]
    if frames and salts not in (frame.salts for frame in frames):
        salts = frames[0].salts
    return [frame for frame in frames if frame.salts == salts]


def check(path: Path) -> None:
    """Raise sqlite3.DatabaseError where a journal's log is damaged."""
    raw = read(path)
    if len(raw) < _HEADER_BYTES:
        return
    sums, order = _header(raw)
    if order is None:
        _check_headless(path, raw)
        return
    (page_bytes,) = struct.unpack_from(">I", raw, 8)
    frames = [*_frames(raw, page_bytes)]
    taken = _sound(raw, frames, page_bytes, sums, order)
    left = [frame for frame in frames[taken:] if frame.salts == raw[16:24]]
    if _commits(left) > _TORN_MAX:
        raise sqlite3.DatabaseError(f"frame {taken + 1} of the log is damaged")


def _check_headless(path: Path, raw: bytes) -> None:
    """Without a sound head SQLite takes nothing, as where a log is just begun anew.

    Then the file has all that the frames have.
    """
    page_bytes = _page_bytes(path)
    frames = last_round(raw, page_bytes) if page_bytes else []
    in_doubt = _commits(frames) > _TORN_MAX
    if in_doubt and not _is_in_file(path, raw, frames, page_bytes):
        raise sqlite3.DatabaseError("the head of the log is damaged")


def _header(raw: bytes) -> tuple[_Sum, str | None]:
    """The checksums of the head and their byte order; None where it is not sound."""
    magic, *_, first, second = struct.unpack_from(">8I", raw)
    order = {_LITTLE: "<", _BIG: ">"}.get(magic)
    sound = order is not None and _sum(raw[:24], (0, 0), order) == (first, second)
    return (first, second), order if sound else None


def _frames(raw: bytes, page_bytes: int) -> Iterator[Frame]:
    step = _FRAME_BYTES + page_bytes
    starts = range(_HEADER_BYTES, len(raw) - _FRAME_BYTES + 1, step)
    for number, start in enumerate(starts, start=1):
        page, after = struct.unpack_from(">II", raw, start)
        sums = struct.unpack_from(">II", raw, start + 16)
        salts = raw[start + 8 : start + 16]
        yield Frame(number, page, after > 0, salts, sums, start + _FRAME_BYTES)


def _sound(
    raw: bytes, frames: list[Frame], page_bytes: int, sums: _Sum, order: str
) -> int:
    """How many frames from the first on are as they were written."""
    for count, frame in enumerate(frames):
        image = raw[frame.start : frame.start + page_bytes]
        if len(image) < page_bytes:
            return count
        head = frame.start - _FRAME_BYTES
        sums = _sum(raw[head : head + 8] + image, sums, order)
        if frame.salts != raw[16:24] or frame.sums != sums:
            return count
    return len(frames)


def _sum(data: bytes, sums: _Sum, order: str) -> _Sum:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second


def _commits(frames: list[Frame]) -> int:
    """How many; SQLite may write a commit's last frame again to fill a sector."""
    ends = [frame for frame in frames if frame.is_commit]
    again = sum(
        after.page == before.page and after.number == before.number + 1
        for before, after in pairwise(ends)
    )
    return len(ends) - again


def _page_bytes(path: Path) -> int:
    """The size of the journal's pages; 0 where its own head does not say."""
    with path.open("rb") as file:
        head = file.read(18)
    size: int = struct.unpack_from(">H", head, 16)[0] if len(head) == 18 else 0
    return size if size >= 512 and size & (size - 1) == 0 else 0


def _is_in_file(path: Path, raw: bytes, frames: list[Frame], page_bytes: int) -> bool:
    """Whether the file has the newest of each page: then the log was done with."""
    newest = {frame.page: frame.start for frame in frames}
    with path.open("rb") as file:
        for page, start in newest.items():
            file.seek((page - 1) * page_bytes)
            image = raw[start : start + page_bytes]
            if file.read(len(image)) != image:
                return False
    return True
