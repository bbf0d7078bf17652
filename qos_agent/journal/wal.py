"""Checks that SQLite will use all of a write-ahead log and drop no readings.

SQLite ignores all frames from the first one whose checksum fails, because a power cut
leaves a half-written last commit. It reports no error. Every commit is synced before
the next one begins, so a power cut can tear at most one commit. If two or more commits
follow a bad frame, the log was damaged later. Format: sqlite.org/fileformat2.html,
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
# A power cut may tear one commit.
_TORN_MAX = 1
# A power cut may also leave noise in the first half of a frame's header. Such a size
# has more pages than any journal, or fewer than the number of its page.
_PAGES_MAX = 2**24

_Sum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """A page image at byte `start` of the log.

    `is_commit` marks the last frame of a commit. The image of the log's last frame may
    be incomplete.
    """

    number: int
    page: int
    is_commit: bool
    salts: bytes
    sums: _Sum
    start: int


def log_path(path: Path) -> Path:
    """Return the path of a file's log."""
    return path.with_name(path.name + "-wal")


def read(path: Path) -> bytes:
    """Return the content of a file's log, or nothing if there is no log."""
    log = log_path(path)
    return log.read_bytes() if log.exists() else b""


def current_frames(raw: bytes, page_bytes: int) -> list[Frame]:
    """Return the frames since the log was last restarted; older ones have other salts.

    If no frame has the salts of the header, the header is damaged, and the salts of
    the first frame count.
    """
    frames = [*_frames(raw, page_bytes)]
    salts = raw[16:24]
    if frames and salts not in (frame.salts for frame in frames):
        salts = frames[0].salts
    return [frame for frame in frames if frame.salts == salts]


def check(path: Path) -> None:
    """Raise sqlite3.DatabaseError if a journal's log is damaged."""
    raw = read(path)
    if len(raw) < _HEADER_BYTES:
        return
    sums, order = _header(raw)
    if order is None:
        _check_without_header(path, raw)
        return
    (page_bytes,) = struct.unpack_from(">I", raw, 8)
    frames = [*_frames(raw, page_bytes)]
    sound = _sound_frames(raw, frames, page_bytes, sums, order)
    ignored = [frame for frame in frames[sound:] if frame.salts == raw[16:24]]
    if _commits(ignored) > _TORN_MAX:
        raise sqlite3.DatabaseError(f"frame {sound + 1} of the log is damaged")


def _check_without_header(path: Path, raw: bytes) -> None:
    """Check a log whose header is not sound, of which SQLite uses no frame.

    That is no damage if SQLite was just restarting the log: then the file already has
    all pages of the frames.
    """
    size = page_bytes(path)
    frames = current_frames(raw, size) if size else []
    in_doubt = _commits(frames) > _TORN_MAX
    if in_doubt and not _is_in_file(path, raw, frames, size):
        raise sqlite3.DatabaseError("the header of the log is damaged")


def _header(raw: bytes) -> tuple[_Sum, str | None]:
    """Return the header's checksums and their byte order, None if it is not sound."""
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
        is_commit = 0 < page <= after <= _PAGES_MAX
        yield Frame(number, page, is_commit, salts, sums, start + _FRAME_BYTES)


def _sound_frames(
    raw: bytes, frames: list[Frame], page_bytes: int, sums: _Sum, order: str
) -> int:
    """Return how many frames from the first one on have a correct checksum."""
    for count, frame in enumerate(frames):
        image = raw[frame.start : frame.start + page_bytes]
        if len(image) < page_bytes:
            return count
        header = frame.start - _FRAME_BYTES
        sums = _sum(raw[header : header + 8] + image, sums, order)
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
    """Count commits; SQLite may repeat a commit's last frame to fill a sector."""
    ends = [frame for frame in frames if frame.is_commit]
    repeated = sum(
        after.page == before.page and after.number == before.number + 1
        for before, after in pairwise(ends)
    )
    return len(ends) - repeated


def page_bytes(path: Path) -> int:
    """Return the page size from the file's header, or 0 if it is not valid."""
    with path.open("rb") as file:
        header = file.read(18)
    size: int = struct.unpack_from(">H", header, 16)[0] if len(header) == 18 else 0
    return size if size >= 512 and size & (size - 1) == 0 else 0


def _is_in_file(path: Path, raw: bytes, frames: list[Frame], page_bytes: int) -> bool:
    """Return True if the file has the newest image of each page in the log."""
    newest = {frame.page: frame.start for frame in frames}
    if 0 in newest:
        return False  # Pages are numbered from 1.
    with path.open("rb") as file:
        for page, start in newest.items():
            file.seek((page - 1) * page_bytes)
            image = raw[start : start + page_bytes]
            if file.read(len(image)) != image:
                return False
    return True
